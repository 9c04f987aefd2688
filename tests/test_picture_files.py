"""Pictures as people bring them, from scanners, cameras and editors, with values known from how they were made."""

import io
import logging
import struct
import zlib
from collections import Counter

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from e2e_art.errors import ImageError
from e2e_art.images.formats import FORMATS, IMAGE_SUFFIXES
from e2e_art.images.io import (
    WRITABLE_SUFFIXES,
    count_frames,
    encode_image,
    find_images,
    passed_over,
    read_image,
    read_picture,
    write_image,
)
from e2e_art.images.reading.decode import MAX_PIXELS
from e2e_art.images.reading.icc import SRGB_CURVE, make_profile

Y, X = np.mgrid[:60, :80]
COLORS = np.stack([X * 255 // 79, Y * 255 // 59, 255 - X * 255 // 79], -1).astype(np.uint8)
COLORS[20:30, 20:40] = 255
GRAY = COLORS[..., 1]
HOLE = X < 30  # where a map has no data
GRAYS = np.stack([GRAY] * 3, -1)
OPACITY = np.broadcast_to(np.linspace(0, 255, 80).round(), (60, 80)).astype(np.uint8)
ON_WHITE = np.rint(COLORS * (OPACITY[..., None] / 255) + 255 - OPACITY[..., None])
SWAPPED = make_profile(SRGB_CURVE, (0.3127, 0.3290, 0.30, 0.60, 0.64, 0.33, 0.15, 0.06))  # red and green


def off(path, expected) -> int:
    """Returns by how many levels a picture differs from what is expected at most."""
    picture = read_image(path)
    assert picture.shape == expected.shape
    return int(np.abs(picture.astype(int) - expected).max())


def tif(path, array, **options):
    tifffile.imwrite(
        path, array, metadata=None, **{"photometric": "rgb" if array.ndim == 3 else "minisblack", **options}
    )
    return path


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(path, array, bits, color, *chunks: bytes):
    """Writes a PNG of 8 or 16 bits, or of levels below that which lie in `array`, with chunks before its pixels."""
    rows = array.astype(">u2") if bits == 16 else array
    if bits < 8:
        binary = (array[..., None] >> np.arange(bits - 1, -1, -1)) & 1
        rows = np.packbits(binary.reshape(len(array), -1).astype(np.uint8), axis=1)
    height, width = array.shape[:2]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + chunk(b"IEND", b""))
    return path


def jpeg(**options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(COLORS).save(file, "JPEG", quality=95, subsampling=0, **options)
    return file.getvalue()


# TIFF


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i2", "i4", "f2", "f4", "f8"])
@pytest.mark.parametrize("layout", ["gray", "rgb", "planes", "tiles", "opacity", "MM", "big", "deflate"])
def test_tiffs_of_every_kind_of_number(tmp_path, kind, layout):
    array, expected, options = COLORS, COLORS, {}
    if layout == "gray":
        array, expected = GRAY, GRAYS
    elif layout == "planes":
        array, options = np.moveaxis(COLORS, -1, 0), {"planarconfig": "separate", "photometric": "rgb"}
    elif layout == "tiles":
        options = {"tile": (32, 48)}
    elif layout == "opacity":
        array, expected, options = np.dstack([COLORS, OPACITY]), ON_WHITE, {"extrasamples": ["unassalpha"]}
    elif layout == "MM":
        options = {"byteorder": ">"}
    elif layout == "big":
        options = {"bigtiff": True}
    elif layout == "deflate":
        options = {"compression": "zlib", "rowsperstrip": 7, "predictor": kind[0] != "f"}
    dtype = np.dtype(kind)
    white = 1 if dtype.kind == "f" else np.iinfo(dtype).max
    values = np.rint(array * (white / 255)) if white > 1 else array / 255
    assert off(tif(tmp_path / "a.tif", values.astype(dtype), **options), expected) <= 1


@pytest.mark.parametrize("kind", ["u1", "u2", "f4", "f8"])
def test_what_libtiff_packs_by_lzw(tmp_path, kind):
    values = (
        COLORS[..., ::-1] / 255 if kind[0] == "f" else COLORS[..., ::-1].astype(kind) * (257 if kind == "u2" else 1)
    )
    options = [cv2.IMWRITE_TIFF_COMPRESSION, 5, cv2.IMWRITE_TIFF_PREDICTOR, 3 if kind[0] == "f" else 2]
    cv2.imwrite(str(tmp_path / "a.tif"), values.astype(kind), options)
    assert off(tmp_path / "a.tif", COLORS) <= 1


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", None])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "CMYK", "F"])
def test_what_pillow_writes(tmp_path, mode, compression):
    image = Image.fromarray(COLORS).convert(mode)
    if compression == "jpeg" and mode in ("P", "F"):
        return  # JPEG knows neither
    image.save(tmp_path / "a.tif", compression=compression)
    expected = np.asarray(Image.fromarray(COLORS).convert("L" if mode == "F" else mode).convert("RGB")).astype(int)
    assert np.abs(read_image(tmp_path / "a.tif") - expected).mean() <= (8 if compression == "jpeg" else 1)


def packed_tif(path, bits: int, photometric: int, reversed_bits: bool):
    """Writes GRAY in any number of bits, without gaps between them."""
    levels = GRAY.astype(int) * (2**bits - 1) // 255
    binary = (levels[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    rows = np.packbits(binary.reshape(60, -1).astype(np.uint8), axis=1, bitorder="little" if reversed_bits else "big")
    content = rows.tobytes()
    tags = {256: 80, 257: 60, 258: bits, 259: 1, 262: photometric, 266: 1 + reversed_bits, 273: 0, 277: 1, 278: 60}
    tags |= {279: len(content)}
    tags[273] = 14 + 12 * len(tags)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    path.write_bytes(struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + content)
    return path, np.stack([np.rint(levels * 255 / (2**bits - 1))] * 3, -1)


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8, 10, 12, 14, 16])
def test_any_number_of_bits(tmp_path, bits):
    path, expected = packed_tif(tmp_path / "a.tif", bits, 1, False)
    assert off(path, expected) <= 1
    path, expected = packed_tif(tmp_path / "white_is_zero.tif", bits, 0, False)
    assert off(path, 255 - expected) <= 1
    path, expected = packed_tif(tmp_path / "reversed.tif", bits, 1, True)
    assert off(path, expected) <= 1


def test_an_enlarged_float_picture_goes_beyond_its_white(tmp_path):
    large = Image.fromarray(GRAY.astype(np.float32) / 255).resize((160, 120), Image.Resampling.LANCZOS)
    large.save(tmp_path / "lanczos.tif")
    values = np.asarray(large)
    assert values.max() > 1.01
    assert off(tmp_path / "lanczos.tif", np.stack([np.rint(np.clip(values, 0, 1) * 255)] * 3, -1)) <= 1


def test_infinity_is_white_and_what_is_no_number_black(tmp_path, caplog):
    values = GRAY.astype(np.float32) / 255
    values[0, :3] = np.inf, -np.inf, np.nan
    picture = read_image(tif(tmp_path / "inf.tif", values))
    assert picture[0, :3, 0].tolist() == [255, 0, 0]
    assert np.abs(picture[1:].astype(int) - GRAYS[1:]).max() <= 1
    assert "inf.tif: values that are not finite are shown as white (infinity) or black: 3" in caplog.text
    values[:40] = np.nan
    with pytest.raises(ImageError, match=r"nan.tif has no finite value in 67% of its pixels"):
        read_image(tif(tmp_path / "nan.tif", values))


@pytest.mark.parametrize(
    ("values", "expected", "said"),
    [
        (
            GRAY.astype(np.uint16) * 16,
            GRAY,
            "its brightest value is 4080 of 65535, so 4095 .12 bits. was taken as white",
        ),
        (GRAY.astype(np.uint16) * 4, GRAY, "1023 .10 bits. was taken as white"),
        (GRAY.astype(np.uint16), GRAY, "255 .8 bits. was taken as white"),
        (GRAY.astype(np.uint32) * 257, GRAY, "65535 .16 bits. was taken as white"),
        (GRAY.astype(np.uint16) * 64, GRAY, "16383 .14 bits. was taken as white"),
        (
            GRAY.astype(np.uint16) * 32,
            GRAY / 8.03,
            "so it is dark; where only 14 bits are meant",
        ),  # but 16 may be meant
        (GRAY.astype(np.uint16) * 65, GRAY / 257 * 65, ""),
        (GRAY.astype(np.int16) * 16, GRAY, "4080 of 32767, so 4095 .12 bits. was taken as white"),
        (GRAY.astype(np.uint64) * 2**32, GRAY, ".40 bits. was taken as white"),
        (
            np.where(HOLE, -9999, GRAY * 13.7).astype(np.float32),
            np.where(HOLE, 0, GRAY * 13.7 / 16.06),
            "reach 3493.5, so 4095 was taken as white",
        ),
        (np.where(HOLE, -9999, GRAY / 255).astype(np.float32), np.where(HOLE, 0, GRAY), ""),
        (np.where(HOLE, 3.4e38, GRAY / 255).astype(np.float32), np.where(HOLE, 255, GRAY), ""),
        (np.where(HOLE, -3.4e38, GRAY).astype(np.float32), np.where(HOLE, 0, GRAY), ""),
        (np.where(HOLE, np.int16(-32768), GRAY), np.where(HOLE, 0, GRAY), "255 .8 bits. was taken as white"),
        (np.zeros((60, 80), np.uint16), GRAY * 0, ""),
        (GRAY.astype(np.float32), GRAY, ""),
        (GRAY.astype(np.float32) * 257, GRAY, ""),
        (GRAY.astype(np.float32) * 16, GRAY, "its values reach 4080, so 4095 was taken as white"),
        ((GRAY.astype(int) - 128).astype(np.int8), GRAY, "-128 was taken as black and 127 as white"),
        ((GRAY.astype(int) * 257 - 32768).astype(np.int16), GRAY, "-32768 was taken as black and 32767 as white"),
        ((GRAY / 127.5 - 1).astype(np.float32), GRAY, "-1 was taken as black and 1 as white"),
        (np.where(Y < 3, 50, GRAY / 255 / 2).astype(np.float32), np.where(Y < 3, 255, GRAY / 2), "5.0% .*up to 50"),
    ],
)
def test_black_and_white_are_found_and_said(tmp_path, caplog, values, expected, said):
    assert off(tif(tmp_path / "a.tif", values), np.stack([np.rint(expected)] * 3, -1)) <= 1
    assert bool(caplog.records) == bool(said)
    assert not said or __import__("re").search(f"a.tif: .*{said}", caplog.text)


def test_what_a_map_says_stands_for_no_data_is_no_level(tmp_path, caplog):
    values = np.where(HOLE, 65535, GRAY.astype(np.uint16) * 4)
    tagged = tif(tmp_path / "a.tif", values, extratags=[(42113, "s", 0, "65535", True)])
    assert off(tagged, np.stack([np.where(HOLE, 255, GRAY)] * 3, -1)) <= 1
    assert "a.tif: its brightest value is 1020 of 65535, so 1023 (10 bits)" in caplog.text


def test_channels_that_no_one_sees_are_told(tmp_path, caplog):
    caplog.set_level("INFO")
    bands = np.dstack([COLORS, COLORS, GRAY])
    assert off(tif(tmp_path / "a.tif", bands, photometric="rgb", planarconfig="contig"), COLORS) == 0
    assert "a.tif: of its 7 channels, 3 became the picture" in caplog.text


def test_a_tiff_without_a_picture_is_refused(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0\0\0\0\0")
    with pytest.raises(ImageError, match=r"a.tif is a TIFF that holds no picture: save it again"):
        read_image(tmp_path / "a.tif")


def test_twelve_bits_in_pngs_of_sixteen(tmp_path, caplog):
    assert off(png(tmp_path / "gray.png", GRAY.astype(np.uint16) * 16, 16, 0), GRAYS) <= 1
    assert off(png(tmp_path / "color.png", COLORS.astype(np.uint16) * 16, 16, 2), COLORS) <= 1
    opacity = np.dstack([COLORS.astype(np.uint16) * 16, OPACITY.astype(np.uint16) * 257])
    assert off(png(tmp_path / "opacity.png", opacity, 16, 6), ON_WHITE) <= 2
    opacity = np.dstack([GRAY.astype(np.uint16) * 16, OPACITY.astype(np.uint16) * 257])
    on_white = np.rint(GRAYS * (OPACITY[..., None] / 255) + 255 - OPACITY[..., None])
    assert off(png(tmp_path / "gray_opacity.png", opacity, 16, 4), on_white) <= 2
    assert caplog.text.count("4095 (12 bits) was taken as white") == 4
    fourteen = png(tmp_path / "14.png", COLORS.astype(np.uint16) * 64, 16, 2)
    assert off(fourteen, COLORS) <= 1


def test_opacity_multiplied_or_not_said_or_not(tmp_path):
    multiplied = np.rint(COLORS * (OPACITY[..., None] / 255))
    for white in (1, 257):
        array = np.dstack([multiplied * white, OPACITY * float(white)]).astype(np.uint16 if white > 1 else np.uint8)
        assert off(tif(tmp_path / "a.tif", array, extrasamples=["assocalpha"]), ON_WHITE) <= 2
    other = np.dstack([COLORS, OPACITY])
    assert off(tif(tmp_path / "channel.tif", other, extrasamples=["unspecified"]), COLORS) == 0


def test_palettes_inks_and_three_floats_without_a_word(tmp_path):
    ramp = np.arange(65536, dtype=np.uint16)
    colormap = np.stack([ramp[::-1], ramp, ramp * 0])
    expected = np.dstack([255 - GRAY, GRAY, GRAY * 0])
    assert off(tif(tmp_path / "8.tif", GRAY, photometric="palette", colormap=colormap[:, ::257]), expected) <= 1
    inks = np.asarray(Image.fromarray(COLORS).convert("CMYK")).astype(np.uint16) * 257
    assert off(tif(tmp_path / "inks.tif", inks, photometric="separated"), COLORS) <= 2
    floats = (COLORS / 255).astype(np.float32)
    assert off(tif(tmp_path / "a.tif", floats, photometric="minisblack", planarconfig="contig"), COLORS) <= 1


def test_the_full_picture_is_taken_and_not_its_thumbnail(tmp_path):
    for name, inside in (("inside.tif", 1), ("behind.tif", 0)):
        with tifffile.TiffWriter(tmp_path / name) as file:
            file.write(COLORS[::4, ::4], photometric="rgb", subfiletype=1, subifds=inside)
            file.write(COLORS, photometric="rgb", subfiletype=0)
        assert off(tmp_path / name, COLORS) == 0
    with tifffile.TiffWriter(tmp_path / "pyramid.tif") as file:
        file.write(COLORS, photometric="rgb", subifds=1)
        file.write(COLORS[::2, ::2], photometric="rgb", subfiletype=1)
    assert off(tmp_path / "pyramid.tif", COLORS) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiffs_are_turned_too(tmp_path, orientation):
    turned = {1: COLORS, 2: COLORS[:, ::-1], 3: COLORS[::-1, ::-1], 4: COLORS[::-1]}
    turned |= {
        5: COLORS.swapaxes(0, 1),
        6: np.rot90(COLORS, -1),
        7: COLORS[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(COLORS),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    for suffix in (".tif", ".png", ".webp"):
        options = {"lossless": True} if suffix == ".webp" else {}
        Image.fromarray(COLORS).save(tmp_path / f"a{suffix}", exif=exif, **options)
        assert off(tmp_path / f"a{suffix}", turned[orientation]) == 0


def test_camera_raw_files_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "camera.dng") as file:
        file.write(COLORS[::4, ::4], photometric="rgb", subfiletype=1, subifds=1)
        file.write(COLORS, photometric="rgb", subfiletype=0)
    with tifffile.TiffWriter(tmp_path / "raw.tif") as file:
        file.write(COLORS[::4, ::4], photometric="rgb", subfiletype=1, subifds=1)
        file.write(GRAY.astype(np.uint16), photometric="cfa", subfiletype=0)
    tif(tmp_path / "dng.tif", COLORS, extratags=[(50706, "B", 4, (1, 4, 0, 0), True)])
    (tmp_path / "a.CR3").write_bytes(b"\0\0\0\x18ftypcrx \0\0\0\1crx isom")
    (tmp_path / "a.raf").write_bytes(b"FUJIFILMCCD-RAW 0201")
    (tmp_path / "a.nef").write_bytes(b"what a Nikon wrote")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(ImageError, match=f"{path.name} is a camera's raw file: develop it to TIFF or JPEG first"):
            read_image(path)


def test_a_finished_picture_under_the_name_of_a_raw_file_is_read(tmp_path):
    (tmp_path / "a.dng").write_bytes(jpeg())
    assert read_image(tmp_path / "a.dng").shape == COLORS.shape


# PNG


def test_gamma_and_primaries_as_browsers_show_them(tmp_path):
    def srgb(light):
        return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055) * 255

    gamma = [chunk(b"gAMA", struct.pack(">I", number)) for number in (100_000, 45_455)]
    linear = srgb(COLORS / 255)
    assert off(png(tmp_path / "linear.png", COLORS, 8, 2, gamma[0]), linear) <= 2
    assert read_picture(tmp_path / "linear.png").metadata.profile is None  # 8 linear bits would show steps
    assert off(png(tmp_path / "gray.png", GRAY, 8, 0, gamma[0]), np.stack([srgb(GRAY / 255)] * 3, -1)) <= 2
    assert off(png(tmp_path / "usual.png", COLORS, 8, 2, gamma[1]), COLORS) == 0
    assert off(png(tmp_path / "srgb.png", COLORS, 8, 2, chunk(b"sRGB", b"\0"), gamma[0]), COLORS) == 0
    swapped = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 30000, 60000, 64000, 33000, 15000, 6000))
    assert off(png(tmp_path / "swapped.png", COLORS, 8, 2, gamma[0], swapped), linear[..., [1, 0, 2]]) <= 2
    srgb_points = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
    assert off(png(tmp_path / "both.png", COLORS, 8, 2, gamma[1], srgb_points), COLORS) == 0  # as ImageMagick writes
    profile = chunk(b"iCCP", b"swapped\0\0" + zlib.compress(SWAPPED))
    assert off(png(tmp_path / "profile.png", COLORS, 8, 2, gamma[0], profile), COLORS[..., [1, 0, 2]]) <= 2
    cicp = chunk(b"cICP", bytes((1, 13, 0, 1)))
    assert off(png(tmp_path / "cicp.png", COLORS, 8, 2, cicp, profile), COLORS) <= 1


def gray_profile() -> bytes:
    """A gray profile of gamma 1."""
    white = struct.pack(">iii", 63190, 65536, 54061)
    tags = {b"wtpt": b"XYZ " + bytes(4) + white, b"kTRC": b"curv" + bytes(4) + struct.pack(">IHH", 1, 256, 0)}
    tags[b"desc"] = b"desc" + bytes(4) + struct.pack(">I", 2) + b"g\0" + bytes(78)
    table, body = struct.pack(">I", len(tags)), b""
    for sign, content in tags.items():
        table += sign + struct.pack(">II", 168 + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I", 168 + len(body)) + b"lcms" + struct.pack(">I", 0x02400000) + b"mntrGRAYXYZ " + bytes(12)
    head += b"acsp" + bytes(28) + white
    return head + bytes(128 - len(head)) + table + body


def test_gray_profiles(tmp_path):
    profile = chunk(b"iCCP", b"gray\0\0" + zlib.compress(gray_profile()))
    light = GRAY / 255
    shown = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    expected = np.stack([shown] * 3, -1)
    deep = GRAY.astype(np.uint16) * 257
    assert off(png(tmp_path / "8.png", GRAY, 8, 0, profile), expected) <= 2
    assert off(png(tmp_path / "16.png", deep, 16, 0, profile), expected) <= 2
    opaque = np.dstack([deep, np.full_like(deep, 65535)])
    assert off(png(tmp_path / "opacity.png", opaque, 16, 4, profile), expected) <= 2
    assert off(png(tmp_path / "opacity8.png", (opaque >> 8).astype(np.uint8), 8, 4, profile), expected) <= 2
    assert read_picture(tmp_path / "8.png").metadata.profile is None


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_one_transparent_level_of_gray(tmp_path, bits):
    levels = GRAY.astype(int) * (2**bits - 1) // 255
    expected = np.where(levels == 1, 255, np.rint(levels * 255 / (2**bits - 1)))
    path = png(tmp_path / "a.png", levels, bits, 0, chunk(b"tRNS", struct.pack(">H", 1))) if bits < 16 else None
    path = path or png(tmp_path / "a.png", levels.astype(np.uint16), 16, 0, chunk(b"tRNS", struct.pack(">H", 1)))
    if bits == 8:
        png(path, levels.astype(np.uint8), 8, 0, chunk(b"tRNS", struct.pack(">H", 1)))
    assert off(path, np.stack([expected] * 3, -1)) <= 1


def test_one_transparent_color_of_sixteen_bits_and_not_its_neighbor(tmp_path):
    values = np.full((60, 80, 3), 40 * 257, np.uint16)
    values[:30, :, 0] += 1
    expected = np.full((60, 80, 3), 40)
    expected[30:] = 255
    clear = chunk(b"tRNS", struct.pack(">3H", *[40 * 257] * 3))
    assert off(png(tmp_path / "a.png", values, 16, 2, clear), expected) <= 1


def test_pngs_with_a_long_text_or_profile_or_a_damaged_one_are_whole(tmp_path):
    text = chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b'{"node": 1}' * 400_000))
    assert off(png(tmp_path / "text.png", COLORS, 8, 2, text), COLORS) == 0
    assert off(png(tmp_path / "many.png", COLORS, 8, 2, *[text] * 80), COLORS) == 0
    profile = chunk(b"iCCP", b"long\0\0" + zlib.compress(SWAPPED + bytes(3_000_000)))
    png(tmp_path / "profile.png", COLORS, 8, 2, profile)
    assert read_image(tmp_path / "profile.png").shape == COLORS.shape
    damaged = chunk(b"gAMA", struct.pack(">I", 100_000))[:-1] + b"?"
    assert off(png(tmp_path / "damaged.png", COLORS, 8, 2, damaged), COLORS) == 0
    path = png(tmp_path / "header.png", COLORS, 8, 2)
    path.write_bytes(path.read_bytes().replace(b"IHDR\0\0\0", b"IHDR\0\0\1"))
    with pytest.raises(ImageError, match=r"header.png is damaged or cut short.*: copy it again"):
        read_image(path)


# JPEG


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_its_end_mark_is_whole_and_one_that_lacks_rows_is_not(tmp_path, progressive):
    content = jpeg(progressive=progressive)
    (tmp_path / "whole.jpg").write_bytes(content)
    whole = read_image(tmp_path / "whole.jpg")
    (tmp_path / "no_end.jpg").write_bytes(content[:-2])
    assert off(tmp_path / "no_end.jpg", whole) == 0
    assert np.array_equal(read_image(io.BytesIO(content[:-2])), whole)
    (tmp_path / "garbage.jpg").write_bytes(content + b"garbage" * 99)
    assert off(tmp_path / "garbage.jpg", whole) == 0
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) * 3 // 4])
    after = "" if progressive else r", after about \d+% of its picture"
    with pytest.raises(ImageError, match=f"cut.jpg is damaged or cut short: it ends early{after}; copy it again"):
        read_image(tmp_path / "cut.jpg")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_turns_a_picture_as_far_as_it_is_whole(tmp_path):
    broken = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 30) + struct.pack("<HHII", 0x112, 3, 1, 6)
    (tmp_path / "a.jpg").write_bytes(jpeg(exif=broken))
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.pixels.shape == (80, 60, 3)
    assert picture.metadata.exif is None


def test_a_jpeg_of_twelve_bits_is_called_so(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg().replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"))
    with pytest.raises(ImageError, match=r"a.jpg is a JPEG of 12 bits a channel, which is not read: save it as .png"):
        read_image(tmp_path / "a.jpg")


# Metadata


def photo_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Canon", 6
    exif[0x8769] = {0x9003: "2024:05:06 07:08:09", 0xA002: 80}
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 30.0)}
    return exif


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_exif_and_profile_travel_and_the_picture_looks_the_same(tmp_path, suffix):
    (tmp_path / "photo.jpg").write_bytes(jpeg(exif=photo_exif(), icc_profile=SWAPPED))
    photo = read_picture(tmp_path / "photo.jpg")
    assert photo.pixels.shape == (80, 60, 3)
    write_image(tmp_path / f"out{suffix}", photo.pixels, metadata=photo.metadata)
    again = read_picture(tmp_path / f"out{suffix}")
    assert again.pixels.shape == photo.pixels.shape
    assert np.abs(again.pixels.astype(int) - photo.pixels).mean() < 4
    if suffix == ".bmp":
        assert (again.metadata.exif, again.metadata.profile) == (None, None)
        return
    assert again.metadata.profile == SWAPPED
    tags = Image.Exif()
    tags.load(again.metadata.exif)
    assert (tags[0x010F], tags[0x0112]) == ("Canon", 1)
    assert tags.get_ifd(0x8769) == {0x9003: "2024:05:06 07:08:09"}
    assert tags.get_ifd(0x8825)[2] == (48.0, 51.0, 30.0)


def test_an_srgb_profile_changes_no_pixel(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    (tmp_path / "photo.jpg").write_bytes(jpeg(icc_profile=profile))
    photo = read_picture(tmp_path / "photo.jpg")
    write_image(tmp_path / "out.png", COLORS, metadata=photo.metadata)
    with Image.open(tmp_path / "out.png") as image:
        assert np.array_equal(np.asarray(image), COLORS)
        assert image.info["icc_profile"] == profile


def test_heic_is_turned_once(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    from pillow_heif import register_heif_opener

    register_heif_opener()
    for suffix in (".heic", ".avif"):
        image = Image.fromarray(COLORS)
        image.info["exif"] = exif.tobytes()  # from where pillow-heif turns it, by a property of the file itself
        image.save(tmp_path / f"a{suffix}", exif=exif.tobytes(), quality=95)
        picture = read_image(tmp_path / f"a{suffix}")
        assert picture.shape == (80, 60, 3)
        assert np.abs(picture.astype(int) - np.rot90(COLORS, -1)).mean() < 6


# Bounds


def test_decompression_bombs_are_refused_with_the_size_that_fits(tmp_path):
    row = zlib.compress(bytes(1 + 2500) * 20_000)  # 20,000 x 20,000 pixels of one bit
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", row) + chunk(b"IEND", b""))
    with pytest.raises(ImageError, match=r"bomb.png says that it holds 20000x20000 pixels in 0.\d MB, .* 10000x10000"):
        read_image(tmp_path / "bomb.png")


def test_what_does_not_fit_into_memory_is_refused(tmp_path, monkeypatch):
    Image.fromarray(COLORS).save(tmp_path / "a.png")
    monkeypatch.setattr("e2e_art.images.reading.decode.free_memory", lambda: 9600)
    with pytest.raises(ImageError, match=r"a.png takes 0.0 GB of memory to read, and 0.0 are free: .* to 40x30 pixels"):
        read_image(tmp_path / "a.png")


# Folders


def test_suffixes_are_those_of_the_formats_that_are_read():
    Image.init()
    from pillow_heif import register_heif_opener

    register_heif_opener()
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in FORMATS}
    assert known - {".ppm"} <= IMAGE_SUFFIXES
    assert IMAGE_SUFFIXES - known <= {
        ".jpc",
        ".jpf",
        ".jpx",
        ".j2c",
        ".mpo",
        ".pfm",
        ".qoi",
        ".avifs",
        ".hif",
        ".heics",
    }
    assert set(WRITABLE_SUFFIXES) <= IMAGE_SUFFIXES


def test_what_lies_beside_the_pictures_is_told(tmp_path):
    for name in ("a.JPG", "b.heic", "c/d.AVIF", "clip.mp4", "c/clip2.MP4", "layers.psd", "notes", ".hidden.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found, others = find_images(tmp_path)
    assert [path.name for path in found] == ["a.JPG", "b.heic", "d.AVIF"]
    assert others == {".mp4": 2, ".psd": 1, "": 1}
    assert passed_over(Counter({".mp4": 2, ".psd": 1})) == "3 other files were passed over: .mp4, .psd"
    assert passed_over({"": 1}) == "1 other file was passed over: no suffix"
    assert passed_over({}) == ""


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"%PDF-1.7", "is a PDF document: save its page"),
        (b"<?xml version='1.0'?>\n<svg xmlns=''>", "is an SVG drawing: export it"),
        (b"<!DOCTYPE html><html>", "is a web page: save the picture itself"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isom", "is a clip: e2e-art infer paints clips"),
        (b"\x1aE\xdf\xa3\x01", "is a clip: e2e-art infer paints clips"),
        (b"8BPS\0\1", "is a Photoshop file: export it"),
        (b"\xff\x0a\0\0", "is a JPEG XL file: save it as .png or .jpg"),
        (b"PK\x03\x04", "is a ZIP archive"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"", "is empty: copy it again"),
        (b"Dear Theo", "is no picture of a known kind: save it as .jpg or .png"),
        (b"\x89PNG\r\n\x1a\n", "is damaged or cut short: copy it again"),
        (b"\xff\xd8\xff\xe0", "is damaged or cut short"),
    ],
)
def test_what_is_no_picture_is_called_by_its_name(tmp_path, content, sentence):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=f"a.jpg {sentence}"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_frames_are_counted(tmp_path, suffix, caplog):
    caplog.set_level(logging.INFO)
    frames = [Image.fromarray(np.roll(COLORS, shift, 1)) for shift in range(0, 40, 10)]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
    assert count_frames(tmp_path / f"a{suffix}") == 4
    assert count_frames(tmp_path / "missing.gif") == 1
    assert read_image(tmp_path / f"a{suffix}").shape == COLORS.shape
    assert f"a{suffix}: the first of its 4 frames" in caplog.text


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_small_pictures_in_new_formats(suffix):
    for height, width in ((1, 1), (3, 5), (64, 17)):
        picture = np.full((height, width, 3), (200, 50, 30), np.uint8)
        again = read_image(io.BytesIO(encode_image(picture, suffix)))
        assert again.shape == picture.shape
        assert np.abs(again.astype(int) - picture).max() < 12
    assert MAX_PIXELS >= 178_000_000
