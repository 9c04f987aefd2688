"""What several test files look at: a real photo, and small untrained models on disk."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

# Tests in several processes (pytest -n) share the cores: threads that wait for each other would take them from the
# other processes.  numpy, MXNet and what the tests start read it when they are loaded, so it stands before them.
if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)) > 1:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))))

import numpy as np  # noqa: E402
from skimage import data  # noqa: E402

from e2e_art.engines.choice import EngineError  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]


def _of_another_install(error: BaseException | None) -> bool:
    return isinstance(error, EngineError) and "installed in" in str(error)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Passes over files whose engine is not installed here, and says so."""
    report = yield
    error = report.call.excinfo and report.call.excinfo.value
    if _of_another_install(error):
        report.outcome, report.longrepr = "skipped", (str(collector.path), 0, f"Skipped: {error}")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """Passes over single tests as well, where what they stand on cannot be made."""
    try:
        return (yield)
    except EngineError as error:
        if _of_another_install(error):
            pytest.skip(str(error))
        raise


pytest_runtest_call = pytest_runtest_setup


@pytest.fixture(scope="session")
def photo():
    """A real photo, odd in size and not square: uint8 (97, 131, 3)."""
    return np.ascontiguousarray(data.rocket()[150:247, 260:391])


@pytest.fixture(scope="session", autouse=True)
def weights_are_read_once():
    """Keeps what the loss network's file holds: hundreds of tests load the same layers."""
    vgg = sys.modules.get("e2e_art.networks.vgg")  # nothing to do where no test needs MXNet
    with pytest.MonkeyPatch.context() as patch:
        if vgg:
            read = functools.lru_cache(vgg._shipped_weights)
            patch.setattr(vgg, "_shipped_weights", lambda path, positions: read(path, tuple(positions)))
        yield


@pytest.fixture(scope="module")
def brief_trainings():
    """Takes from trainings what few tests look at: charts, the time estimate, large validation pictures."""
    from e2e_art.evaluation import charts
    from e2e_art.training import styling, task, trainer

    @contextmanager
    def blank(path, *size):
        yield mock.MagicMock()
        path.write_bytes(b"no chart")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "chart", blank)
        patch.setattr(trainer, "estimate_seconds", lambda *training: 60.0)
        patch.setattr(task, "VALIDATION_EDGE", 48)
        patch.setattr(styling, "VALIDATION_SIZE", 128)
        yield


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A painting, and eight photos to learn on."""
    from helpers import painting, photo_folder

    folder = tmp_path_factory.mktemp("files")
    painting(folder / "painting.jpg")
    photo_folder(folder / "photos")
    return folder


@pytest.fixture(scope="session")
def fresh_python(tmp_path_factory):
    """Runs Python code in an interpreter of its own, with the package importable; returns what it did."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def run(code: str, *arguments, fails: bool = False, **environment) -> subprocess.CompletedProcess:
        settings = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), **environment}
        settings = {name: value for name, value in settings.items() if value is not None}
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=settings, cwd=elsewhere, timeout=120)
        assert fails or done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def make_chain():
    """Makes a chain of untrained generators, with every kind of weight away from where it begins."""
    from e2e_art.engines.gluon import cpu
    from e2e_art.networks.chain import Chain

    def make(stages, seed: int = 1, **options):
        random = np.random.RandomState(seed)
        chain = Chain(stages, **options)
        chain.draw_weights(seed, [cpu()])
        for index in range(len(stages)):
            weights = chain.stage_weights(index)
            for name, weight in weights.items():
                if name.endswith(("gamma", "running_var")):
                    weights[name] = random.uniform(0.5, 1.5, weight.shape).astype(np.float32)
                elif name.endswith(("beta", "bias", "running_mean")):
                    weights[name] = random.normal(0, 0.3, weight.shape).astype(np.float32)
            chain.set_stage_weights(index, weights)
        return chain

    return make


@pytest.fixture(scope="session")
def published(tmp_path_factory, make_chain):
    """The folder of a small untrained model of two stages, as train.py would publish it."""
    from e2e_art.models.publish import publish

    stage = {"kind": "pyramid", "channels": [8, 4], "blocks": [1, 1], "details": 4, "residual_weight": 0.5}
    folder = tmp_path_factory.mktemp("models") / "small_model"
    publish(make_chain([stage, stage]), folder, {"command": "by hand"}, {"sheet.jpg": b"no picture"})
    return folder


@pytest.fixture(scope="module")
def chromium():
    """Playwright's Chromium."""
    from browser import sync_api

    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture(scope="module")
def browser(chromium):
    """A browser without a graphics card."""
    from browser import CHROMIUM, FLAGS

    browser = chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, "--disable-gpu"])
    yield browser
    browser.close()


@pytest.fixture
def open_page(browser, address):
    """Opens the page; fails the test for errors on it, and for anything asked of another host.

    The test file says what `address` is.
    """
    from browser import PATIENCE, wait

    contexts, mishaps = [], []

    def open_page(at: str = address, query: str = "", **settings):
        context = browser.new_context(
            **{"viewport": {"width": 1200, "height": 900}, "permissions": ["camera"], **settings}
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: mishaps.append(str(error)))
        page.on("request", lambda request: request.url.startswith((at, "blob:")) or mishaps.append(request.url))
        page.goto(at + query)
        wait(page, "ready", "painted", "wrong")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not mishaps
