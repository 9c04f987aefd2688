"""How long the drawing board takes for a repaint, in a real Chromium, with one thread and with several.

python benchmarks/board.py [MODEL]

MODEL: a doodle, `monet` if left out.  It draws a line again and again on the board of 256x256 pixels, and reads the
seconds that the page itself shows: from the drawing to the painting.  It takes what the tests of the page take:
`make page-engine`, Debian's chromium, `pip install '.[test]'`.
"""

import argparse
import re
import shutil
import threading

import numpy as np
from interleaved import table
from playwright.sync_api import sync_playwright

from e2e_art.models.folder import read_model
from e2e_art.models.kinds import DOODLE
from e2e_art.web import server as serve
from e2e_art.web.site import HEADERS, site

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
LINES = 20


def repaints(page) -> list[float]:
    """Draws lines on an open board; returns the seconds of each repaint."""
    page.wait_for_selector("body[data-state=painted]")
    box, seconds = page.locator("#board").bounding_box(), []
    for line in range(LINES):
        page.evaluate("document.body.dataset.state = 'given'")
        y = box["y"] + box["height"] * (line + 1) / (LINES + 2)
        page.mouse.move(box["x"] + 20, y)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, y)
        page.mouse.up()
        page.wait_for_selector("body[data-state=painted]")
        page.wait_for_timeout(400)  # what the hand's way asked for is painted, too
        seconds.append(float(re.search(r"painted in ([\d.]+) seconds", page.inner_text("#message")).group(1)))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="monet", metavar="MODEL")
    files = site([read_model(parser.parse_args().model, DOODLE)])
    isolation, rows = dict(HEADERS), []
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for threads, headers in (("one thread", {}), ("several threads", isolation)):
            HEADERS.clear()  # without the headers a browser gives a page one thread, as on a plain host
            HEADERS.update(headers)
            server = serve.make_server(files)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{server.server_port}/draw.html")
            rows.append([threads, *(f"{quantile:.2f}" for quantile in np.quantile(repaints(page), (0, 0.5, 1)))])
            page.close()
            server.shutdown()
        browser.close()
    print(table(["WebAssembly", "fastest", "median", "slowest"], rows))


if __name__ == "__main__":
    main()
