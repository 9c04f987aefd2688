"""`infer --upscale`: photos, folders, clips and paintings that are enlarged, and what goes wrong."""

import io
import json
import shutil

import av
import numpy as np
import pytest
from helpers import assert_one_sentence, pixels, save, tiny_upscaler
from PIL import ExifTags, Image
from skimage import data

from e2e_art import load, load_upscaler, read_picture
from e2e_art.commands.main import main
from e2e_art.images.io import encode_image
from e2e_art.images.resize import resize
from e2e_art.models import folder
from e2e_art.painting import enlarge


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_upscaler(tmp_path_factory.mktemp("upscalers") / "tiny_x2", factor=2)


@pytest.fixture
def shipped(tmp_path, monkeypatch, model):
    """The factor of 2 shipped, for photos."""
    for each in (folder, enlarge):
        monkeypatch.setattr(each, "pretrained_folder", lambda: tmp_path / "pretrained")
    return shutil.copytree(model, tmp_path / "pretrained" / "upscalers" / "photo_x2")


@pytest.fixture
def given(tmp_path, monkeypatch, photo):
    """A photo in the current folder."""
    monkeypatch.chdir(tmp_path)
    return save(tmp_path / "photo.png", photo)


def run(*words) -> None:
    assert main(["infer", *map(str, words)]) == 0


@pytest.fixture
def refused(capsys):
    def check(*words, says: str) -> None:
        code = main(["infer", *map(str, words)])
        assert_one_sentence(code, capsys.readouterr().err, says)

    return check


def opened(path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def clip(path):
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shift in range(6):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(data.astronaut()[shift : shift + 48, 100:164]))
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


# Photos


def test_a_photo_is_enlarged(given, photo, model, capsys):
    run("photo.png", "--upscale", model, "-o", "large.png")
    assert np.array_equal(pixels("large.png"), load_upscaler(model)(photo))
    assert "1 enlarged in" in capsys.readouterr().err
    run("photo.png", "--upscale", model, "-o", "sharp.png", "--strength", "1.6", "--tile", "50", "--json")
    assert np.abs(pixels("sharp.png") - load_upscaler(model)(photo, 1.6)).max() <= 1
    line = json.loads(capsys.readouterr().out)
    assert (line["model"], line["size"]) == (model.name, [262, 194])


def test_a_shipped_upscaler_goes_by_its_factor(given, photo, shipped):
    run("photo.png", "--upscale", "2", "-o", "large.png")
    assert np.array_equal(pixels("large.png"), load_upscaler(shipped)(photo))
    run("photo.png", "--upscale", "photo_x2", "-o", "named.png")
    assert np.array_equal(pixels("named.png"), pixels("large.png"))


def test_folders_patterns_and_streams(given, photo, model, monkeypatch, tmp_path, capfdbinary):
    save(tmp_path / "photos" / "a.png", photo[:20, :30])
    save(tmp_path / "photos" / "in" / "b.jpg", photo)
    run("photos", "--upscale", model, "-o", "large")
    assert opened("large/a.png").size == (60, 40)
    assert opened("large/in/b.jpg").size == (262, 194)
    run("photos/*.png", "photos/in/b.jpg", "--upscale", model, "-o", "flat")
    assert opened("flat/b.jpg").size == (262, 194)
    capfdbinary.readouterr()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.read_bytes())))
    run("-", "--upscale", model, "-o", "-")
    assert Image.open(io.BytesIO(capfdbinary.readouterr().out)).size == (262, 194)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_opacity_is_enlarged_as_well(given, photo, model, suffix):
    y, x = np.mgrid[:97, :131]
    opacity = np.clip(40 * (30 - np.hypot(y - 48, x - 60)), 0, 255).astype(np.uint8)
    save(given, np.dstack([photo, opacity]))
    run("photo.png", "--upscale", model, "-o", f"large{suffix}")
    large = opened(f"large{suffix}")
    assert (large.mode, large.size) == ("RGBA", (262, 194))
    colors, levels = np.asarray(large)[..., :3].astype(int), np.asarray(large)[..., 3].astype(int)
    assert np.abs(levels - resize(np.dstack([opacity] * 3), 194, 262)[..., 0]).mean() < 4
    assert levels[0, 0] == 0 and levels[96, 120] == 255
    upscaler = load_upscaler(model)
    inside = np.hypot(*(np.ogrid[:194, :262][axis] - 2 * (48, 60)[axis] for axis in (0, 1))) < 2 * (
        24 - upscaler.model.reach
    )
    by_hand = upscaler(read_picture("photo.png").pixels)
    assert np.abs(colors - by_hand)[inside].mean() <= (3 if suffix == ".webp" else 0.01)  # of rounding
    again = read_picture(f"large{suffix}").pixels  # on white
    assert np.abs(again.astype(int) - by_hand)[inside].mean() <= (3 if suffix == ".webp" else 0.01)  # of rounding
    assert (again[levels == 0] == 255).all()


@pytest.mark.parametrize("hidden", [0, 255])
def test_edges_of_opacity_are_none_of_the_colors(given, model, hidden):
    """A cut-out of one color stays of that color, whatever the file has where nothing is seen."""
    y, x = np.mgrid[:60, :70]
    opacity = np.clip(128 + 60 * (20 - np.hypot(y - 30, x - 35)), 0, 255).astype(np.uint8)
    colors = np.where(opacity[..., np.newaxis] > 0, np.uint8([200, 40, 90]), np.uint8(hidden))
    save(given, np.dstack([colors, opacity]))
    run(given, "--upscale", model, "-o", "large.png")
    large = np.asarray(Image.open("large.png")).astype(int)
    seen = large[..., 3] >= 64
    assert seen.sum() > 5000 and np.abs(large[seen][:, :3] - [200, 40, 90]).max() <= 6


def test_a_jpeg_has_no_opacity(given, photo, model):
    save(given, np.dstack([photo, np.full_like(photo[..., 0], 99)]))
    run("photo.png", "--upscale", model, "-o", "large.jpg")
    assert opened("large.jpg").mode == "RGB"
    assert read_picture("large.jpg").opacity is None


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_opacity_is_upright(tmp_path, photo, orientation):
    opacity = photo[..., 0]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    save(tmp_path / "a.png", np.dstack([photo, opacity]), exif=exif)
    save(tmp_path / "b.png", np.dstack([opacity] * 3), exif=exif)
    assert np.array_equal(read_picture(tmp_path / "a.png").opacity, read_picture(tmp_path / "b.png").pixels[..., 0])
    assert read_picture(tmp_path / "b.png").opacity is None


def test_colors_on_white_are_found_again(photo):
    opacity = np.broadcast_to(np.linspace(60, 255, 131).astype(np.uint8), (97, 131))
    share = opacity[..., np.newaxis] / 255
    on_white = np.rint(share * photo + (1 - share) * 255).astype(np.uint8)
    again = np.asarray(Image.open(io.BytesIO(encode_image(on_white, ".png", None, opacity))))
    assert np.array_equal(again[..., 3], opacity)
    assert np.abs(again[..., :3].astype(int) - photo).max() <= 3  # a level on white is up to 255/60 of a level


def test_exif_data_stay_and_tell_no_wrong_size(given, photo, model):
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "somebody"
    exif.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base.ExifImageWidth: 131, ExifTags.Base.ExifImageHeight: 97})
    save(given.with_suffix(".jpg"), photo, exif=exif)
    run("photo.jpg", "--upscale", model, "-o", "large.jpg")
    large = opened("large.jpg")
    assert large.size == (262, 194)
    assert large.getexif()[ExifTags.Base.Artist] == "somebody"
    tags = large.getexif().get_ifd(ExifTags.IFD.Exif)
    assert not {ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight} & tags.keys()
    run("photo.jpg", "--upscale", model, "-o", "bare.jpg", "--strip")
    assert not opened("bare.jpg").getexif()


# Paintings


def test_a_painting_is_enlarged(given, photo, model, published):
    run("photo.png", "--model", published, "--size", "60", "--upscale", model, "-o", "painting.png")
    painting = load(published)(photo, size=60, as_painted=True)
    assert np.array_equal(pixels("painting.png"), load_upscaler(model)(painting))


def test_a_painting_reaches_its_photo(given, shipped, published):
    run("photo.png", "--model", published, "--size", "70", "--upscale", "auto", "-o", "painting.png", "--strength", "2")
    assert opened("painting.png").size == (131, 97)
    run("photo.png", "--model", published, "--size", "70", "--upscale", "auto", "-o", "s.png", "--stages")
    assert opened("s_stage-0.png").size == (131, 97)


# Clips


def test_a_clip_is_enlarged(given, model, published, tmp_path, capsys):
    clip(tmp_path / "clip.mp4")
    run("clip.mp4", "--upscale", model, "-o", "large.mp4", "--json")
    assert json.loads(capsys.readouterr().out)["size"] == [128, 96]
    with av.open("large.mp4") as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    assert len(frames) == 6 and frames[0].shape == (96, 128, 3)
    truth = np.ascontiguousarray(data.astronaut()[:48, 100:164])
    assert np.abs(frames[0].astype(int) - load_upscaler(model)(truth)).mean() < 6
    run("clip.mp4", "--model", published, "--size", "32", "--upscale", model, "-o", "painted.mp4", "--json")
    assert json.loads(capsys.readouterr().out)["size"] == [64, 48]
    steady = "--steady", "--flicker", "--json"
    run("clip.mp4", "--model", published, "--size", "32", "--upscale", model, "-o", "steady.mp4", *steady)
    said = json.loads(capsys.readouterr().out)
    assert said["size"] == [64, 48] and 0 <= said["flicker"] < 2000
    run("clip.mp4", "--upscale", model, "-o", "large.gif")
    assert opened("large.gif").size == (128, 96)


def test_a_clip_goes_on_with_the_same_upscaler_alone(given, model, tmp_path, monkeypatch, capsys):
    from e2e_art.clips import segments
    from e2e_art.commands.progress import Progress
    from e2e_art.painting import video

    clip(tmp_path / "clip.mp4")
    for module in (segments, video):
        monkeypatch.setattr(module, "FRAMES", 2)

    def step(self, text=""):
        self.update()
        if self.n == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "step", step)
        assert main(["infer", "clip.mp4", "--upscale", str(model), "-o", "large.mp4"]) == 130
    other = tiny_upscaler(tmp_path / "other_x2", factor=2, seed=4)
    says = "was begun from another clip, or with other options: leave --resume out"
    assert main(["infer", "clip.mp4", "--upscale", str(other), "-o", "large.mp4", "--resume"]) == 2
    assert says in capsys.readouterr().err
    run("clip.mp4", "--upscale", model, "-o", "large.mp4", "--resume")
    with av.open("large.mp4") as file:
        assert len(list(file.decode(video=0))) == 6


# What goes wrong


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--upscale 3", "--upscale takes 2, 4, 8, auto or a model, not '3'"),
        ("--upscale 4.0", "--upscale takes 2, 4, 8, auto or a model, not '4.0'"),
        ("--upscale x4", "--upscale takes 2, 4, 8, auto or a model, not 'x4'"),
        ("--upscale=-2", "--upscale takes 2, 4, 8, auto or a model, not '-2'"),
        ("--upscale=", "--upscale takes 2, 4, 8, auto or a model, not ''"),
        ("--upscale auto", "--upscale auto brings a painting to the photo's size: give 2, 4 or 8, or a --model to"),
        ("--upscale 4", "There is no model 'photo_x4': did you mean photo_x2?"),
        ("--upscale 8", "There is no model 'photo_x4': did you mean photo_x2?"),
        ("--upscale foto_x2", "There is no model 'foto_x2': did you mean photo_x2?"),
        ("--upscale 2 --size 300", "--size goes with --model: leave it out with --upscale alone"),
        ("--upscale 2 --keep-colors", "--keep-colors goes with --model: leave it out with --upscale alone"),
        ("--upscale 2 --camera", "--camera goes with --model: leave it out with --upscale alone"),
        ("--upscale 2 --strength 2.5", "--strength takes a number from 0 to 2, not '2.5'"),
        ("--upscale 2 --texture brick", "is for photos, clips or the camera: leave it out for textures"),
        ("--upscale 2 --model all", "--upscale is for one model's paintings: leave it out with --model all"),
        (
            "--upscale 2 --model {published} --as-painted",
            "--as-painted leaves the painting at --size, --upscale enlarges",
        ),
        ("--upscale 2 --model {published} --guided", "--guided enlarges the painting along the photo's edges"),
        ("--upscale {published}", "is a model of kind 'chain', not 'upscaler': use it as e2e-art infer PHOTO --model"),
        ("--model {shipped}", "is a model of kind 'upscaler', not 'chain': use it as e2e-art infer PHOTO --upscale"),
        ("--model {shipped} --upscale 2", "is a model of kind 'upscaler', not 'chain'"),
    ],
)
def test_what_makes_no_sense(given, shipped, published, refused, words, says):
    words = words.format(published=published, shipped=shipped).split()
    refused("photo.png", *words, "-o", "large.png", says=says)


def test_a_photo_too_large_for_memory(given, model, shipped, refused, monkeypatch):
    from e2e_art import machine

    monkeypatch.setattr(machine, "free_memory", lambda: 106_500_000)
    refused(
        "photo.png",
        "--upscale",
        model,
        "-o",
        "large.png",
        "--tile",
        "0",
        says="photo.png: 131x97 pixels, enlarged to 262x194, take about 0.1 GB of memory, and 0.1 GB are free: tiles "
        "(--tile 384) would fit",
    )
    tiny_upscaler(shipped.parent / "photo_x4")
    says = "photo.png: 131x97 pixels, enlarged to 1048x776, take about 0.1 GB of memory, and 0.1 GB are free: "
    for free in (101_000_000, 102_500_000):  # too little for the first of two upscalers, and for the second alone
        monkeypatch.setattr(machine, "free_memory", lambda free=free: free)
        refused("photo.png", "--upscale", 8, "-o", "large.png", "--tile", 1, says=says)


def test_other_commands_know_the_kind(given, model, capsys, refused):
    assert main(["models", str(model)]) == 0
    assert "enlarges 2 times, after 3 photos in 1 minute" in capsys.readouterr().out
    run("--info", "--model", model)
    assert "kind compact" in capsys.readouterr().out
    assert main(["compare", "photo.png", "--model", str(model)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and "is a model of kind 'upscaler', not 'chain'" in said.err
    assert main(["export", "--web", "site", "--model", str(model)]) == 2
    assert "There are no models to paint with: give some with --model" in capsys.readouterr().err


@pytest.mark.parametrize("words", [(), ("--half",), ("--size", "131x97"), ("--stage", "0")])
def test_an_exported_upscaler_enlarges(given, photo, model, words):
    import onnxruntime

    assert main(["export", "--onnx", "x2.onnx", "--model", str(model), *words]) == 0
    session = onnxruntime.InferenceSession("x2.onnx")
    (output,) = session.get_outputs()
    if "--size" in words:
        assert output.shape == [1, 3, 194, 262]
    (picture,) = session.run(None, {"image": photo.transpose(2, 0, 1)[np.newaxis].astype(np.float32)})
    expected = load_upscaler(model)(photo, 0 if "--stage" in words else 2)
    assert np.abs(picture[0].transpose(1, 2, 0) - expected).max() <= (3 if "--half" in words else 1)
