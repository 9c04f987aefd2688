"""The page in a real Chromium: what people do with it, and that its paintings are those of infer.py."""

import contextlib
import functools
import http.server
import os
import threading

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
from helpers import ROOT, pixels, save, tiny_upscaler
from onnx import TensorProto, helper
from skimage import data

from e2e_art import load, load_upscaler
from e2e_art.images.resize import resize
from e2e_art.models import folder as folder_module
from e2e_art.models.folder import read_model
from e2e_art.models.onnx_file import onnx_file
from e2e_art.painting import enlarge
from e2e_art.painting.enlarge import EnlargingPainter
from e2e_art.painting.photo import Painter
from e2e_art.web.site import site, write_site

pytestmark = needs_browser


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A photo, something broken, and graphs from elsewhere."""
    folder = tmp_path_factory.mktemp("given")
    save(folder / "rocket.png", data.rocket()[100:227, 200:361])
    save(folder / "large.png", np.tile(data.rocket(), (3, 3, 1)))
    (folder / "broken.jpg").write_bytes((folder / "rocket.png").read_bytes()[:300])
    (folder / "inverse.onnx").write_bytes(inverse())
    (folder / "broken.onnx").write_bytes(b"nothing of the kind")
    (folder / "LOUD.ONNX").write_bytes(inverse(["batch_size", 3, "H", "W"]))
    (folder / "square.onnx").write_bytes(inverse([1, 3, 64, 80]))
    (folder / "four.onnx").write_bytes(inverse([1, 4, "H", "W"]))
    (folder / "future.onnx").write_bytes(inverse(version=99))
    zero = helper.make_node("Sub", ["input1", "input1"], ["zero"])
    (folder / "nan.onnx").write_bytes(inverse(nodes=[zero, helper.make_node("Div", ["zero", "zero"], ["output1"])]))
    for name, pads in (("smaller", [0, 0, -4, -4, 0, 0, -4, -4]), ("larger", None)):
        sizes = {"Pad": pads} if pads else {"Resize": [1.0, 1.0, 2.0, 2.0]}
        (folder / f"{name}.onnx").write_bytes(inverse(**sizes))
    return folder


def inverse(shape=(1, 3, "H", "W"), version=8, nodes=(), **sizes) -> bytes:
    """A model as Johnson's are exported: one picture of 0..255 in, one out; it paints the negative.

    sizes: an operator that changes the size of what it paints, with its argument.
    """
    last = "output1" if not sizes else "negative"
    nodes = [*(nodes or [helper.make_node("Sub", ["white", "input1"], [last])])]
    constants = [helper.make_tensor("white", TensorProto.FLOAT, [1], [255.0])]
    for operator, values in sizes.items():
        inputs = [last, "sizes"] if operator == "Pad" else [last, "", "sizes"]
        nodes.append(helper.make_node(operator, inputs, ["output1"]))
        kind = TensorProto.INT64 if operator == "Pad" else TensorProto.FLOAT
        constants.append(helper.make_tensor("sizes", kind, [len(values)], values))
    places = [helper.make_tensor_value_info("input1", TensorProto.FLOAT, shape)]
    places.append(helper.make_tensor_value_info("output1", TensorProto.FLOAT, None))
    graph = helper.make_graph(nodes, "inverse", places[:1], places[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=version)
    return model.SerializeToString()


@pytest.fixture(scope="module")
def models(published):
    return [read_model("starry_night"), read_model(published)]


@pytest.fixture(scope="module")
def address(models):
    with served(site(models)) as address:
        yield address


# Painting


def test_paintings_are_those_of_infer(open_page, files):
    painter, photo = load("starry_night"), pixels(files / "rocket.png").astype(np.uint8)
    page = open_page()
    assert "rocket.png, after Starry Night, 161 x 127 pixels in" in give(page, files / "rocket.png")
    if os.cpu_count() > 1:
        assert "threads" in page.inner_text("#engine")
    assert np.array_equal(canvas(page, "photo"), photo)
    for stage, expected in reversed(list(enumerate(painter.stages(photo)))):
        page.check(f"input[name=stage][value='{stage}']", force=True)
        assert difference(canvas(page), expected) <= 2
    page.check("input[name=stage][value='3']", force=True)
    page.check("#keep-colors")
    assert difference(canvas(page), painter(photo, keep_colors=True)) <= 3
    page.uncheck("#keep-colors")
    change(page, "#strength", "0.5")
    assert page.inner_text("output") == "0.50"
    assert difference(canvas(page), painter(photo, strength=0.5)) <= 2
    change(page, "#strength", "0")
    assert difference(canvas(page), photo) <= 1


def test_webgpu_paints_the_same(chromium, address, files, published):
    browser = chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *PLAYED_CARD])
    try:
        page = browser.new_page()
        page.set_default_timeout(2 * PATIENCE)
        page.goto(f"{address}?style=small_model&engine=webgpu")
        wait(page, "ready")
        if not page.evaluate("async () => Boolean(await navigator.gpu?.requestAdapter())"):
            pytest.skip("this Chromium has no WebGPU, not even a played one")
        give(page, files / "rocket.png")
        assert page.inner_text("#engine") == "Painted by WebGPU."
        expected = load(published)(pixels(files / "rocket.png").astype(np.uint8))
        assert difference(canvas(page), expected) <= 2
    finally:
        browser.close()


def test_another_style_and_another_size(open_page, files, published):
    page = open_page(query="?style=small_model")
    photo = pixels(files / "large.png").astype(np.uint8)
    assert "after Small Model, 1024 x" in give(page, files / "large.png")
    assert page.locator("input[name=stage]").count() == 2
    assert "320 x" in change(page, "#size", "320")
    assert max(canvas(page).shape) == 320
    page.evaluate("document.body.dataset.state = 'given'")
    page.check("input[name=style][value='0']", force=True)
    assert "after Starry Night, 320 x" in wait(page, "painted")
    assert page.locator("input[name=stage]").count() == 4
    assert photo.shape[1] > 1024


def test_the_painting_can_be_downloaded_and_set_beside_the_photo(open_page, files, tmp_path):
    page = open_page(query="?style=small_model")
    assert page.is_disabled("#download")
    give(page, files / "rocket.png")
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "rocket_small_model.png"
    download.value.save_as(tmp_path / "painting.png")
    assert np.array_equal(pixels(tmp_path / "painting.png"), canvas(page))
    page.eval_on_selector("#divide", "(d) => { d.value = 40; d.dispatchEvent(new Event('input')); }")
    clip = page.eval_on_selector("#painting", "(painting) => getComputedStyle(painting).clipPath")
    assert "40%" in clip


@pytest.mark.parametrize("height, width", [(127, 161), (300, 540)], ids=["less than a tile", "six tiles"])
def test_a_painting_is_enlarged_before_it_is_saved(open_page, models, tmp_path, height, width):
    upscaler = tiny_upscaler(tmp_path / "painted_x2", factor=2, stages=3)
    save(tmp_path / "rocket.png", np.tile(data.rocket(), (1, 2, 1))[100 : 100 + height, 200 : 200 + width])
    with served(site([*models, read_model(upscaler)])) as address:
        page = open_page(address, "?style=small_model")
        give(page, tmp_path / "rocket.png")
        page.select_option("#enlarge", label="2 times")
        with page.expect_download() as download:
            page.click("#download")
        assert download.value.suggested_filename == f"rocket_small_model_{2 * width}x{2 * height}.png"
        assert f"Saved, {2 * width} x {2 * height} pixels, enlarged in" in wait(page, "saved")
        download.value.save_as(tmp_path / "large.png")
        expected = load_upscaler(upscaler)(canvas(page).astype(np.uint8))
        assert difference(pixels(tmp_path / "large.png"), expected) <= 1
        change(page, "#strength", "0.5")  # and it goes on
        assert page.is_enabled("#download")


def test_a_painting_is_enlarged_as_sharply_as_infer_does(open_page, models, files, tmp_path):
    folders = {
        factor: tiny_upscaler(tmp_path / f"painted_x{factor}", factor, stages) for factor, stages in ((2, 3), (4, 2))
    }
    with served(site([*models, *map(read_model, folders.values())])) as address:
        page = open_page(address, "?style=small_model")
        give(page, files / "rocket.png")
        painting = canvas(page).astype(np.uint8)
        for factor, strength in ((2, 0.35), (2, 1), (2, 1.65), (2, 0), (4, 1), (4, 0.35), (4, 2), (2, 2)):
            large = saved(page, tmp_path, f"{factor} times", strength)
            assert page.inner_text("output[for=sharpness]") == f"{strength:.2f}"
            expected = load_upscaler(folders[factor])(painting, strength)
            assert difference(large, expected) <= 1, (factor, strength)


def saved(page, folder, choice: str, sharpness: float = 1) -> np.ndarray:
    """Returns the picture that the page saves by a choice of "Enlarge"."""
    page.select_option("#enlarge", label=choice)
    page.fill("#sharpness", str(sharpness))
    with page.expect_download() as download:
        page.click("#download")
    download.value.save_as(folder / "large.png")
    return pixels(folder / "large.png")


@pytest.mark.parametrize("edge", [500, 1500], ids=["2 times", "4 times, then 2 times"])
def test_a_painting_gets_the_size_of_its_photo_as_by_infer(open_page, models, tmp_path, monkeypatch, edge):
    folders = [tiny_upscaler(tmp_path / "pretrained" / "upscalers" / f"painted_x{factor}", factor) for factor in (2, 4)]
    for module in (folder_module, enlarge):
        monkeypatch.setattr(module, "pretrained_folder", lambda: tmp_path / "pretrained")
    photo = resize(data.rocket(), edge * 2 // 3 + 1, edge)
    save(tmp_path / "rocket.png", photo)
    with served(site([*models, *map(read_model, folders)])) as address:
        page = open_page(address, "?style=small_model")
        assert page.is_disabled("#to-photo")
        give(page, tmp_path / "rocket.png")
        change(page, "#size", "320")
        large = saved(page, tmp_path, "to the photo's size")
        assert f"Saved, {edge} x {edge * 2 // 3 + 1} pixels, enlarged in" in wait(page, "saved")
        painting = canvas(page).astype(np.uint8)
        monkeypatch.setattr(Painter, "stages", lambda *_, **__: [painting])  # what infer.py makes of the same painting
        assert difference(large, EnlargingPainter(models[1], None)(photo, size=320)) <= 2
        change(page, "#size", "0")  # as large as the photo
        assert page.is_disabled("#to-photo") and page.input_value("#enlarge") == "1"


def test_the_size_of_a_photo_is_reached_by_the_upscalers_that_are_there(open_page):
    page = open_page()
    plan = """async ([times, factors]) => {
        const { upscalersFor } = await import("./enlarging.js");
        return upscalersFor(times, factors.map((factor) => ({ factor }))).map(({ factor }) => factor);
    }"""
    for factors, expected in (
        ([2, 4], {1: [], 1.01: [2], 2.2: [2], 2.21: [4], 4: [4], 4.4: [4], 4.41: [4, 2], 99: [4, 2]}),
        ([2, 4, 8], {5: [8], 99: [8]}),
        ([2], {1.5: [2], 3: [2], 99: [2]}),
        ([4], {1.5: [4], 99: [4]}),
        ([], {2: []}),
    ):
        for times, way in expected.items():
            assert page.evaluate(plan, [times, factors]) == way, (times, factors)


@pytest.mark.parametrize("height, width", [(60, 171), (97, 131), (130, 200), (61, 300)])
def test_pictures_are_resized_as_by_infer(open_page, photo, height, width):
    resized = open_page().evaluate(
        """async ([rgba, before, after]) => {
            const { resize } = await import("./resize.js");
            return Array.from(resize(new ImageData(new Uint8ClampedArray(rgba), ...before), ...after).data);
        }""",
        [np.dstack([photo, np.full(photo.shape[:2], 255)]).ravel().tolist(), photo.shape[1::-1], [width, height]],
    )
    resized = np.reshape(resized, (height, width, 4))
    assert difference(resized[..., :3], resize(photo, height, width)) <= 1
    assert (resized[..., 3] == 255).all()


def test_a_browser_without_half_floats_enlarges_at_the_sharpness_of_a_stage(open_page, models, files, tmp_path):
    upscaler = tiny_upscaler(tmp_path / "painted_x2", factor=2)
    older = site([*models, read_model(upscaler)])
    older["weights.js"] = b"delete DataView.prototype.getFloat16;\n" + older["weights.js"].read_bytes()
    with served(older) as address:
        page = open_page(address, "?style=small_model")
        give(page, files / "rocket.png")
        page.select_option("#enlarge", label="2 times")
        page.click("#download")
        assert "too old for a sharpness between two stages" in wait(page, "wrong")
        for strength in (0, 2):
            expected = load_upscaler(upscaler)(canvas(page).astype(np.uint8), strength)
            assert difference(saved(page, tmp_path, "2 times", strength), expected) <= 1


def test_sharpness_is_asked_for_where_an_upscaler_has_stages_to_mix(open_page, models, tmp_path):
    upscalers = [tiny_upscaler(tmp_path / f"painted_x{factor}", factor, stages) for factor, stages in ((2, 1), (4, 2))]
    with served(site([*models, *map(read_model, upscalers)])) as address:
        page = open_page(address, viewport={"width": 360, "height": 740})
        for label, visible in (("not", False), ("2 times", False), ("4 times", True)):
            page.select_option("#enlarge", label=label)
            assert page.is_visible("#sharpness") == visible, label
        assert page.evaluate("document.documentElement.scrollWidth") == 360  # on a phone


def test_without_an_upscaler_there_is_no_choice(open_page):
    page = open_page(query="?style=small_model")
    assert page.is_hidden("#enlarge") and not page.is_visible("text=Enlarge")


def test_the_camera_is_painted_live(open_page):
    page = open_page(query="?style=small_model")
    page.click("#camera")
    assert "frames a second" in wait(page, "live")
    first = canvas(page, "photo")
    page.wait_for_function(
        "(before) => document.getElementById('message').textContent !== before", arg=page.inner_text("#message")
    )
    assert first.std() > 1
    page.click("#camera")
    wait(page, "ready")
    assert page.inner_text("#camera") == "Use the camera"


def test_without_a_camera_one_sentence_says_so(open_page):
    page = open_page(query="?style=small_model", permissions=[])
    page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('not allowed')); }")
    page.click("#camera")
    assert "The camera cannot be used (not allowed): allow it, or choose a photo." in wait(page, "wrong")


# Stopping and mishaps


def test_a_painting_can_be_canceled_and_made_again(open_page, files):
    page = open_page()
    page.select_option("#size", "0")
    give(page, files / "large.png", "painting")
    page.click("#cancel")
    assert wait(page, "canceled") == "Canceled."
    assert page.is_hidden("#cancel") and page.is_hidden("#progress")
    assert "320 x" in change(page, "#size", "320")


def test_a_newer_wish_overtakes_an_older_one(open_page, files):
    page = open_page()
    page.select_option("#size", "0")
    give(page, files / "large.png", "painting")
    assert "rocket.png" in give(page, files / "rocket.png")
    assert canvas(page).shape == (127, 161, 3)


def test_the_page_stays_alive_while_it_paints(open_page, files):
    page = open_page()
    give(page, files / "large.png", "painting")
    ticks = page.evaluate(
        "() => new Promise((done) => { let n = 0; const timer = setInterval(() => { n++; if (n === 20) {"
        " clearInterval(timer); done(document.body.dataset.state); } }, 20); })"
    )
    assert ticks == "painting"


def test_a_broken_picture_and_an_unknown_style_get_one_sentence(open_page, files):
    page = open_page(query="?style=cubist")
    assert page.inner_text("#message") == "There is no style 'cubist' here: choose one of those shown."
    said = give(page, files / "broken.jpg", "wrong")
    assert said == "broken.jpg is no picture that this browser can read: choose a JPEG, PNG or WebP."
    give(page, files / "rocket.png")  # and it goes on


def test_a_model_from_elsewhere_can_be_dropped(open_page, files):
    page = open_page(query="?style=small_model")
    give(page, files / "rocket.png")
    assert "broken.onnx is no model that paints here" in give(page, files / "broken.onnx", "wrong")
    assert "after inverse" in give(page, files / "inverse.onnx")
    assert difference(canvas(page), 255 - pixels(files / "rocket.png")) <= 1
    change(page, "#strength", "0.5")
    assert np.abs(canvas(page) - 127.5).max() <= 1  # half photo, half negative
    page.evaluate("document.body.dataset.state = 'given'")
    page.check("input[name=style][value='1']", force=True)
    assert "after Small Model" in wait(page, "painted")


def test_models_from_elsewhere_in_other_forms(open_page, files):
    page = open_page(query="?style=small_model")
    give(page, files / "rocket.png")
    negative = 255 - pixels(files / "rocket.png")
    assert "after LOUD, " in give(page, files / "LOUD.ONNX")
    assert difference(canvas(page), negative) <= 1
    for name in ("square", "smaller", "larger"):
        assert f"after {name}, 161 x 127 pixels" in give(page, files / f"{name}.onnx")
        assert np.abs(canvas(page)[8:-8, 8:-8] - negative[8:-8, 8:-8]).mean() < (12 if name == "square" else 6)
    says = "it takes input1 [1,4,H,W] float32, not one picture (1, 3, H, W)"
    assert says in give(page, files / "four.onnx", "wrong")
    assert "it was written for a newer onnxruntime" in give(page, files / "future.onnx", "wrong")
    assert "it gives infinite numbers or none (NaN)" in give(page, files / "nan.onnx", "wrong")


# Everywhere


@contextlib.contextmanager
def static(folder):
    """Serves a folder as any web host would, without the headers that threads need; gives its address."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_on_any_web_host_it_paints_with_one_thread_and_says_so(open_page, models, files, tmp_path):
    write_site(tmp_path / "site", models)
    with static(tmp_path) as address:
        page = open_page(f"{address}site/", "?style=small_model")
        give(page, files / "rocket.png")
        said = page.inner_text("#engine")
    assert "one thread" in said and "without the headers that threads need" in said
    photo = pixels(files / "rocket.png").astype(np.uint8)
    assert difference(canvas(page), load(models[1].folder)(photo)) <= 2


def test_the_javascript_of_the_guide_paints(open_page, models, published, photo, tmp_path):
    guide = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    code = guide.split("```js\n")[1].split("```")[0]
    code = code.replace("onnxruntime-web/wasm", "./vendor/ort.wasm.min.mjs").replace("stage_3", "stage_1")
    write_site(tmp_path / "site", models)
    (tmp_path / "site" / "snippet.js").write_text(code)
    (tmp_path / "site" / "starry_night.onnx").write_bytes(onnx_file(read_model(published)))
    with static(tmp_path) as address:
        page = open_page(f"{address}site/")
        painted = page.evaluate(
            """async ([values, height, width]) => {
                const { paint } = await import("./snippet.js");
                return Array.from(await paint(new Float32Array(values), height, width));
            }""",
            [photo.transpose(2, 0, 1).ravel().tolist(), *photo.shape[:2]],
        )
    painting = np.rint(np.reshape(painted, (3, *photo.shape[:2]))).transpose(1, 2, 0)
    assert difference(painting, load(published)(photo)) <= 1


def test_by_keyboard_alone(open_page, files):
    page = open_page()
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.name"))
    wanted = ["style", "file", "camera", "stage", "strength", "size", "keep-colors"]
    assert [name for name in reached if name in wanted][: len(wanted)] == wanted
    page.focus("input[name=style]:checked")
    page.keyboard.press("ArrowDown")
    assert page.eval_on_selector("input[name=style]:checked", "(one) => one.value") == "1"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_and_in_the_dark(open_page, files, scheme):
    page = open_page(query="?style=small_model", viewport={"width": 360, "height": 740}, color_scheme=scheme)
    give(page, files / "large.png")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    channels = [int(value) for value in paper[4:-1].split(",")]
    assert (max(channels) < 60) if scheme == "dark" else (min(channels) > 200)
