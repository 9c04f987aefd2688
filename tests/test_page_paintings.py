"""Paintings that people give to the page, in a real Chromium: it paints in their styles as infer.py does, offline."""

import base64

import numpy as np
import pytest
from browser import (
    CHROMIUM,
    FLAGS,
    PATIENCE,
    PLAYED_CARD,
    canvas,
    change,
    difference,
    give,
    needs_browser,
    served,
    wait,
)
from helpers import pixels, save, tiny_anystyle
from skimage import data

from e2e_art import load
from e2e_art.models.folder import read_model
from e2e_art.web.site import site

pytestmark = needs_browser

NEAR = 2  # levels that a painting may differ by: paintings that are scaled are rounded once here, and twice by OpenCV


@pytest.fixture(scope="module")
def any_style(tmp_path_factory):
    return tiny_anystyle(tmp_path_factory.mktemp("models") / "any")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A photo, and paintings: one that shrinks, one that grows, one whose size is hard to round."""
    folder = tmp_path_factory.mktemp("given")
    save(folder / "photo.png", data.rocket()[100:227, 200:361])
    save(folder / "coffee_cup.png", data.coffee())
    save(folder / "cells.png", data.immunohistochemistry()[:83, :150])
    save(folder / "tall.png", data.astronaut()[:400, 100:300])
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def photo(given):
    return pixels(given / "photo.png").astype(np.uint8)


@pytest.fixture(scope="module")
def address(published, any_style):
    with served(site([read_model(published), read_model(any_style)])) as address:
        yield address


@pytest.fixture(scope="module")
def address_of_it_alone(any_style):
    with served(site([read_model(any_style)])) as address:
        yield address


def give_painting(page, path, state: str = "painted") -> str:
    """Gives the page a painting; returns what it says then."""
    page.evaluate("document.body.dataset.state = 'given'")
    page.set_input_files("#painting-file", path)
    return wait(page, state)


def drop(page, path, place: str) -> str:
    """Drops a file on a place of the page; returns what it says then."""
    page.evaluate("document.body.dataset.state = 'given'")
    content = base64.b64encode(path.read_bytes()).decode()
    page.eval_on_selector(
        place,
        """async (place, [name, content]) => {
            const files = new DataTransfer();
            const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
            files.items.add(new File([bytes], name, { type: "image/png" }));
            for (const kind of ["dragover", "drop"]) {
                place.dispatchEvent(new DragEvent(kind, { dataTransfer: files, bubbles: true, cancelable: true }));
            }
        }""",
        [path.name, content],
    )
    return wait(page, "painted")


@pytest.mark.parametrize("name", ["coffee_cup", "cells", "tall"])
def test_a_photo_in_the_style_of_a_painting_is_that_of_infer(open_page, given, photo, any_style, name):
    page = open_page()
    give(page, given / "photo.png")
    before = canvas(page)
    says = give_painting(page, given / f"{name}.png")
    assert f"photo.png, after {name.replace('_', ' ')}, 161 x 127 pixels in" in says
    painter = load(any_style, style=given / f"{name}.png")
    for stage, expected in enumerate(painter.stages(photo)):
        page.check(f"input[name=stage][value='{stage}']", force=True)
        assert difference(canvas(page), expected) <= NEAR
    assert difference(canvas(page), before) > 9
    change(page, "#strength", "0.5")
    assert difference(canvas(page), painter(photo, strength=0.5)) <= NEAR


def test_webgpu_paints_the_same(chromium, address, given, photo, any_style):
    browser = chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *PLAYED_CARD])
    try:
        page = browser.new_page()
        page.set_default_timeout(2 * PATIENCE)
        page.goto(f"{address}?engine=webgpu")
        wait(page, "ready")
        if not page.evaluate("async () => Boolean(await navigator.gpu?.requestAdapter())"):
            pytest.skip("this Chromium has no WebGPU, not even a played one")
        give(page, given / "photo.png")
        give_painting(page, given / "cells.png")
        assert page.inner_text("#engine") == "Painted by WebGPU."
        assert difference(canvas(page), load(any_style, style=given / "cells.png")(photo)) <= NEAR
    finally:
        browser.close()


def test_with_the_network_cut(open_page, given, photo, any_style):
    page = open_page()
    give(page, given / "photo.png")
    give_painting(page, given / "cells.png")  # which fetches the network that it takes
    page.context.set_offline(True)
    assert "after coffee cup, " in give_painting(page, given / "coffee_cup.png")
    assert difference(canvas(page), load(any_style, style=given / "coffee_cup.png")(photo)) <= NEAR


def test_paintings_stay_as_choices_and_mix(open_page, given, photo, any_style):
    page = open_page()
    give(page, given / "photo.png")
    give_painting(page, given / "cells.png")
    assert page.is_hidden("#mix")
    give_painting(page, given / "coffee_cup.png")
    group = page.get_by_role("group", name="Your painting")
    assert [label.strip() for label in group.locator(".choice").all_inner_texts()] == ["cells", "coffee cup"]
    shown = group.locator("img").evaluate_all("(all) => all.map((one) => [one.naturalWidth, one.naturalHeight])")
    assert shown == [[150, 83], [288, 192]]
    page.evaluate("document.body.dataset.state = 'given'")
    page.select_option("#second", label="cells")
    assert "after coffee cup (50%) and cells (50%), " in wait(page, "painted")
    says = change(page, "#share", "30")
    assert "after coffee cup (70%) and cells (30%), " in says
    mix = {str(given / "coffee_cup.png"): 0.7, str(given / "cells.png"): 0.3}
    assert difference(canvas(page), load(any_style, style=mix)(photo)) <= NEAR
    page.evaluate("document.body.dataset.state = 'given'")
    group.get_by_role("radio", name="cells").check(force=True)
    assert "after cells, " in wait(page, "painted")
    assert difference(canvas(page), load(any_style, style=given / "cells.png")(photo)) <= NEAR
    page.evaluate("document.body.dataset.state = 'given'")
    page.check("input[name=style][value='0']", force=True)
    assert "after Small Model, " in wait(page, "painted")
    assert page.is_hidden("#mix")


def test_what_is_dropped_goes_where_it_is_dropped(open_page, given, photo, any_style):
    page = open_page()
    assert "photo.png, after Small Model, " in drop(page, given / "photo.png", "header")
    assert "photo.png, after cells, " in drop(page, given / "cells.png", "#painting-drop")
    assert "tall.png, after cells, " in drop(page, given / "tall.png", "#drop")
    assert "photo.png, after cells, " in drop(page, given / "photo.png", "#result")
    assert page.locator(".over").count() == 0
    assert difference(canvas(page), load(any_style, style=given / "cells.png")(photo)) <= NEAR


def test_a_page_of_any_style_alone_asks_for_a_painting(open_page, given, photo, any_style, address_of_it_alone):
    page = open_page(address_of_it_alone)
    assert page.inner_text("#message") == "Choose a painting and a photo to begin."
    assert page.is_hidden("#styles") and page.is_hidden("#stages")
    page.click("#camera")
    assert wait(page, "wrong").startswith("Choose a painting first")
    assert give(page, given / "photo.png", "ready") == "photo.png is here: choose a painting."
    assert "photo.png, after cells, " in give_painting(page, given / "cells.png")
    assert page.is_visible("#stages")
    assert difference(canvas(page), load(any_style, style=given / "cells.png")(photo)) <= NEAR


def test_the_painting_may_come_first(open_page, given, address_of_it_alone):
    page = open_page(address_of_it_alone)
    assert give_painting(page, given / "cells.png", "ready") == "cells is here: choose a photo."
    assert "photo.png, after cells, " in give(page, given / "photo.png")


def test_what_is_no_picture_is_refused(open_page, given):
    page = open_page()
    says = give_painting(page, given / "broken.jpg", "wrong")
    assert says == "broken.jpg is no picture that this browser can read: choose a JPEG, PNG or WebP."
    assert page.locator("#yours .choice").count() == 0


def test_the_camera_is_painted_in_its_style(open_page, given):
    page = open_page()
    page.click("#camera")
    wait(page, "live")
    page.set_input_files("#painting-file", given / "cells.png")
    page.wait_for_selector("#yours input:checked", state="attached")
    with page.expect_download() as download:
        page.wait_for_timeout(2000)
        page.click("#download")
    assert download.value.suggested_filename == "camera_cells.png"


def test_there_is_no_place_for_paintings_where_no_model_takes_them(open_page, published):
    with served(site([read_model(published)])) as address:
        assert open_page(address).is_hidden("#yours")


def test_by_keyboard_alone_and_on_a_phone(open_page, given):
    page = open_page(viewport={"width": 360, "height": 740})
    give(page, given / "photo.png")
    page.focus("input[name=style]")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "painting-file"
    give_painting(page, given / "cells.png")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
