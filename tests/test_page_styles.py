"""Networks of several styles on the page, in a real Chromium: their paintings and mixes are those of infer.py."""

import numpy as np
import pytest
from browser import canvas, change, difference, give, needs_browser, served, wait
from helpers import pixels, save, tiny_multistyle
from skimage import data

from e2e_art import load
from e2e_art.models.folder import read_model
from e2e_art.models.onnx_file import onnx_file
from e2e_art.web.site import site

pytestmark = needs_browser

FIRST = 1  # the choice of the first of its styles: that of the other model comes before


@pytest.fixture(scope="module")
def museum(tmp_path_factory):
    return tiny_multistyle(tmp_path_factory.mktemp("models") / "museum")


@pytest.fixture(scope="module")
def photo_file(tmp_path_factory):
    return save(tmp_path_factory.mktemp("given") / "rocket.png", data.rocket()[100:227, 200:361])


@pytest.fixture(scope="module")
def rocket(photo_file):
    return pixels(photo_file).astype(np.uint8)


@pytest.fixture(scope="module")
def address(published, museum):
    with served(site([read_model(published), read_model(museum)])) as address:
        yield address


def choose(page, style: int) -> str:
    """Chooses one of the styles of the network; returns what the page says once it is painted."""
    page.evaluate("document.body.dataset.state = 'given'")
    page.check(f"input[name=style][value='{FIRST + style}']", force=True)
    return wait(page, "painted")


def test_its_styles_are_choices_with_pictures_under_its_title(open_page):
    page = open_page()
    assert page.locator("#styles > .choice").count() == 1  # the model of one style
    group = page.get_by_role("group", name="Museum")
    assert [label.strip() for label in group.locator(".choice").all_inner_texts()] == ["Waves", "The Scream", "Udnie"]
    assert group.get_by_role("radio", name="The Scream").count() == 1
    shown = group.locator("img").evaluate_all(
        "async (all) => { for (const one of all) await one.decode(); return all.map((one) => one.naturalWidth); }"
    )
    assert shown == [96, 96]  # the third one has no picture
    assert page.is_hidden("#mix")


def test_paintings_in_each_style_and_of_mixes_are_those_of_infer(open_page, photo_file, rocket, museum):
    painter, page = load(museum), open_page(query="?style=museum")
    assert "rocket.png, after Waves, 161 x 127 pixels in" in give(page, photo_file)
    assert difference(canvas(page), painter.with_style("waves")(rocket)) <= 1
    assert "after Udnie, " in choose(page, 2)
    assert difference(canvas(page), painter.with_style("udnie")(rocket)) <= 1
    says = change(page, "#second", str(FIRST + 1))
    assert "rocket.png, after Udnie (50%) and The Scream (50%), 161 x 127" in says
    assert difference(canvas(page), painter.with_style({"udnie": 0.5, "the_scream": 0.5})(rocket)) <= 1
    assert "after Udnie (70%) and The Scream (30%), " in change(page, "#share", "30")
    for stage, expected in enumerate(painter.with_style({"udnie": 0.7, "the_scream": 0.3}).stages(rocket)):
        page.check(f"input[name=stage][value='{stage}']", force=True)
        assert difference(canvas(page), expected) <= 1
    change(page, "#strength", "0.5")
    expected = painter.with_style("udnie=0.7,the_scream=0.3")(rocket, strength=0.5)
    assert difference(canvas(page), expected) <= 1
    assert "after The Scream, " in change(page, "#share", "100")
    assert "after Udnie, " in change(page, "#second", "")


def test_a_slider_paints_while_it_moves(open_page, photo_file, rocket, museum):
    painter, page = load(museum), open_page(query="?style=the_scream")
    give(page, photo_file)
    change(page, "#second", str(FIRST))
    before = canvas(page)
    for share in ("60", "80", "95"):  # the hand has not let go yet
        page.eval_on_selector(
            "#share", "(slider, share) => { slider.value = share; slider.dispatchEvent(new Event('input')); }", share
        )
    expected = painter.with_style({"the_scream": 0.05, "waves": 0.95})(rocket)
    assert difference(before, expected) > 9
    page.wait_for_function(
        """(expected) => {
            const canvas = document.getElementById("painting");
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return data.every((value, at) => at % 4 === 3 || Math.abs(value - expected[at]) <= 1);
        }""",
        arg=np.dstack([expected, np.full(expected.shape[:2], 255)]).ravel().tolist(),
    )
    assert "after The Scream (50%) and Waves (50%)" in page.inner_text("#message")  # the painting that is kept
    assert "after The Scream (5%) and Waves (95%)" in change(page, "#share", "95")


def test_the_mix_is_said_in_words_and_stays_while_the_first_painting_changes(open_page, photo_file):
    page = open_page(query="?style=museum")
    give(page, photo_file)
    labels = page.locator("#second option").all_inner_texts()
    assert labels == ["no other", "The Scream", "Udnie"]
    assert page.is_hidden("#share")
    change(page, "#second", str(FIRST + 2))
    change(page, "#share", "25")
    assert page.get_by_role("slider", name="From the first painting to the second").is_visible()
    assert page.inner_text("#shares") == page.get_attribute("#share", "aria-valuetext") == "Waves (75%) and Udnie (25%)"
    assert "after The Scream (75%) and Udnie (25%), " in choose(page, 1)
    assert "after Udnie, " in choose(page, 2)  # which cannot be mixed with itself
    assert page.is_hidden("#share")
    page.evaluate("document.body.dataset.state = 'given'")
    page.check("input[name=style][value='0']", force=True)
    assert "after Small Model, " in wait(page, "painted")
    assert page.is_hidden("#mix")


def test_by_keyboard_alone(open_page, photo_file):
    page = open_page(query="?style=museum")
    give(page, photo_file)
    change(page, "#second", str(FIRST + 2))
    page.focus("#second")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "share"
    page.evaluate("document.body.dataset.state = 'given'")
    page.keyboard.press("ArrowRight")
    assert "after Waves (45%) and Udnie (55%), " in wait(page, "painted")
    assert page.evaluate("document.activeElement.id") == "share"


def test_the_camera_follows_the_slider(open_page):
    page = open_page(query="?style=museum")
    page.click("#camera")
    wait(page, "live")
    page.select_option("#second", label="Udnie")
    page.eval_on_selector("#share", "(slider) => { slider.value = 90; }")
    with page.expect_download() as download:
        page.wait_for_timeout(1000)
        page.click("#download")
    assert download.value.suggested_filename == "camera_waves_udnie.png"


def test_a_file_of_several_styles_can_be_dropped(open_page, photo_file, rocket, museum, tmp_path):
    (tmp_path / "mine.onnx").write_bytes(onnx_file(read_model(museum)))
    page = open_page(query="?style=small_model")
    give(page, photo_file)
    assert "after waves, " in give(page, tmp_path / "mine.onnx")
    group = page.get_by_role("group", name="mine")
    assert [label.strip() for label in group.locator(".choice").all_inner_texts()] == ["waves", "the scream", "udnie"]
    change(page, "#second", str(FIRST + 3 + 1))
    expected = load(museum).with_style({"waves": 0.5, "the_scream": 0.5})(rocket)
    assert difference(canvas(page), expected) <= 1


def test_on_a_phone(open_page, photo_file):
    page = open_page(query="?style=museum", viewport={"width": 360, "height": 740})
    give(page, photo_file)
    change(page, "#second", str(FIRST + 1))
    assert page.evaluate("document.documentElement.scrollWidth") == 360
