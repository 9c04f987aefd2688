"""The drawing board in a real Chromium: what hands do, and that its paintings are those of infer.py."""

import numpy as np
import pytest
from browser import canvas, change, difference, give, needs_browser, served, wait
from helpers import pixels, process, save
from PIL import Image

from e2e_art import load_doodle
from e2e_art.engines.gluon import cpu
from e2e_art.images.regions import snap
from e2e_art.models.folder import read_model
from e2e_art.models.publish import publish
from e2e_art.networks.chain import DoodleChain
from e2e_art.networks.inputs import seeded_noise
from e2e_art.web.site import site

pytestmark = needs_browser
PALETTE = np.array([[255, 255, 255], [0, 0, 255], [0, 160, 0]], np.uint8)
NAMES = ("white", "blue", "green")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of an untrained model of doodles in three colors."""
    chain = DoodleChain([{"kind": "doodle", "regions": 3}])
    chain.draw_weights(1, [cpu()])
    palette = [{"color": "#" + bytes(color).hex(), "name": name} for color, name in zip(PALETTE, NAMES)]
    folder = tmp_path_factory.mktemp("doodles") / "lake"
    publish(chain, folder, {"palette": palette})
    return folder


@pytest.fixture(scope="module")
def address(model):
    with served(site([read_model(model)])) as address:
        yield address


@pytest.fixture
def board(open_page):
    return open_page(query="draw.html")


def labels(page) -> np.ndarray:
    """Returns which color of the palette each pixel of the drawing has; all have one."""
    drawing = canvas(page, "board")
    distances = np.abs(drawing[:, :, None] - PALETTE.astype(int)).sum(axis=3)
    assert (distances.min(axis=2) == 0).all()
    return distances.argmin(axis=2)


def drag(page, *places) -> None:
    """Draws a line through places, each in shares of the drawing's width and height, as a mouse does."""
    page.evaluate("document.body.dataset.state = 'given'")
    box = page.locator("#board").bounding_box()
    course = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    page.mouse.move(*course[0])
    page.mouse.down()
    for place in course[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()
    wait(page, "painted")


def click(page, selector: str) -> str:
    page.evaluate("document.body.dataset.state = 'given'")
    page.click(selector)
    return wait(page, "painted")


def choose_brush(page, number: int) -> None:
    page.check(f"input[name=brush][value='{number}']", force=True)


def save_as(page, selector: str, path):
    with page.expect_download() as download:
        page.click(selector)
    download.value.save_as(path)
    return path


def test_a_scripted_drawing_is_painted_as_infer_paints_its_png(board, model, tmp_path):
    choose_brush(board, 2)
    drag(board, (0.2, 0.3), (0.8, 0.4), (0.5, 0.9))
    assert "seed 1," in click(board, "#another")
    drawing = save_as(board, "#save", tmp_path / "drawing.png")
    painting = save_as(board, "#download", tmp_path / "painting.png")
    done = process("infer.py", drawing, "--model", model, "--seed", 1, "-o", tmp_path / "infer.png")
    assert done.returncode == 0, done.stderr
    assert pixels(painting).shape == (256, 256, 3)
    assert difference(pixels(painting), pixels(tmp_path / "infer.png")) <= 2
    assert difference(pixels(painting), canvas(board)) == 0


def test_the_noise_of_the_page_is_that_of_the_package(board):
    values = board.evaluate(
        "async () => Array.from((await import('./noise.js')).seededNoise(4294967295, 3, 5, 7))", None
    )
    assert np.array_equal(np.float32(values).reshape(1, 3, 5, 7), seeded_noise(2**32 - 1, 3, 5, 7))


def test_brushes_lines_areas_and_steps_back(board):
    click(board, "#clear")
    assert (labels(board) == 0).all()  # the first brush's color
    choose_brush(board, 1)
    board.fill("#width", "20")
    drag(board, (0.25, 0.5), (0.75, 0.5))
    drawn = labels(board) == 1
    assert drawn.any(axis=0).sum() == pytest.approx(0.5 * 256 + 20, abs=3)
    assert drawn.any(axis=1).sum() == pytest.approx(20, abs=1)
    drag(board, (0.5, 0.0), (0.5, 1.0))
    board.check("#fill")
    choose_brush(board, 2)
    drag(board, (0.1, 0.1), (0.9, 0.9))  # a drag fills where it began
    counts = np.bincount(labels(board).ravel(), minlength=3) / 256**2
    assert labels(board)[5, 5] == 2 and labels(board)[250, 250] == 0
    assert counts[2] == pytest.approx(0.5 - 10 / 256, abs=0.02)  # the left half, around the bar's end
    click(board, "#undo")
    assert not (labels(board) == 2).any()
    board.evaluate("document.body.dataset.state = 'given'")
    board.keyboard.press("Control+z")
    wait(board, "painted")
    assert np.array_equal(labels(board) == 1, drawn)


def test_by_keyboard_alone(board):
    click(board, "#clear")
    board.focus("#board")
    for key in ("2", "ArrowLeft", "Shift+ArrowDown", "+"):
        board.keyboard.press(key)
    assert board.input_value("#width") == "22"
    board.evaluate("document.body.dataset.state = 'given'")
    board.keyboard.press("Space")
    wait(board, "painted")
    rows, columns = np.nonzero(labels(board) == 1)
    assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((128 - 3, 128 + 12), abs=0.6)
    assert board.is_visible("#cursor")
    board.keyboard.press("3")
    board.evaluate("document.body.dataset.state = 'given'")
    board.keyboard.press("Enter")
    wait(board, "painted")
    assert (labels(board)[rows, columns] == 2).all() and (labels(board) == 2).sum() == len(rows)


def test_a_drawing_can_be_opened_antialiased_edges_and_all(board, model, tmp_path):
    large = np.zeros((300, 480, 3), np.uint8)
    large[:], large[120:] = PALETTE[0], PALETTE[1]
    large[100:200, 200:290] = PALETTE[2]
    drawing = np.array(Image.fromarray(large).resize((160, 100), Image.Resampling.BICUBIC))
    assert len(np.unique(drawing.reshape(-1, 3), axis=0)) > 3
    said = give(board, save(tmp_path / "drawing.png", drawing))
    assert said.startswith("160 x 100 pixels")
    assert board.input_value("#size") == "160 x 100"
    assert np.array_equal(labels(board), snap(drawing, PALETTE))
    assert difference(canvas(board), load_doodle(model)(drawing)) <= 2
    change(board, "#size", "256 x 384")
    assert canvas(board, "board").shape == canvas(board).shape == (384, 256, 3)
    click(board, "#undo")
    assert np.array_equal(labels(board), snap(drawing, PALETTE))


def test_mishaps_get_one_sentence(board, open_page, tmp_path):
    before = labels(board)
    red = save(tmp_path / "red.png", np.full((20, 20, 3), (255, 0, 0), np.uint8))
    assert "red.png has none of the colors that Lake paints: draw with #ffffff white, #0000ff blue" in give(
        board, red, "wrong"
    )
    (tmp_path / "text.png").write_text("no picture")
    assert "text.png is no picture that this browser can read" in give(board, tmp_path / "text.png", "wrong")
    assert np.array_equal(labels(board), before)
    page = open_page(query="draw.html?style=cubist")
    assert wait(page, "painted").startswith("There is no doodle 'cubist' here: choose one of those shown. 256 x 256")


def test_the_board_without_doodles_and_the_way_to_it(open_page, board, published, address):
    with served(site([read_model(published)])) as other:
        page = open_page(other, "draw.html")
        assert "There are no doodles here" in page.inner_text("#message")
        page = open_page(other)
        assert page.is_hidden("#doodles")
    board.click("text=Paint photos instead")
    assert board.url == address


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_and_in_the_dark(open_page, scheme):
    page = open_page(query="draw.html", viewport={"width": 360, "height": 740}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    touch = page.evaluate("getComputedStyle(document.getElementById('board')).touchAction")
    assert touch == "none"  # a finger draws, and does not scroll
