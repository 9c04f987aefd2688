"""`infer.py` from end to end: what it writes, what it says, and what it leaves alone."""

import io
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from helpers import (
    ROOT,
    assert_one_sentence,
    changed_model,
    on_full_disk,
    pixels,
    process,
    save,
    tiny_chain,
    tiny_model,
    tree,
)
from PIL import Image
from skimage import data

import e2e_art
from e2e_art.commands.main import main
from e2e_art.engines.choice import chosen
from e2e_art.errors import UserError
from e2e_art.evaluation.evaluator import Evaluator
from e2e_art.images.colors import denoise, keep_colors
from e2e_art.images.io import read_image
from e2e_art.images.resize import resize, resize_long_edge
from e2e_art.images.sheet import sheet
from e2e_art.models import folder
from e2e_art.models.folder import model_folders, read_model
from e2e_art.models.publish import publish

PHOTO = data.chelsea()[40:137, 60:191]  # 97x131: no multiple of anything


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny_waves")


@pytest.fixture(scope="module")
def painter(model):
    return e2e_art.load(model)


@pytest.fixture(autouse=True)
def same_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))  # --threads sets it


@pytest.fixture
def photo(tmp_path):
    return save(tmp_path / "photo.png", PHOTO)


def infer(model, *words) -> int:
    return main(["infer", *map(str, words), "--model", str(model)])


def difference(one, other) -> int:
    return np.abs(np.asarray(one, int) - np.asarray(other, int)).max()


def assert_same_sheet(path, pictures, labels, title="Tiny Waves") -> None:
    expected, found = sheet(pictures, labels, title), pixels(path)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 2  # JPEG


# What it writes


def test_one_photo_through_the_script(photo, model, painter, tmp_path):
    out = tmp_path / "new" / "folder" / "painting.png"
    done = process("infer.py", photo, "--model", model, "-o", out)
    assert done.returncode == 0
    assert done.stdout == b""
    assert b"1 painted in" in done.stderr
    assert pixels(out).shape == PHOTO.shape
    assert difference(pixels(out), painter(PHOTO)) <= 1
    assert difference(pixels(out), PHOTO) > 20  # it is painted indeed
    assert sorted(tree(tmp_path)) == ["new", "new/folder", "new/folder/painting.png", "photo.png"]


def test_the_python_call(model):
    painting = e2e_art.load(model)(PHOTO)
    assert painting.dtype == np.uint8
    assert painting.shape == PHOTO.shape
    assert np.array_equal(painting, e2e_art.load(str(model))(PHOTO, stage=3))
    with pytest.raises(UserError, match=r"uint8 \(H, W, 3\)"):
        e2e_art.load(model)(PHOTO / 255)
    with pytest.raises(UserError, match="unknown engine 'caffe': choose auto, onnx, mxnet or torch"):
        e2e_art.load(model, "caffe")


def test_a_photo_into_a_folder_keeps_its_name(photo, model, tmp_path):
    assert infer(model, photo, "-o", tmp_path / "out") == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo.png"]


def test_several_photos(model, painter, tmp_path, capsys):
    photos = [save(tmp_path / f"{number}.png", PHOTO[number:, : 40 + number]) for number in range(6)]
    assert infer(model, *photos, "-o", tmp_path / "out") == 0
    assert "6 painted" in capsys.readouterr().err
    for path in photos:  # none is mistaken for another, though they are read ahead
        assert difference(pixels(tmp_path / "out" / path.name), painter(read_image(path))) <= 1


def test_a_folder_keeps_its_tree(model, tmp_path):
    names = ["a/one.jpg", "a/b/one.jpg", "two.JPG", "b/three.webp", "b/four.gif", "b/five.ppm"]
    for name in names:
        save(tmp_path / "in" / name, PHOTO[:20, :30])
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    save(tmp_path / "in" / ".hidden.png", PHOTO[:9, :9])
    assert infer(model, tmp_path / "in", "-o", tmp_path / "out") == 0
    written = {name for name, content in tree(tmp_path / "out").items() if content is not None}
    assert written == {"a/one.jpg", "a/b/one.jpg", "two.JPG", "b/three.webp", "b/four.gif.png", "b/five.ppm.png"}
    for name in ("b/four.gif.png", "b/five.ppm.png"):
        with Image.open(tmp_path / "out" / name) as picture:
            assert picture.format == "PNG"


def test_a_folder_of_one_photo_is_still_a_folder(model, tmp_path):
    save(tmp_path / "in" / "a" / "one.jpg", PHOTO[:20, :30])
    assert infer(model, tmp_path / "in", "-o", tmp_path / "out.d") == 0
    assert (tmp_path / "out.d" / "a" / "one.jpg").is_file()


def test_patterns(model, tmp_path):
    for name in ("one.png", "two.png", "three.jpg", "deep/er/four.png"):
        save(tmp_path / "in" / name, PHOTO[:20, :30])
    assert infer(model, tmp_path / "in" / "*.png", "-o", tmp_path / "flat") == 0
    assert set(tree(tmp_path / "flat")) == {"one.png", "two.png"}
    assert infer(model, tmp_path / "in" / "**" / "*.png", "-o", tmp_path / "all") == 0
    assert set(tree(tmp_path / "all")) == {"one.png", "two.png", "four.png"}


def test_a_name_that_looks_like_a_pattern(model, tmp_path):
    path = save(tmp_path / "photo [1].png", PHOTO[:20, :30])
    assert infer(model, path, "-o", tmp_path / "out.png") == 0
    assert (tmp_path / "out.png").is_file()


def test_from_standard_input_to_standard_output(photo, model, painter):
    done = process("infer.py", "-", "--model", model, "-o", "-", input=photo.read_bytes())
    assert done.returncode == 0
    assert done.stdout.startswith(b"\x89PNG")
    painting = np.array(Image.open(io.BytesIO(done.stdout)))
    assert difference(painting, painter(PHOTO)) <= 1


def test_stages_and_their_sheet(photo, model, painter, tmp_path, capsys):
    assert infer(model, photo, "-o", tmp_path / "out" / "cat.png", "--stages") == 0
    stages = [f"cat_stage-{stage}.png" for stage in range(4)]
    assert set(tree(tmp_path / "out")) == {"cat.png", *stages, "cat_sheet.jpg"}
    said = capsys.readouterr().out.split()
    assert set(said) == {str(path) for path in (tmp_path / "out").iterdir()}
    pictures = [pixels(tmp_path / "out" / name) for name in stages]
    for stage, picture in enumerate(pictures):
        assert difference(picture, painter(PHOTO, stage=stage)) <= 1
    assert np.array_equal(pixels(tmp_path / "out" / "cat.png"), pictures[-1])
    # The sheet shows the photo, the painting's name, every stage and its losses.
    pictures = [picture.astype(np.uint8) for picture in pictures]
    losses = Evaluator(read_model(model)).losses(PHOTO, pictures)
    labels = [
        f"stage {stage}\ntotal {loss['total']:.2f}: style {loss['style']:.2f}, content {loss['content']:.2f}"
        for stage, loss in enumerate(losses)
    ]
    assert_same_sheet(tmp_path / "out" / "cat_sheet.jpg", [PHOTO, *pictures], ["photo.png", *labels])


@pytest.mark.parametrize(
    ("words", "shape"),
    [
        (("--size", 200, "--as-painted"), (148, 200)),
        (("--size", 64, "--as-painted", "--keep-colors"), (47, 64)),
        (("--size", 64, "--guided"), (97, 131)),
    ],
)
def test_a_sheet_measures_losses_at_the_size_of_the_paintings(photo, model, tmp_path, words, shape):
    assert infer(model, photo, "-o", tmp_path / "cat.png", "--stages", *words) == 0
    pictures = [pixels(tmp_path / f"cat_stage-{stage}.png").astype(np.uint8) for stage in range(4)]
    assert {picture.shape[:2] for picture in pictures} == {shape}
    losses = Evaluator(read_model(model)).losses(resize(PHOTO, *shape), pictures)
    labels = [
        f"stage {stage}\ntotal {loss['total']:.2f}: style {loss['style']:.2f}, content {loss['content']:.2f}"
        for stage, loss in enumerate(losses)
    ]
    assert_same_sheet(tmp_path / "cat_sheet.jpg", [PHOTO, *pictures], ["photo.png", *labels])


@pytest.mark.parametrize("words", [(), ("--size", 300, "--as-painted"), ("--size", 5, "--as-painted")])
def test_a_sheet_of_pictures_too_small_for_losses(model, tmp_path, words):
    """Losses need 16 pixels; a small photo that is painted large has them."""
    save(tmp_path / "dot.png", PHOTO[:8, :8])
    assert infer(model, tmp_path / "dot.png", "-o", tmp_path / "out.png", "--stages", *words) == 0
    pictures = [pixels(tmp_path / f"out_stage-{stage}.png").astype(np.uint8) for stage in range(4)]
    if 300 not in words:
        labels = ["dot.png", *(f"stage {stage}" for stage in range(4))]
        assert_same_sheet(tmp_path / "out_sheet.jpg", [PHOTO[:8, :8], *pictures], labels)
    assert (tmp_path / "out_sheet.jpg").exists()


def test_a_sheet_of_a_model_without_its_style(photo, published, tmp_path):
    assert infer(published, photo, "-o", tmp_path / "out.png", "--stages") == 0
    pictures = [pixels(tmp_path / f"out_stage-{stage}.png").astype(np.uint8) for stage in range(2)]
    labels = ["photo.png", "stage 0", "stage 1"]
    assert_same_sheet(tmp_path / "out_sheet.jpg", [PHOTO, *pictures], labels, "Small Model")


def test_a_model_is_read_and_verified_once(photo, model, tmp_path, monkeypatch):
    found = []
    find = folder.find_model
    monkeypatch.setattr(folder, "find_model", lambda name, *kind: found.append(name) or find(name, *kind))
    assert infer(model, photo, "-o", tmp_path / "out.png", "--stages") == 0
    assert main(["compare", str(photo), "--model", str(model), "--short-edge", "32", "--evaluations", "0"]) == 0
    assert found == [str(model)] * 2
    verified = read_model(model)
    assert e2e_art.load(verified).model is verified


def test_one_stage_is_one_of_all(photo, model, tmp_path):
    assert infer(model, photo, "-o", tmp_path / "all.png", "--stages") == 0
    for stage in range(4):
        assert infer(model, photo, "-o", tmp_path / f"{stage}.png", "--stage", stage) == 0
        assert difference(pixels(tmp_path / f"{stage}.png"), pixels(tmp_path / f"all_stage-{stage}.png")) <= 1
    assert infer(model, photo, "-o", tmp_path / "two.png", "--stage", 1, "--stages") == 0
    assert not (tmp_path / "two_stage-2.png").exists()
    assert np.array_equal(pixels(tmp_path / "two.png"), pixels(tmp_path / "two_stage-1.png"))


def test_strength(photo, model, tmp_path):
    for strength in ("0", "0.5", "1", "2"):
        assert infer(model, photo, "-o", tmp_path / f"{strength}.png", "--strength", strength) == 0
    assert difference(pixels(tmp_path / "0.png"), PHOTO) <= 1
    far = [np.abs(pixels(tmp_path / f"{strength}.png") - PHOTO).mean() for strength in ("0.5", "1", "2")]
    assert 1 < far[0] < far[1] < far[2]


def test_keep_colors(photo, model, painter, tmp_path):
    assert infer(model, photo, "-o", tmp_path / "out.png", "--keep-colors") == 0
    assert difference(pixels(tmp_path / "out.png"), keep_colors(painter(PHOTO), PHOTO)) <= 1
    assert difference(pixels(tmp_path / "out.png"), painter(PHOTO)) > 20


def test_denoise(photo, model, painter, tmp_path):
    assert infer(model, photo, "-o", tmp_path / "default.png", "--denoise") == 0
    assert difference(pixels(tmp_path / "default.png"), denoise(painter(PHOTO), 0.02)) <= 1
    assert infer(model, photo, "-o", tmp_path / "strong.png", "--denoise", "0.5") == 0

    def roughness(name):
        return np.abs(np.diff(pixels(tmp_path / name), axis=0)).mean()

    assert roughness("strong.png") < roughness("default.png")


def test_size_sets_where_it_is_painted_and_as_painted_leaves_it_there(photo, model, painter, tmp_path):
    small = painter(resize_long_edge(PHOTO, 64))
    assert infer(model, photo, "-o", tmp_path / "back.png", "--size", 64) == 0
    assert difference(pixels(tmp_path / "back.png"), resize(small, 97, 131)) <= 2
    assert infer(model, photo, "-o", tmp_path / "small.png", "--size", 64, "--as-painted") == 0
    assert pixels(tmp_path / "small.png").shape == (47, 64, 3)
    assert difference(pixels(tmp_path / "small.png"), small) <= 1
    assert infer(model, photo, "-o", tmp_path / "large.png", "--size", 200, "--as-painted") == 0
    assert pixels(tmp_path / "large.png").shape == (148, 200, 3)


@pytest.mark.numerical
@pytest.mark.parametrize("shape", [(97, 131), (1, 1), (1, 40), (33, 2)])
def test_the_engines_agree_through_the_command(model, tmp_path, shape):
    photo = save(tmp_path / "photo.png", PHOTO[: shape[0], : shape[1]])
    for engine in ("onnx", chosen()):
        assert infer(model, photo, "-o", tmp_path / f"{engine}.png", "--stages", "--engine", engine) == 0
    for stage in range(4):
        pictures = [pixels(tmp_path / f"{engine}_stage-{stage}.png") for engine in ("onnx", chosen())]
        assert pictures[0].shape == (*shape, 3)
        assert difference(*pictures) <= 1


def test_threads_change_nothing(photo, model, painter, tmp_path):
    for threads in (1, 2):
        assert infer(model, photo, "-o", tmp_path / f"{threads}.png", "--threads", threads) == 0
        assert difference(pixels(tmp_path / f"{threads}.png"), painter(PHOTO)) <= 1


def test_info_tells_how_it_was_trained(model, capsys):
    assert infer(model, "--info") == 0
    said = capsys.readouterr().out
    for word in ("Tiny Waves", "4 stages", "stage 3", "pyramid", "e2e-art train --style waves.jpg", "total 2", "1.9.1"):
        assert word in said


def test_list_names_what_is_shipped(capsys):
    assert main(["infer", "--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [folder.name for folder in model_folders()]


def test_a_checkout_finds_what_it_ships_from_any_folder(photo, model, tmp_path):
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "e2e_art", checkout / "e2e_art", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "infer.py", checkout)
    shutil.copytree(model, checkout / "pretrained" / "starry_night")

    def run(*words):
        command = [sys.executable, checkout / "infer.py", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)

    listed = run("--list")
    assert listed.stdout.startswith("starry_night ")  # by its folder: that is what --model takes
    assert "4 stages" in listed.stdout
    typo = run("photo.png", "-o", "out.png", "--model", "stary_nigth")
    assert_one_sentence(typo.returncode, typo.stderr, "stary_nigth", "did you mean starry_night?")
    assert run("photo.png", "-o", "out.png").returncode == 0  # starry_night is the default
    assert pixels(tmp_path / "out.png").shape == PHOTO.shape


def test_overwrite(photo, model, painter, tmp_path):
    out = save(tmp_path / "out.png", PHOTO[:5, :5])
    assert infer(model, photo, "-o", out, "--overwrite", "--stages") == 0
    assert infer(model, photo, "-o", out, "--overwrite", "--stages") == 0
    assert difference(pixels(out), painter(PHOTO)) <= 1


# Odd pictures


def odd(kind: str, path):
    grey = PHOTO[..., 1]
    if kind == "greyscale":
        return save(path / "odd.png", grey), PHOTO.shape[:2]
    if kind == "16-bit":
        return save(path / "odd.png", grey.astype(np.uint16) * 257), PHOTO.shape[:2]
    if kind == "palette":
        return save(path / "odd.png", Image.fromarray(PHOTO).quantize(16)), PHOTO.shape[:2]
    if kind == "CMYK":
        return save(path / "odd.jpg", PHOTO, "CMYK"), PHOTO.shape[:2]
    if kind == "transparent":
        return save(path / "odd.png", np.dstack([PHOTO, grey])), PHOTO.shape[:2]
    if kind == "rotated":
        exif = Image.Exif()
        exif[0x0112] = 6
        return save(path / "odd.jpg", PHOTO, exif=exif), PHOTO.shape[1::-1]
    return save(path / "odd.png", PHOTO[:1, :1]), (1, 1)


@pytest.mark.parametrize("kind", ["greyscale", "16-bit", "palette", "CMYK", "transparent", "rotated", "one pixel"])
def test_odd_pictures_are_painted(model, painter, tmp_path, kind):
    path, shape = odd(kind, tmp_path)
    assert infer(model, path, "-o", tmp_path / "out.png") == 0
    assert pixels(tmp_path / "out.png").shape == (*shape, 3)
    assert difference(pixels(tmp_path / "out.png"), painter(read_image(path))) <= 1


# Some unreadable


def test_an_unreadable_one_among_several_is_skipped(photo, model, tmp_path, capsys):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    again = save(tmp_path / "again.png", PHOTO)
    assert infer(model, photo, tmp_path / "broken.jpg", again, "-o", tmp_path / "out") == 0
    assert set(tree(tmp_path / "out")) == {"photo.png", "again.png"}
    said = capsys.readouterr().err
    assert f"skipped: {tmp_path}/broken.jpg is no picture" in said
    assert "2 painted" in said
    assert "1 could not be read and was skipped" in said


def test_all_unreadable(model, tmp_path):
    for name in ("one.jpg", "two.jpg"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"no picture")
    done = process("infer.py", tmp_path / "in", "--model", model, "-o", tmp_path / "out")
    said = done.stderr.decode()
    assert done.returncode == 2
    assert "Traceback" not in said
    assert "one.jpg is no picture" in said
    assert "two.jpg is no picture" in said
    assert "None of the 2 photos could be read" in said
    assert not (tmp_path / "out").exists()


# Mishaps: exit code 2, one sentence that names the file and the fix, nothing left behind


@pytest.fixture
def refused(photo, model, tmp_path, capsys):
    """Runs a command that must fail, and must leave the folder as it was."""

    def run(*words, says=(), model=model):
        before = tree(tmp_path)
        code = infer(model, *words)
        said = capsys.readouterr()
        assert_one_sentence(code, said.err, *says)
        assert said.out == ""
        assert tree(tmp_path) == before

    return run


def broken(kind: str, path):
    """Makes what cannot be painted; returns its path, and what the sentence must say of it."""
    jpeg = io.BytesIO()
    Image.fromarray(PHOTO).save(jpeg, "JPEG")
    photo = path / "broken.jpg"
    if kind == "missing":
        return photo, "does not exist: check the path"
    if kind == "truncated":
        photo.write_bytes(jpeg.getvalue()[:-900])
        return photo, "is damaged or cut short"
    if kind == "foreign":
        photo.write_text("This is a text.")
        return photo, "is no picture of a known kind: save it as .jpg or .png"
    if kind == "empty":
        photo.touch()
        return photo, "is empty: copy it again"
    if kind == "empty folder":
        (path / "folder").mkdir()
        return path / "folder", "holds no pictures: check the path"
    if kind == "below a file":
        photo.write_bytes(jpeg.getvalue())
        return photo / "deeper.jpg", "check its path"
    if kind == "name too long":
        return path / ("long" * 99 + ".jpg"), "long"
    return path / "*.jpg", "No file matches"


KINDS = ["missing", "truncated", "foreign", "empty", "empty folder", "unmatched", "below a file", "name too long"]


@pytest.mark.parametrize("kind", KINDS)
def test_photos_that_cannot_be_read(refused, tmp_path, kind):
    path, reason = broken(kind, tmp_path)
    refused(path, "-o", tmp_path / "out.png", says=[path, reason])


@pytest.mark.parametrize("kind", ["missing", "truncated", "foreign"])
def test_photos_that_cannot_be_read_through_the_script(model, tmp_path, kind):
    path, reason = broken(kind, tmp_path)
    done = process("infer.py", path, "--model", model, "-o", tmp_path / "out.png")
    assert_one_sentence(done.returncode, done.stderr.decode(), path, reason)
    assert done.stdout == b""
    assert not (tmp_path / "out.png").exists()


def test_nothing_to_do(refused):
    refused(says=["PHOTO... -o OUT", "--help"])
    refused("-o", "out.png", says=["PHOTO... -o OUT"])
    refused("photo.png", says=["PHOTO... -o OUT"])


def test_models_that_are_none(refused, photo, model, tmp_path):
    (tmp_path / "folder").mkdir()
    out = tmp_path / "out.png"
    refused(photo, "-o", out, model=tmp_path / "folder", says=[tmp_path / "folder", "train.py"])
    refused(photo, "-o", out, model=tmp_path / "nowhere", says=[tmp_path / "nowhere"])
    refused(photo, "-o", out, model=photo, says=[photo, "is no model"])
    refused("--info", model=tmp_path / "nowhere", says=["nowhere"])


@pytest.mark.parametrize(
    "file", ["model.onnx", "stage-1.onnx", "noise.int8", "stage-0.safetensors", "stage-3.safetensors", "style.npz"]
)
def test_a_model_with_one_flipped_byte(refused, photo, model, tmp_path, file):
    copy = changed_model(model, tmp_path / "copy")
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 2] ^= 4
    (copy / file).write_bytes(content)
    for engine in ("onnx", chosen()):
        says = [copy / file, "has changed", "get a whole copy"]
        refused(photo, "-o", tmp_path / "out.png", "--engine", engine, model=copy, says=says)


def test_a_model_without_one_of_its_files(refused, photo, model, tmp_path):
    copy = changed_model(model, tmp_path / "copy")
    (copy / "stage-2.safetensors").unlink()
    refused(photo, "-o", tmp_path / "out.png", model=copy, says=[copy / "stage-2.safetensors", "get a whole copy"])


def test_a_model_of_a_newer_format(refused, photo, model, tmp_path):
    copy = changed_model(model, tmp_path / "copy", format=99)
    says = [copy / "model.json", "format version 99", "install"]
    refused(photo, "-o", tmp_path / "out.png", model=copy, says=says)


def test_a_description_with_any_byte_changed(refused, photo, model, tmp_path):
    copy = changed_model(model, tmp_path / "copy")
    content = (copy / "model.json").read_bytes()
    changed = content.replace(b'"residual_weight": 0.4', b'"residual_weight": 0.6')
    assert changed != content
    (copy / "model.json").write_bytes(changed)
    for engine in ("onnx", chosen()):
        says = [copy / "model.json", "has changed", "get a whole copy"]
        refused(photo, "-o", tmp_path / "out.png", "--engine", engine, model=copy, says=says)


def test_files_in_the_way(refused, photo, tmp_path):
    save(tmp_path / "out.png", PHOTO[:5, :5])
    refused(photo, "-o", tmp_path / "out.png", says=[tmp_path / "out.png", "--overwrite"])
    refused(photo, "-o", tmp_path, says=[photo, "--overwrite"])  # the painting would replace the photo
    save(tmp_path / "two_sheet.jpg", PHOTO[:5, :5])
    refused(photo, "-o", tmp_path / "two.png", "--stages", says=["two_sheet.jpg", "--overwrite"])
    save(tmp_path / "three_stage-1.png", PHOTO[:5, :5])
    refused(photo, "-o", tmp_path / "three.png", "--stages", says=["three_stage-1.png", "--overwrite"])


def test_several_photos_into_one_file(refused, photo, tmp_path):
    again = save(tmp_path / "again.png", PHOTO)
    out = save(tmp_path / "out.png", PHOTO[:5, :5])
    refused(photo, again, "-o", out, says=[out, "2 photos", "give a folder"])
    refused(photo, again, "-o", "-", says=["2", "give a folder"])


def test_two_photos_of_the_same_name(refused, photo, tmp_path):
    twin = save(tmp_path / "twin" / "photo.png", PHOTO)
    refused(photo, twin, "-o", tmp_path / "out", says=[tmp_path / "out" / "photo.png", "give their folder"])


def test_an_unknown_suffix(refused, photo, tmp_path):
    refused(photo, "-o", tmp_path / "out.xyz", says=[tmp_path / "out.xyz", "'.xyz'", ".png"])


@pytest.mark.parametrize("where", ["below a file", "in /proc", "name too long"])
def test_outputs_that_cannot_be_written(refused, photo, where, tmp_path):
    names = {
        "below a file": photo / "out.png",
        "in /proc": "/proc/out.png",
        "name too long": tmp_path / f"{300 * 'l'}.png",
    }
    out = names[where]
    refused(photo, "-o", out, says=[out])


def test_options_out_of_range(refused, photo, tmp_path):
    out = tmp_path / "out.png"
    refused(photo, "-o", out, "--strength", "5", says=["--strength takes a number from 0 to 2, not '5'"])
    refused(photo, "-o", out, "--strength", "nan", says=["--strength", "'nan'"])
    refused(photo, "-o", out, "--stage", "9", says=["stages 0 to 3", "9"])
    refused(photo, "-o", out, "--stage", "-1", says=["--stage takes a whole number of 0 or more, not '-1'"])
    refused(photo, "-o", out, "--stage", "9", "--stages", says=["stages 0 to 3", "9"])
    refused(photo, "-o", out, "--size", "-3", says=["--size takes the long edge of a photo in pixels", "'-3'"])
    refused(photo, "-o", out, "--tile", "-3", says=["--tile takes a whole number of 0 or more or auto, not '-3'"])
    for size in ("10000000", "3000000000", "99999999999999999999"):
        refused(photo, "-o", out, "--size", size, says=["GB are free: --size ", " would fit"])
    refused(photo, "-o", out, "--denoise", "nan", says=["--denoise", "'nan'"])
    refused(photo, "-o", out, "--denoise", "-1", says=["--denoise takes a number of 0 or more, not '-1'"])
    for threads in ("0", "-2"):
        refused(photo, "-o", out, "--threads", threads, says=["--threads takes a whole number of 1 or more", threads])
    refused(photo, "-o", "-", "--stages", says=["--stages"])


def test_several_photos_do_not_fit_into_the_name_of_one_picture(refused, photo, tmp_path):
    other = save(tmp_path / "other.png", PHOTO)
    refused(photo, other, "-o", tmp_path / "both.jpg", says=["both.jpg", "2 photos", "folder"])


@pytest.mark.parametrize("words", [["--engine", "onnx"], ["--engine", chosen()], ["--tile", "96"]])
def test_a_model_of_weights_that_are_no_numbers_paints_nothing(refused, photo, tmp_path, monkeypatch, words):
    monkeypatch.setattr("e2e_art.models.publish.is_kept", lambda weight: True)  # which refuses to write such a model
    chain = tiny_chain(stages=1)
    weights = chain.stage_weights(0)
    chain.set_stage_weights(0, {name: np.full_like(weight, np.nan) for name, weight in weights.items()})
    model = tmp_path / "nan"
    publish(chain, model, {"command": "by hand"})
    refused(photo, "-o", tmp_path / "out.png", *words, says=[model, "infinite numbers"], model=model)


def test_names_that_the_terminal_cannot_write_are_escaped(model, tmp_path):
    photo = save(tmp_path / "föto 写真.png", PHOTO[:16, :16])
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = process("infer.py", photo, "--model", model, "-o", tmp_path / "ü.png", "--stages", env=environment)
    assert done.returncode == 0, done.stderr
    assert rb"\xfc_stage-0.png" in done.stdout
    assert (tmp_path / "ü_stage-0.png").exists()


@pytest.mark.parametrize("engine", ["auto", "onnx", chosen()])
def test_a_gpu_that_is_not_there(refused, photo, tmp_path, engine):
    refused(photo, "-o", tmp_path / "out.png", "--gpu", "77", "--engine", engine, says=["GPU", "77"])


def test_onnxruntime_has_no_code_for_macs(refused, photo, tmp_path):
    refused(photo, "-o", tmp_path / "out.png", "--gpu", "mps", "--engine", "onnx", says=["Mac", "--engine torch"])


def test_a_gpu_where_nothing_but_onnxruntime_is_installed(refused, photo, tmp_path, monkeypatch):
    monkeypatch.setattr("e2e_art.engines.choice.find_spec", lambda name: None)
    refused(photo, "-o", tmp_path / "out.png", "--gpu", "77", says=["GPU 77", "onnxruntime-gpu"])


def test_garbage_on_standard_input(model, tmp_path):
    for content, reason in ((b"garbage", "is no picture"), (b"", "is empty")):
        done = process("infer.py", "-", "--model", model, "-o", tmp_path / "out.png", input=content)
        assert_one_sentence(done.returncode, done.stderr.decode(), "standard input", reason)
    assert tree(tmp_path) == {}


def test_a_disk_that_fills(photo, model, tmp_path):
    before = tree(tmp_path)
    done = on_full_disk(2000, "infer.py", photo, "--model", model, "-o", tmp_path / "out" / "out.png")
    out = tmp_path / "out" / "out.png"
    assert_one_sentence(done.returncode, done.stderr.decode(), out, "cannot be written", "space")
    after = tree(tmp_path)
    after.pop("out", None)
    assert after == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output(photo, model):
    command = [sys.executable, ROOT / "infer.py", photo, "--model", model, "-o", "-"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "standard output" in done.stderr


def test_a_reader_that_goes_away(photo, model):
    command = [sys.executable, ROOT / "infer.py", photo, "--model", model, "-o", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.close()
        said = running.stderr.read()
    assert b"Traceback" not in said
