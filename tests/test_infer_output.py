"""Where `infer.py` writes its paintings, what it says of them, and what it never replaces."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from helpers import ROOT, assert_one_sentence, on_full_disk, pixels, process, save, tree
from PIL import Image, ImageCms
from skimage import data

import e2e_art
from e2e_art.commands import infer_batch, infer_sheet
from e2e_art.commands.main import main
from e2e_art.evaluation import evaluator
from e2e_art.images import io as images
from e2e_art.images.resize import resize
from e2e_art.images.sheet import sheet
from e2e_art.models.folder import list_models, read_model

PHOTO = data.chelsea()[40:60, 60:90]
FROM = 0x8769  # the part of EXIF data that tells of the exposure


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, published):
    """Runs `infer` in an empty folder; returns exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*words, model=published):
        code = main(["infer", *map(str, words), *(["--model", str(model)] if model else [])])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def photos(*names) -> None:
    for name in names:
        save(images.Path(name), PHOTO)


def files(folder=".") -> set[str]:
    return {name for name, content in tree(images.Path(folder)).items() if content is not None}


# Files and folders


@pytest.mark.parametrize("out", ["out.png", "out.PNG", "out.gif", "out.mp4", "out.svg", "out.heic"])
def test_several_photos_never_make_a_folder_with_the_name_of_a_picture(run, out):
    photos("a.jpg", "b.jpg")
    code, _, said = run("a.jpg", "b.jpg", "-o", out)
    assert_one_sentence(code, said, out, "2 photos", "give a folder")
    assert files() == {"a.jpg", "b.jpg"}


@pytest.mark.parametrize(
    "out", ["2024.05", "2024.05/", "v1.2", "name", "new/deep/", "out.", "x.png/", "existing.d", ".."]
)
@pytest.mark.parametrize("count", [1, 2])
def test_folders(run, tmp_path, monkeypatch, out, count):
    (tmp_path / "here" / "existing.d").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    photos("a.jpg", "b.jpg")
    assert run(*["a.jpg", "b.jpg"][:count], "-o", out)[0] == 0
    assert files(out) >= set(["a.jpg", "b.jpg"][:count])


@pytest.mark.parametrize("out", ["x.gif", "x.svg", "x.xyz", "painting.jqg", "v1/x.gif"])
def test_one_photo_as_a_kind_that_cannot_be_written(run, out):
    photos("a.jpg")
    code, _, said = run("a.jpg", "-o", out)
    assert_one_sentence(code, said, out, f"'.{out[-3:]}'", ".png", f"{out}/ for a folder")
    assert files() == {"a.jpg"}


@pytest.mark.parametrize("out", ["x.JPG", "x.png", "x.avif", "x.heic", "x.tiff", "x.webp", "new/folder/x.jpeg"])
def test_one_photo_into_a_file(run, out):
    photos("a.jpg")
    assert run("a.jpg", "-o", out)[0] == 0
    assert files() == {"a.jpg", out}
    assert images.read_image(out).shape == PHOTO.shape


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes")
def test_a_photo_from_a_pipe(run):
    photos("a.png")
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: images.Path("pipe").write_bytes(images.Path("a.png").read_bytes()))
    writer.start()
    assert run("pipe", "--strength", "0", "-o", "out.png")[0] == 0
    writer.join()
    assert np.array_equal(pixels("out.png"), PHOTO)


def test_photos_that_are_no_files(run):
    assert_one_sentence(*run("https://a.org/b.jpg", "-o", "c.png")[::2], "https://a.org/b.jpg", "download it, and give")
    assert_one_sentence(*run("", "-o", "c.png")[::2], "One of the photos has no name")


def test_a_pattern_of_one_photo_takes_a_file_and_a_folder_of_one_does_not(run):
    photos("in/a.jpg")
    assert run("in/*.jpg", "-o", "out.png")[0] == 0
    code, _, said = run("in", "-o", "two.png")
    assert_one_sentence(code, said, "two.png", "paintings of a folder")
    code, _, said = run("in", "-o", "-")
    assert_one_sentence(code, said, "-o -", "a folder")
    assert files() == {"in/a.jpg", "out.png"}


def test_places_where_no_folder_can_be_made(run, monkeypatch):
    photos("a.jpg", "b.jpg")
    for words in (["a.jpg", "-o", "b.jpg/x.png"], ["a.jpg", "b.jpg", "-o", "b.jpg/x"], ["a.jpg", "-o", "b.jpg/"]):
        code, _, said = run(*words)
        assert_one_sentence(code, said, words[-1], "b.jpg is no folder")
    monkeypatch.setattr(os, "access", lambda *path_and_mode: False)
    code, _, said = run("a.jpg", "-o", "new/x.png")
    assert_one_sentence(code, said, "new/x.png", "you may not write to .")
    assert files() == {"a.jpg", "b.jpg"}


# Names in a folder


def test_each_photo_of_a_folder_has_a_painting_of_its_own(run):
    names = {
        "IMG_1.JPG": "IMG_1.JPG",
        "IMG_1.jpg": "IMG_1.jpg.jpg",  # to a file system that knows no case the name is taken
        "IMG_1.png": "IMG_1.png",
        "IMG_1.gif": "IMG_1.gif.png",
        "IMG_1.heic": "IMG_1.heic",
        "IMG_1.ppm": "IMG_1.ppm.png",
        "deep/IMG_1.jpg": "deep/IMG_1.jpg",
    }
    photos(*(f"in/{name}" for name in names if not name.endswith("heic")))
    images.write_image("in/IMG_1.heic", PHOTO)
    assert run("in", "-o", "out")[0] == 0
    assert files("out") == set(names.values())
    for name in names:  # a photo alone has the name that it has beside others
        if name != "IMG_1.jpg":
            run(f"in/{name}", "-o", "alone")
    assert files("alone") == {os.path.basename(painting) for name, painting in names.items() if name != "IMG_1.jpg"} | {
        "IMG_1.jpg"
    }


def test_stages_of_photos_whose_names_are_alike(run):
    photos("in/a.jpg", "in/a.png", "in/a_stage-1.jpg")
    assert run("in", "-o", "out", "--stages")[0] == 0
    ends = ("", "_stage-0", "_stage-1", "_sheet")
    expected = [f"{stem}{end}{suffix}" for stem, suffix in (("a", ".jpg"), ("a", ".png")) for end in ends]
    assert files("out") == {*expected, "a_stage-1.jpg.jpg", *(f"a_stage-1.jpg{end}.jpg" for end in ends[1:])}
    assert np.abs(pixels("out/a_stage-1.jpg") - pixels("out/a.jpg")).max() <= 1


def test_a_photo_that_is_given_twice_is_painted_once(run):
    photos("in/a.jpg", "in/deep/b.jpg")
    os.symlink("in", "link")
    code, _, said = run(
        "in/a.jpg", "./in/a.jpg", "in", "in/deep", "link", "in/**/*.jpg", os.path.abspath("in"), "-o", "out"
    )
    assert code == 0
    assert "2 painted" in said
    assert files("out") == {"a.jpg", "deep/b.jpg"}


# Photos are never replaced


def test_a_photo_is_never_replaced_by_its_painting(run, tmp_path):
    photos("a.jpg", "b.jpg")
    os.symlink("a.jpg", "link.jpg")
    before = tree(tmp_path)
    for words in (
        ["a.jpg", "-o", "a.jpg"],
        ["a.jpg", "-o", "./a.jpg"],
        ["a.jpg", "-o", tmp_path / "a.jpg"],
        ["a.jpg", "-o", "link.jpg"],
        ["link.jpg", "-o", "a.jpg"],
        ["a.jpg", "-o", "."],
        ["a.jpg", "b.jpg", "-o", tmp_path],
        ["*.jpg", "-o", "."],
    ):
        for more in ([], ["--overwrite"], ["--skip-existing"]):
            code, _, said = run(*words, *more)
            assert_one_sentence(code, said, "is one of the photos", "choose another -o")
    assert tree(tmp_path) == before


def test_a_folder_is_never_painted_over(run, tmp_path):
    photos("in/a.jpg", "in/b.gif")
    os.symlink("in", "link")
    before = tree(tmp_path)
    for words in (["in", "-o", "in"], ["in/", "-o", tmp_path / "in"], ["link", "-o", "in"], ["in", "-o", "link/"]):
        code, _, said = run(*words, "--overwrite")
        assert_one_sentence(code, said, "is the folder of the photos", "painted")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("source", ["in", "in/**/*.jpg", "link"])
def test_paintings_in_the_photos_own_folder_are_not_painted_again(run, source):
    photos("in/a.jpg", "in/deep/b.jpg")
    os.symlink("in", "link")
    assert run(source, "-o", "in/painted")[0] == 0
    written = files("in/painted")
    code, _, said = run(source, "-o", "in/painted", "--overwrite")
    assert code == 0
    assert "2 painted" in said
    assert "2 pictures in in/painted were left out: it is -o" in said
    assert files("in/painted") == written
    assert run("in/deep", "-o", "in", "--overwrite")[0] == 0  # a folder above the photos leaves nothing out
    assert (images.Path("in") / "b.jpg").is_file()


# Going on


def test_an_interrupted_folder_goes_on(run):
    photos("in/a.jpg", "in/b.jpg", "in/c.jpg")
    assert run("in/a.jpg", "-o", "out")[0] == 0
    code, _, said = run("in", "-o", "out")
    assert_one_sentence(code, said, "out/a.jpg exists: add --skip-existing to go on, or --overwrite")
    before = os.stat("out/a.jpg").st_mtime_ns
    code, _, said = run("in", "-o", "out", "--skip-existing")
    assert code == 0
    assert "2 painted in" in said
    assert "1 existed and was skipped" in said
    code, _, said = run("in", "-o", "out", "--skip-existing")
    assert code == 0
    assert "0 painted in" in said
    assert "3 existed and were skipped" in said
    assert os.stat("out/a.jpg").st_mtime_ns == before
    code, _, said = run("in", "-o", "out")
    assert_one_sentence(code, said, "out/a.jpg (and 2 more) exist")


def test_with_stages_all_files_of_a_photo_have_to_exist(run):
    photos("in/a.jpg", "in/b.jpg")
    assert run("in", "-o", "out", "--stages")[0] == 0
    os.remove("out/b_sheet.jpg")
    before = {name: os.stat(f"out/{name}").st_mtime_ns for name in files("out")}
    code, _, said = run("in", "-o", "out", "--stages", "--skip-existing")
    assert code == 0
    assert "1 painted in" in said
    assert "1 existed and was skipped" in said
    after = {name: os.stat(f"out/{name}").st_mtime_ns for name in files("out")}
    assert {name for name in after if after[name] != before.get(name)} == {name for name in after if name[0] == "b"}


def test_flags_that_contradict_each_other(run):
    photos("a.jpg")
    for words in (
        ["-o", "x.png", "--overwrite", "--skip-existing"],
        ["-o", "-", "--json"],
        ["-o", "-", "--skip-existing"],
    ):
        code, _, said = run("a.jpg", *words)
        assert_one_sentence(code, said, words[-1])


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_in_a_folder(published, tmp_path, capsys, presses):
    for number in range(12):
        save(tmp_path / "in" / f"{number:02}.png", data.chelsea())
    words = [tmp_path / "in", "--model", published, "-o", tmp_path / "out"]
    command = [sys.executable, ROOT / "infer.py", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        while not list((tmp_path / "out").glob("*.png")):
            time.sleep(0.02)
            assert running.poll() is None
        for _ in range(presses):
            running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in said
    done = len(list((tmp_path / "out").iterdir()))
    assert 0 < done < 12
    assert f"Interrupted: {done} painted in" in said
    assert "the same command with --skip-existing goes on" in said
    assert all(images.read_image(path).shape == (300, 451, 3) for path in (tmp_path / "out").iterdir())
    assert main(["infer", *map(str, words), "--skip-existing"]) == 0
    assert f"{12 - done} painted in" in capsys.readouterr().err
    assert len(list((tmp_path / "out").iterdir())) == 12


# Some fail


def test_a_photo_that_vanishes_and_a_name_that_is_too_long(run, monkeypatch):
    long = "x" * 248 + ".gif"  # whose painting's name, with .png, has 256 bytes
    photos("in/a.jpg", f"in/{long}", "in/z.jpg")
    monkeypatch.setattr(
        infer_batch,
        "read_picture",
        lambda source, read=images.read_picture: (
            source == "in/a.jpg" and os.path.exists(source) and os.remove(source) or read(source)
        ),
    )
    code, _, said = run("in", "-o", "out")
    assert code == 0
    assert "in/a.jpg does not exist" in said
    assert "File name too long" in said
    assert "1 painted in" in said
    assert "1 could not be read and was skipped" in said
    assert "1 could not be written and was skipped" in said
    assert files("out") == {"z.jpg"}


def test_a_disk_that_fills_ends_the_work_with_its_report(published, tmp_path):
    noise = np.random.RandomState(0).randint(0, 256, (200, 200, 3), np.uint8)
    for name, picture in (("a.png", PHOTO), ("b.png", noise), ("c.png", PHOTO)):
        save(tmp_path / "in" / name, picture)
    done = on_full_disk(20_000, "infer.py", tmp_path / "in", "--model", published, "-o", tmp_path / "out")
    said = done.stderr.decode()
    assert done.returncode == 2
    assert "Traceback" not in said
    assert "1 painted in" in said
    assert "b.png cannot be written" in said
    assert files(tmp_path / "out") == {"a.png"}


def test_what_was_passed_over_is_told(run):
    photos("in/a.jpg")
    for name in ("in/clip.mp4", "in/b/layers.psd", "in/notes"):
        images.Path(name).parent.mkdir(exist_ok=True)
        images.Path(name).write_text("x")
    _, _, said = run("in", "-o", "out")
    assert "3 other files were passed over: .mp4, .psd, no suffix" in said
    code, _, said = run("in/b", "-o", "out")
    assert_one_sentence(code, said, "The folder in/b holds no pictures", "1 other file was passed over: .psd")


# EXIF data and color profiles


def tagged(path, profile=None):
    """Writes a photo with a camera's EXIF data, lying on its side."""
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "Camera maker"})
    exif.get_ifd(FROM)[0x829A] = 1 / 125
    return save(path, PHOTO, exif=exif, icc_profile=profile)


def test_metadata_travels_to_paintings_unless_stripped(run, tmp_path):
    tagged(tmp_path / "a.jpg")
    assert run("a.jpg", "-o", "out.jpg", "--stages")[0] == 0
    assert run("a.jpg", "-o", "bare.jpg", "--strip")[0] == 0
    exif = {}
    for path in tmp_path.glob("*.jpg"):
        with Image.open(path) as picture:
            exif[path.name] = picture.getexif()
            exif[path.name].get_ifd(FROM)
    for name in ("out.jpg", "out_stage-0.jpg", "out_stage-1.jpg"):
        assert exif[name][0x010F] == "Camera maker"
        assert exif[name].get(0x0112, 1) == 1
        assert exif[name].get_ifd(FROM)
        assert pixels(tmp_path / name).shape == (30, 20, 3)
    assert not exif["bare.jpg"]
    assert not exif["out_sheet.jpg"]


def test_metadata_travels_to_standard_output(published, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = tagged(tmp_path / "a.jpg", profile)
    for words, travels in (([], True), (["--strip"], False)):
        done = process("infer.py", "-", "--model", published, "-o", "-", *words, input=photo.read_bytes())
        assert done.returncode == 0
        picture = Image.open(io.BytesIO(done.stdout))
        assert (picture.getexif().get(0x010F) == "Camera maker") == travels
        assert ("icc_profile" in picture.info) == travels


# For programs


def test_json_has_one_line_for_each_picture(run):
    photos("in/a.jpg", "in/c.jpg", "out/c.jpg")
    images.Path("in/b.jpg").write_text("x")
    images.Path("in/notes.txt").write_text("x")
    code, out, said = run("in", "-o", "out", "--json", "--skip-existing")
    assert code == 0
    lines = {line["in"]: line for line in map(json.loads, out.splitlines())}
    assert len(out.splitlines()) == len(lines) == 3
    done = lines["in/a.jpg"]
    assert done.pop("seconds") > 0
    model = "small_model"
    expected = {"in": "in/a.jpg", "out": "out/a.jpg", "model": model, "size": [30, 20], "skipped": None, "beside": []}
    assert done == expected
    assert "is no picture" in lines["in/b.jpg"]["skipped"]
    assert lines["in/c.jpg"]["skipped"] == "exists"
    assert "1 painted in" in said
    assert "1 other file was passed over" in said


def test_json_names_the_files_beside_a_painting_and_what_failed(run):
    photos("a.jpg")
    code, out, _ = run("a.jpg", "-o", "x.png", "--stages", "--json")
    assert code == 0
    assert json.loads(out)["beside"] == ["x_stage-0.png", "x_stage-1.png", "x_sheet.jpg"]
    images.Path("b.jpg").write_text("x")
    code, out, said = run("b.jpg", "-o", "y.png", "--json")
    assert_one_sentence(code, said, "b.jpg is no picture")
    assert "b.jpg is no picture" in json.loads(out)["skipped"]


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no Unicode")
def test_json_of_names_that_are_no_unicode(published, tmp_path):
    name = b'na\xefve \n"1".png'
    save(tmp_path / "a.png", PHOTO).rename(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    words = ["infer.py", tmp_path, "--model", published, "-o", tmp_path / "out", "--json"]
    done = process(*words, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert os.fsencode(json.loads(line)["in"]) == os.path.join(os.fsencode(tmp_path), name)


# Every shipped style


def test_every_shipped_style_on_one_sheet(run, tmp_path, monkeypatch):
    tagged(tmp_path / "c.jpg")
    names = [model.name for model in list_models(infer_sheet.pretrained_folder())]
    assert len(names) == 6
    paintings = []

    def load(model, *device):
        painter = e2e_art.load(model, *device)
        stages = painter.stages
        painter.stages = lambda *photo, **look: paintings.append(stages(*photo, **look)[0]) or paintings[-1:]
        return painter

    monkeypatch.setattr(infer_sheet, "load", load)
    code, out, _ = run("c.jpg", "-o", "sheet.jpg", "--size", 24, "--json", model="all")
    assert code == 0
    assert json.loads(out)["model"] == "all"
    with Image.open("sheet.jpg") as picture:
        assert not picture.getexif()
    photo = resize(images.read_image("c.jpg"), 24, 16)
    assert [painting.shape for painting in paintings] == [photo.shape] * 6
    labels = ["c.jpg", *(f"{read_model(name).title}\n--model {name}" for name in names)]
    expected = sheet([photo, *paintings], labels, "6 styles", columns=4)
    assert expected.shape == pixels("sheet.jpg").shape
    assert np.abs(expected - pixels("sheet.jpg")).mean() < 2


def test_a_sheet_for_each_photo_painted_at_512_pixels_by_default(run, tmp_path, monkeypatch, published):
    monkeypatch.setattr(infer_sheet, "list_models", lambda folder: [read_model(published)])
    photos("in/a.jpg", "in/b.gif")
    save(tmp_path / "in" / "large.jpg", np.zeros((30, 1100, 3), np.uint8))
    assert run("in", "-o", "sheets", model="all")[0] == 0
    assert files("sheets") == {"a.jpg", "b.gif.png", "large.jpg"}
    assert pixels("sheets/large.jpg").shape[1] == 2 * (512 + 12) + 12
    assert run("in", "-o", "sheets", "--size", 0, "--overwrite", model="all")[0] == 0
    assert pixels("sheets/large.jpg").shape[1] == 2 * (1024 + 12) + 12


def test_what_does_not_go_with_every_style(run):
    photos("a.jpg")
    for words in (["--stages"], ["--guided"], ["--as-painted"], ["--strip"]):
        code, _, said = run("a.jpg", "-o", "sheet.jpg", *words, model="all")
        assert_one_sentence(code, said, words[0], "leave it out with --model all")
    code, _, said = run("a.mp4", "-o", "sheet.jpg", model="all")
    assert_one_sentence(code, said, "--model all is for photos: choose one model for a clip")


def test_labels_fit_their_column():
    picture = np.zeros((10, 10, 3), np.uint8)
    wide = sheet([picture] * 3, ["w" * 500, "na\udcefve", "写真\n" + "x" * 500], "Title")
    assert wide.shape[1] < 3 * 360
    assert sheet([picture], ["short"], "Title").shape[1] < 200


def test_json_of_textures_and_a_drawing_that_is_never_replaced(run, tmp_path):
    code, out, _ = run("--texture", "brick", "--size", 32, "--seed", 3, "-o", "t.png", "--json", model=None)
    assert code == 0
    line = json.loads(out)
    assert (line["in"], line["size"], line["seed"]) == (None, [32, 32], 3)
    drawing = save(tmp_path / "drawing.png", np.zeros((16, 16, 3), np.uint8))
    before = drawing.read_bytes()
    code, _, said = run(drawing, "-o", drawing, "--overwrite", model="monet")
    assert_one_sentence(code, said.splitlines()[-1], "is one of the photos")
    assert drawing.read_bytes() == before


# One evaluator, honest seconds


def test_one_evaluator_for_all_photos_and_seconds_of_the_whole_work(run, monkeypatch):
    made = []

    class Slow(evaluator.Evaluator):
        def __init__(self, model):
            made.append(model.name)
            time.sleep(0.3)

        def losses(self, photo, pictures):
            time.sleep(0.2)
            made.append(max(photo.shape))
            return [dict(total=1, style=0.5, content=0.5)] * len(pictures)

    monkeypatch.setattr(evaluator, "Evaluator", Slow)
    photos("in/a.jpg", "in/b.jpg")
    save(images.Path("in/large.jpg"), np.zeros((100, 1300, 3), np.uint8))
    started = time.perf_counter()
    code, _, said = run("in", "-o", "out", "--stages")
    spent = time.perf_counter() - started
    assert code == 0
    assert made == ["small_model", 30, 30, 640]  # losses are measured at what a sheet shows, or less
    seconds = float(said.split("painted in ")[1].split(" s")[0])
    assert 0.6 <= seconds <= spent + 0.1  # three losses of 0.2 s are part of it
