"""Picture files <-> arrays: every oddity, with answers known by hand."""

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data

from e2e_art.errors import ImageError
from e2e_art.images import io as images
from e2e_art.images.arrays import from_vgg_space, to_vgg_space
from e2e_art.images.colors import denoise
from e2e_art.images.formats import FORMATS, LONGEST
from e2e_art.images.io import check_sides, read_image, write_image
from e2e_art.images.resize import resize, resize_long_edge, resize_short_edge

RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def picture_of(color, height=4, width=6):
    return np.full((height, width, 3), color, np.uint8)


def saved(path: Path, array, mode=None, **options) -> Path:
    image = array if isinstance(array, Image.Image) else Image.fromarray(np.asarray(array))
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def png(width, height, depth, color_type, rows: bytes) -> bytes:
    """A PNG made by hand: Pillow writes no 16-bit colors, and no file that lies about its size."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


# Reading


@pytest.mark.parametrize("picture", [data.astronaut(), data.coffee(), data.rocket(), data.chelsea()])
def test_a_photo_comes_back_as_it_was(tmp_path, picture):
    assert np.array_equal(read_image(saved(tmp_path / "photo.png", picture)), picture)
    with open(tmp_path / "photo.png", "rb") as file:
        assert np.array_equal(read_image(file), picture)
    assert np.array_equal(read_image(str(tmp_path / "photo.png")), picture)


def test_exif_orientation_is_applied(tmp_path):
    picture = picture_of(WHITE, 16, 32)
    picture[8:, :8] = RED  # at the bottom left; orientation 6 turns by 90 degrees clockwise: to the top left
    exif = Image.Exif()
    exif[0x0112] = 6
    image = read_image(saved(tmp_path / "turned.jpg", picture, exif=exif, quality=95, subsampling=0))
    assert image.shape == (32, 16, 3)
    assert np.abs(image[2, 2].astype(int) - RED).max() < 10
    assert np.abs(image[2, 13].astype(int) - WHITE).max() < 10


def test_broken_exif_is_ignored_and_logged(tmp_path, caplog):
    path = saved(tmp_path / "photo.png", picture_of(RED), exif=b"Exif\0\0no EXIF at all")
    assert np.array_equal(read_image(path), picture_of(RED))
    assert "photo.png: its EXIF data is broken" in caplog.text


def swapped_profile() -> bytes:
    """An sRGB profile whose red and green primaries have changed places."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"....").replace(b"gXYZ", b"rXYZ").replace(b"....", b"gXYZ")


def test_color_profile_is_applied(tmp_path):
    picture = picture_of((200, 50, 30))
    image = read_image(saved(tmp_path / "swapped.png", picture, icc_profile=swapped_profile()))
    assert np.abs(image[0, 0].astype(int) - (50, 200, 30)).max() <= 2


def test_srgb_profile_changes_nothing(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = read_image(saved(tmp_path / "photo.png", data.chelsea(), icc_profile=profile))
    assert np.abs(image.astype(int) - data.chelsea()).max() <= 1


def test_color_profile_applies_beside_opacity_and_to_grey(tmp_path):
    with_opacity = np.dstack([picture_of((200, 50, 30)), np.full((4, 6), 255, np.uint8)])
    with_opacity[0, 0, 3] = 0
    image = read_image(saved(tmp_path / "swapped.png", with_opacity, icc_profile=swapped_profile()))
    assert tuple(image[0, 0]) == WHITE
    assert np.abs(image[1, 1].astype(int) - (50, 200, 30)).max() <= 2
    grey = np.full((4, 6), 100, np.uint8)
    image = read_image(saved(tmp_path / "grey.png", grey, icc_profile=swapped_profile()))
    assert np.abs(image.astype(int) - 100).max() <= 2


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_broken_or_foreign_profile_is_ignored_and_logged(tmp_path, caplog, mode):
    profile = b"no profile" if mode != "CMYK" else swapped_profile()
    image = read_image(saved(tmp_path / "photo.jpg", picture_of(WHITE), mode, icc_profile=profile))
    assert np.array_equal(image, picture_of(WHITE))
    assert "photo.jpg" in caplog.text
    assert "profile" in caplog.text


def test_grey_one_bit_and_palette(tmp_path):
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    assert np.array_equal(read_image(saved(tmp_path / "grey.png", grey)), np.stack([grey] * 3, -1))
    bits = saved(tmp_path / "bits.png", Image.fromarray(grey > 120))
    assert np.array_equal(read_image(bits)[..., 0], np.where(grey > 120, 255, 0))
    colors = picture_of(RED)
    colors[1:3] = GREEN
    assert np.array_equal(read_image(saved(tmp_path / "palette.png", colors, "P")), colors)


def test_transparency_is_laid_onto_white(tmp_path):
    black = np.zeros((2, 2, 4), np.uint8)
    black[..., 3] = [[0, 255], [128, 0]]
    expected = np.array([[255, 0], [127, 255]])
    assert np.array_equal(read_image(saved(tmp_path / "color.png", black))[..., 1], expected)
    grey = saved(tmp_path / "grey.png", Image.fromarray(black), "LA")
    assert np.array_equal(read_image(grey)[..., 1], expected)
    assert np.array_equal(read_image(saved(tmp_path / "color.webp", black, lossless=True))[..., 1], expected)


def test_transparent_palette_is_laid_onto_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *GREEN])
    image.putdata([0, 1])
    for name in ("palette.png", "palette.gif"):
        assert read_image(saved(tmp_path / name, image, transparency=0)).tolist() == [[list(WHITE), list(GREEN)]]


def test_cmyk(tmp_path):
    inks = Image.new("CMYK", (4, 4), (0, 255, 255, 0))  # magenta and yellow: red
    assert np.abs(read_image(saved(tmp_path / "inks.jpg", inks)).astype(int) - RED).max() < 5
    assert tuple(read_image(saved(tmp_path / "inks.tif", inks))[0, 0]) == RED


def test_lab(tmp_path):
    image = read_image(saved(tmp_path / "lab.tif", Image.new("LAB", (2, 2), (255, 128, 128))))
    assert np.abs(image[0, 0].astype(int) - WHITE).max() <= 1


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, suffix, channels):
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    array = np.stack([values] * channels, -1)
    if channels == 4:
        array[..., 3] = 65535
    cv2.imwrite(str(tmp_path / f"deep{suffix}"), array)
    assert read_image(tmp_path / f"deep{suffix}")[0, :, 0].tolist() == [0, 1, 128, 255]


def test_sixteen_bit_grey_with_opacity(tmp_path):
    (tmp_path / "deep.png").write_bytes(png(2, 1, 16, 4, b"\0" + struct.pack(">HHHH", 32896, 65535, 0, 0)))
    assert read_image(tmp_path / "deep.png")[0, :, 0].tolist() == [128, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[-3, 127.6, np.nan, 255]], np.float32), [0, 128, 0, 255]),
        (np.array([[0, 32896, 65535]], np.int32), [0, 128, 255]),
        (np.array([[0, 2**30, 2**31 - 1]], np.int32), [0, 128, 255]),
    ],
)
def test_thirty_two_bits_are_scaled(tmp_path, values, expected):
    assert read_image(saved(tmp_path / "deep.tif", values))[0, :, 0].tolist() == expected


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_the_first_frame_of_several(tmp_path, suffix):
    frames = [Image.fromarray(picture_of(color)) for color in (RED, GREEN, WHITE)]
    options = {"lossless": True} if suffix == ".webp" else {}
    frames[0].save(tmp_path / f"moving{suffix}", save_all=True, append_images=frames[1:], **options)
    assert np.array_equal(read_image(tmp_path / f"moving{suffix}"), picture_of(RED))


def test_one_pixel(tmp_path):
    assert read_image(saved(tmp_path / "dot.png", picture_of(RED, 1, 1))).tolist() == [[list(RED)]]


def test_120_megapixels_without_a_warning(tmp_path, recwarn):
    saved(tmp_path / "large.png", Image.new("1", (12000, 10000)))
    with open(tmp_path / "large.png", "rb") as file, Image.open(file) as image:  # what Pillow itself would warn of
        assert image.size == (12000, 10000)
    assert images.MAX_PIXELS >= 178_000_000
    assert not recwarn.list


@pytest.mark.slow
def test_fifty_megapixels(tmp_path):
    image = read_image(saved(tmp_path / "large.jpg", Image.new("L", (8000, 6250), 255)))
    assert image.shape == (6250, 8000, 3)
    assert image.min() == 255


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [21_000, 60_000])
def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path, side):
    (tmp_path / "bomb.png").write_bytes(png(side, side, 8, 2, b""))
    with pytest.raises(ImageError, match=r"bomb.png has more than 400 megapixels: make it smaller"):
        read_image(tmp_path / "bomb.png")


def test_a_jpeg_may_be_shrunk_while_it_is_decoded(tmp_path):
    path = saved(tmp_path / "photo.jpg", data.astronaut())  # 512 x 512
    assert read_image(path).shape == (512, 512, 3)
    assert read_image(path, at_least=128).shape == (128, 128, 3)
    assert read_image(path, at_least=129).shape == (256, 256, 3)
    assert read_image(path, at_least=600).shape == (512, 512, 3)
    small = resize(data.astronaut(), 128, 128).astype(int)
    assert np.abs(read_image(path, at_least=128) - small).mean() < 3


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".gif", ".bmp"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(tmp_path, suffix, part):
    whole = saved(tmp_path / f"whole{suffix}", data.chelsea()[:100, :100]).read_bytes()
    path = tmp_path / f"half{suffix}"
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(ImageError, match=f"half{suffix} is .*(copy it again|save it as)"):
        read_image(path)


def test_what_is_no_picture_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "letter.jpg").write_text("Dear Theo, ...")
    for name, sentence in {
        "missing.jpg": "missing.jpg does not exist: check the path",
        "empty.jpg": "empty.jpg is empty: copy it again",
        "letter.jpg": "letter.jpg is no picture of a known kind: save it as .jpg or .png",
        "letter.jpg/photo.jpg": "cannot be opened (Not a directory): check its path and permissions",
        "": "is a folder: give the path of one picture",
    }.items():
        with pytest.raises(ImageError) as error:
            read_image(tmp_path / name)
        assert str(error.value).endswith(sentence)
        assert str(tmp_path) in str(error.value)
    with pytest.raises(ImageError, match="The picture is no picture of a known kind"):
        read_image(io.BytesIO(b"Dear Theo, ..."))


@pytest.mark.skipif(AS_ROOT, reason="root may read everything")
def test_no_permission(tmp_path):
    saved(tmp_path / "secret.png", picture_of(RED)).chmod(0)
    with pytest.raises(ImageError, match="secret.png cannot be opened .Permission denied.: check"):
        read_image(tmp_path / "secret.png")


# Writing


@pytest.mark.parametrize(
    ("suffix", "error"), [(".png", 0), (".tif", 0), (".tiff", 0), (".bmp", 0), (".jpg", 3), (".jpeg", 3), (".WEBP", 5)]
)
def test_what_is_written_can_be_read(tmp_path, suffix, error):
    picture = data.coffee()[::2, ::-2]  # strides that no encoder likes
    path = tmp_path / "new" / "folder" / f"painting{suffix}"
    write_image(path, picture)
    assert np.abs(read_image(path).astype(int) - picture).mean() <= error
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp", ".avif", ".heic"])
def test_the_longest_sides_of_a_format(tmp_path, suffix):
    """What is said to fit is written and read, and what is said not to is refused before it is encoded."""
    path = tmp_path / f"long{suffix}"
    longest = next((most for kind, most in LONGEST.items() if suffix in FORMATS[kind]), 70_000)
    for turned in (False, True):
        picture = picture_of(RED, 64, longest)
        picture = picture.transpose(1, 0, 2) if turned else picture
        check_sides(path, *picture.shape[:2])
        write_image(path, picture, overwrite=True)
        assert read_image(path).shape == picture.shape
    if longest != 70_000:
        why = f"{longest + 1}x1 pixels do not fit into a {suffix}, which takes {longest} a side: choose .png"
        for refuse in (check_sides, lambda path, *size: write_image(path, np.zeros((*size, 3), np.uint8), True)):
            with pytest.raises(ImageError, match=rf"long{suffix} cannot be written: {why}"):
                refuse(path, 1, longest + 1)


def test_jpeg_keeps_full_color_resolution(tmp_path):
    stripes = picture_of(RED, 32, 32)
    stripes[:, ::2] = (0, 0, 255)
    write_image(tmp_path / "stripes.jpg", stripes)
    assert np.abs(read_image(tmp_path / "stripes.jpg").astype(int) - stripes).mean() < 10


def test_an_existing_file_stays_unless_overwriting_is_allowed(tmp_path):
    path = saved(tmp_path / "painting.png", picture_of(RED))
    with pytest.raises(ImageError, match="painting.png exists already: choose another name"):
        write_image(path, picture_of(GREEN))
    assert np.array_equal(read_image(path), picture_of(RED))
    write_image(path, picture_of(GREEN), overwrite=True)
    assert np.array_equal(read_image(path), picture_of(GREEN))


def test_what_cannot_be_written_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    for name, picture, sentence in [
        ("a.xyz", picture_of(RED), r"a.xyz cannot be written: .* as '.xyz': choose one of .jpg, "),
        ("a", picture_of(RED), "a cannot be written: it has no suffix, and is no folder: choose one of .jpg, "),
        ("file/a.png", picture_of(RED), "a.png cannot be written .*: choose a folder"),
        ("a.webp", picture_of(RED, 1, 17000), "a.webp .* 17000x1 pixels do not fit into a .webp, .* choose .png"),
        ("a.avif", picture_of(RED, 1, 33000), "a.avif .* 33000x1 pixels do not fit into a .avif, .* choose .png"),
        ("a.jpg", picture_of(RED, 1, 70000), "a.jpg .* 70000x1 pixels do not fit into a .jpg, .* choose .png"),
        ("a.png", picture_of(RED).astype(float), "a.png .* is none"),
        ("a.png", picture_of(RED)[..., 0], "a.png .* is none"),
        ("a.png", picture_of(RED)[:0], "a.png .* is none"),
    ]:
        with pytest.raises(ImageError, match=sentence):
            write_image(tmp_path / name, picture)
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits files as a full disk would")
def test_a_full_disk_leaves_nothing_behind(tmp_path):
    script = f"""
import resource, signal
import numpy as np
from e2e_art.errors import ImageError
from e2e_art.images.io import write_image
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_image({str(tmp_path / "painting.bmp")!r}, np.zeros((100, 100, 3), np.uint8))
except ImageError as error:
    print(error)
"""
    root = Path(images.__file__).parents[2]
    answer = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=60)
    assert "painting.bmp cannot be written (File too large): choose a folder that has space" in answer.stdout
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_error_at_the_last_moment_leaves_the_old_file(tmp_path, monkeypatch, error):
    path = saved(tmp_path / "painting.png", picture_of(RED))

    def fail(*_):
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ImageError if isinstance(error, OSError) else KeyboardInterrupt):
        write_image(path, picture_of(GREEN), overwrite=True)
    assert os.listdir(tmp_path) == ["painting.png"]
    assert np.array_equal(read_image(path), picture_of(RED))


# Searching


def test_list_images(tmp_path):
    for name in ("b.JPG", "a/c.png", "a/d/e.tiff", ".hidden.png", "notes.txt", ".folder/f.png", "g.png/h.gif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere.png")
    found = [path.relative_to(tmp_path).as_posix() for path in images.list_images(tmp_path)]
    assert found == ["a/c.png", "a/d/e.tiff", "b.JPG", "g.png/h.gif"]
    with pytest.raises(ImageError, match="nowhere is no folder: check the path"):
        images.list_images(tmp_path / "nowhere")


# Sizes


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (5, 7), (3, 200), (200, 3), (64, 64)])
def test_a_flat_picture_stays_flat_at_any_size(size):
    for picture in (picture_of((10, 20, 30), 1, 1), picture_of((10, 20, 30), 7, 5)):
        resized = resize(picture, *size)
        assert np.array_equal(resized, picture_of((10, 20, 30), *size))


def test_shrinking_averages():
    checkers = (np.indices((8, 8)).sum(0) % 2 * 200).astype(np.uint8)
    assert np.array_equal(resize(np.stack([checkers] * 3, -1), 4, 4), picture_of((100, 100, 100), 4, 4))


def test_growing_and_shrinking_comes_back():
    picture = data.astronaut()[:128, :128]
    assert np.abs(resize(resize(picture, 256, 256), 128, 128).astype(int) - picture).mean() < 2


def test_edges():
    picture = picture_of(RED, 100, 300)
    assert resize_long_edge(picture, 60).shape == (20, 60, 3)
    assert resize_short_edge(picture, 60).shape == (60, 180, 3)
    assert resize_long_edge(picture_of(RED, 1, 1000), 10).shape == (1, 10, 3)
    for resized in (resize_long_edge, resize_short_edge):
        with pytest.raises(ImageError, match="cannot be resized"):
            resized(picture, 0)
    with pytest.raises(ImageError, match="cannot be resized to 5x0"):
        resize(picture, 0, 5)


# Colors


def test_vgg_space():
    array = to_vgg_space(picture_of((0, 128, 255), 3, 5))
    assert array.shape == (1, 3, 3, 5)
    assert array.dtype == np.float32
    assert np.allclose(array[0, :, 1, 1], (-123.68, 128 - 116.779, 255 - 103.939))
    assert np.array_equal(from_vgg_space(to_vgg_space(data.chelsea())), data.chelsea())
    assert from_vgg_space(np.full((1, 3, 1, 1), 1000.0)).tolist() == [[[255, 255, 255]]]
    assert from_vgg_space(np.full((1, 3, 1, 1), -1000.0)).tolist() == [[[0, 0, 0]]]


def test_denoise():
    flat = picture_of((10, 200, 90), 16, 16)
    assert np.array_equal(denoise(flat), flat)
    noise = np.random.default_rng(0).normal(0, 20, (64, 64, 3))
    noisy = np.clip(128 + noise, 0, 255).astype(np.uint8)
    assert denoise(noisy, 0.2).std() < noisy.std() / 2
    assert 0 < np.abs(denoise(noisy).astype(int) - noisy).mean() < 20
    assert np.array_equal(denoise(noisy, 0), noisy)
    assert denoise(picture_of(RED, 1, 1)).tolist() == [[list(RED)]]
