"""A real Chromium for the tests of the page, and what people do in it."""

import contextlib
import shutil
import threading

import numpy as np
import pytest

from e2e_art.web.server import make_server
from e2e_art.web.site import ENGINE, FOLDER

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream",
]  # fmt: skip
# A processor plays the graphics card; left alone, the page would not take such a one.
PLAYED_CARD = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan,WebGPU"]
PATIENCE = 60_000  # milliseconds

missing = [name for name in ENGINE if not (FOLDER / "vendor" / name).is_file()]
needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: install Debian's chromium to test the page"),
    pytest.mark.skipif(bool(missing), reason="no painting engine for the page: npm and 'make page-engine' bring it"),
]
sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install '.[test]' brings it")


@contextlib.contextmanager
def served(files):
    """Serves the files of a page; gives its address."""
    server = make_server(files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def wait(page, *states: str) -> str:
    """Waits until the page is in one of some states; returns what it says."""
    page.wait_for_selector(", ".join(f"body[data-state={state}]" for state in states))
    return page.inner_text("#message")


def give(page, path, *states: str) -> str:
    """Gives the page a file; returns what it says then."""
    page.evaluate("document.body.dataset.state = 'given'")
    page.set_input_files("#file", path)
    return wait(page, *(states or ("painted",)))


def change(page, selector: str, value: str) -> str:
    """Moves a control as a person would, and waits for the new painting."""
    page.evaluate("document.body.dataset.state = 'given'")
    page.eval_on_selector(
        selector,
        """(control, value) => {
            control.value = value;
            for (const kind of ["input", "change"]) control.dispatchEvent(new Event(kind, { bubbles: true }));
        }""",
        value,
    )
    return wait(page, "painted")


def canvas(page, name: str = "painting") -> np.ndarray:
    """Returns the pixels of one of the page's canvases, (H, W, 3) of int."""
    width, height, rgba = page.evaluate(
        """(id) => {
            const canvas = document.getElementById(id);
            const { width, height } = canvas;
            return [width, height, Array.from(canvas.getContext("2d").getImageData(0, 0, width, height).data)];
        }""",
        name,
    )
    return np.array(rgba).reshape(height, width, 4)[..., :3]


def difference(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    return np.abs(one.astype(int) - other.astype(int)).max()
