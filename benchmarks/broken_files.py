"""What robustness.py breaks: whole files of every kind that people give, made here, and the ways to break them."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnx
import pillow_heif
import tifffile
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageCms

from e2e_art.engines.mxnet import mx
from e2e_art.images.arrays import to_vgg_space
from e2e_art.losses.options import LossOptions
from e2e_art.losses.style_target import StyleTarget
from e2e_art.models.publish import publish
from e2e_art.networks.chain import Chain, DoodleChain, TextureChain
from e2e_art.training.options import TrainingOptions
from e2e_art.training.trainer import Training

__all__ = ["CASES", "WAYS", "break_bytes", "make_whole_files", "small_photo", "training_options", "write_clip"]

WIDTH, HEIGHT = 24, 18  # of pictures: small, so that thousands are broken in minutes
FRAMES, SIZE = 8, (128, 96)  # of clips; the size is one of the few that H.263 knows
RATE, SAMPLES = 8, 8000  # frames and samples of sound a second


# Ways to break bytes


def _run(content: bytes, random: np.random.Generator) -> tuple[int, int]:
    """Returns where a random part of a file begins and ends: few of its bytes, or up to a quarter of them."""
    length = int(random.integers(1, max(2, len(content) // random.choice((4, 16, 64)))))
    begin = int(random.integers(0, max(1, len(content) - length)))
    return begin, begin + length


def _flip(content: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for place in random.integers(0, len(content), random.choice((1, 2, 8, 64))):
        changed[place] ^= int(random.integers(1, 256))
    return bytes(changed)


def _cut(content: bytes, random: np.random.Generator) -> bytes:
    return content[: random.integers(0, len(content))]


def _zero(content: bytes, random: np.random.Generator) -> bytes:
    begin, end = _run(content, random)
    return content[:begin] + bytes(end - begin) + content[end:]


def _insert(content: bytes, random: np.random.Generator) -> bytes:
    begin, end = _run(content, random)
    return content[:begin] + random.bytes(end - begin) + content[begin:]


def _duplicate(content: bytes, random: np.random.Generator) -> bytes:
    begin, end = _run(content, random)
    return content[:end] + content[begin:]


def _swap(content: bytes, random: np.random.Generator) -> bytes:
    a, b, c = sorted(random.integers(0, len(content) + 1, 3).tolist())
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def _extreme(content: bytes, random: np.random.Generator) -> bytes:
    """Sets a field, most often one near the beginning, to a number that nobody reckons with."""
    bits = 8 * int(random.choice((1, 2, 4, 8)))
    numbers = (0, 1, 2 ** (bits - 1) - 1, 2 ** (bits - 1), 2**bits - 1, 2 ** random.integers(bits).item())
    number = numbers[random.integers(len(numbers))]
    place = int(random.integers(0, min(len(content), 128) if random.random() < 0.7 else len(content)))
    field = number.to_bytes(bits // 8, "little" if random.random() < 0.5 else "big")
    return content[:place] + field + content[place + len(field) :]


WAYS: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    way.__name__[1:]: way for way in (_flip, _cut, _zero, _insert, _duplicate, _swap, _extreme)
}


def break_bytes(content: bytes, random: np.random.Generator) -> bytes:
    """Returns a file's content, broken in one way or two."""
    for way in random.choice(list(WAYS), random.choice((1, 1, 2))):
        content = WAYS[way](content or b"\0", random)
    return content


# Ways to break what checksums and structure protect


def _reseal_png(content: bytes) -> bytes:
    """Returns a PNG with right checksums of its chunks, so that a reader goes on to what they hold."""
    done, place = content[:8], 8
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        chunk = content[place + 4 : place + 8 + length]
        done += content[place : place + 4] + chunk + struct.pack(">I", zlib.crc32(chunk))
        place += 12 + length
    return done


EXTREMES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 2, -1, 0.5, 64, 4096, 100_000, 10**9, 2**63, 10**20, -(10**20), 1e308, float("nan")),
    *(float("inf"), "", "x", "x" * 10_000, "../model.json", "\ud800", "\0", [], [[]], {}, {"": None}, [3], [10**9, 48]),
)


def break_json(value: Any, random: np.random.Generator) -> Any:
    """Returns JSON in which one value was replaced, left out, repeated, scaled or renamed."""
    value = copy.deepcopy(value)
    places: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        inside = list(each.items() if isinstance(each, dict) else enumerate(each))
        places += [(each, key) for key, _ in inside]
        waiting += [child for _, child in inside if isinstance(child, (dict, list)) and child]
    holder, key = places[random.integers(len(places))]
    way = random.integers(8)
    if way == 0:
        del holder[key]
    elif way == 1 and isinstance(holder, list):
        holder[:] *= int(random.choice((2, 65, 5000)))
    elif way == 2 and isinstance(holder, dict):
        holder[f"{key}_"] = holder.pop(key)
    elif way == 3 and isinstance(holder[key], (int, float)):
        holder[key] *= int(random.choice((-1, 2, 1000, 10**6)))
    else:
        holder[key] = copy.deepcopy(EXTREMES[random.integers(len(EXTREMES))])
    return value


def break_zip(content: bytes, random: np.random.Generator) -> bytes:
    """Returns a file of numpy arrays of which one was broken, under a right checksum."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    name = list(entries)[random.integers(len(entries))]
    array = np.load(io.BytesIO(entries[name]))
    if name == "state.npy" and random.random() < 0.8:
        state = json.dumps(break_json(json.loads(array.tobytes()), random))
        array = np.frombuffer(state.encode(), np.uint8)
    elif array.dtype.kind == "f" and random.random() < 0.5:
        array = np.resize(array, [(*array.shape, 1), array.shape[1:], array.shape][random.integers(3)]).copy()
        array[...] = random.choice((np.nan, np.inf, -np.inf, 0, 1e30, -1e30)).astype(array.dtype)
    buffer = io.BytesIO()
    np.save(buffer, array)
    entries[name] = buffer.getvalue() if random.random() < 0.7 else break_bytes(buffer.getvalue(), random)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for each, data in entries.items():
            file.writestr(each, data)
    return packed.getvalue()


def break_onnx(content: bytes, random: np.random.Generator) -> bytes:
    """Returns an ONNX graph in which one field has another value."""
    model = onnx.load_from_string(content)
    places: list[tuple[Any, str, int]] = []
    waiting: list[Any] = [model]
    while waiting:
        message = waiting.pop()
        for field, value in message.ListFields():
            several = isinstance(value, (str, bytes)) is False and hasattr(value, "__len__")
            for index, each in enumerate(list(value)[:64] if several else [value]):
                if hasattr(each, "ListFields"):
                    waiting.append(each)
                else:
                    places.append((message, field.name, index if several else -1))
    message, name, index = places[random.integers(len(places))]
    old = getattr(message, name) if index < 0 else getattr(message, name)[index]
    numbers = (0, 1, -1, 2, 7, 99, 2**31 - 1, -(2**31), 2**40, 2**63 - 1)
    new: Any = numbers[random.integers(len(numbers))]
    if isinstance(old, (str, bytes)):
        new = type(old)() if isinstance(old, bytes) else ("", "x", "input", "output", "Conv")[random.integers(5)]
    try:
        if index < 0:
            setattr(message, name, new)
        else:
            getattr(message, name)[index] = new
        return model.SerializeToString()
    except (TypeError, ValueError):  # a number that the field does not hold
        return break_bytes(content, random)


# Whole files


def small_photo() -> Image.Image:
    """Returns a picture whose colors all differ, 24x18."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return Image.fromarray(np.stack([x * 10 + 20, y * 12 + 30, 250 - x * 5 - y * 5], -1).astype(np.uint8))


def _make_pictures(folder: Path) -> None:
    """Writes pictures of every format that Pillow, pillow-heif and tifffile write, in many modes of the common ones."""
    photo = small_photo()
    pixels = np.asarray(photo)
    gray, clear, indexed = photo.convert("L"), photo.convert("RGBA"), photo.quantize(16)
    clear.putalpha(gray)
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = 6, "Camera"
    told = {"exif": exif, "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}
    frames = {"save_all": True, "append_images": [photo.rotate(90, expand=False), photo.rotate(180)]}

    def save(name: str, image: Image.Image = photo, **options) -> None:
        image.save(folder / name, **options)

    for name, suffixes, image, options in (
        ("photo", "bmp dib dds ico icns im jp2 pcx ppm qoi sgi tga tif webp avif", photo, {}),
        ("indexed", "blp gif png bmp tga tif", indexed, {}),
        ("bits", "msp xbm png tif pbm", photo.convert("1"), {}),
        ("gray", "png jpg tif pgm jp2 webp", gray, {}),
        ("clear", "png tif webp avif jp2 tga", clear, {}),
        ("told", "jpg png tif webp avif", photo, told),
        ("frames", "gif png webp tif avif mpo", photo, frames),
    ):
        for suffix in suffixes.split():
            save(f"{name}.{suffix}", image, **options)
    save("photo.jpg", quality=95)
    save("progressive.jpg", progressive=True)
    save("cmyk.jpg", photo.convert("CMYK"))
    save("cmyk.tif", photo.convert("CMYK"))
    save("lab.tif", photo.convert("LAB"))
    save("lossless.webp", lossless=True)
    save("photo.spider", gray.convert("F"), format="SPIDER")
    save("photo.pfm", gray.convert("F"))
    save("deep.png", Image.fromarray(np.asarray(gray).astype(np.uint16) * 257))
    for compression in ("lzw", "jpeg", "packbits", "tiff_adobe_deflate"):
        save(f"{compression}.tif", compression=compression)
    save("fax.tif", photo.convert("1"), compression="group4")
    heif = pillow_heif.from_pillow(photo)
    heif.save(folder / "photo.heic", quality=90)
    pillow_heif.from_pillow(clear).save(folder / "clear.heic", quality=90)
    deep = pixels.astype(np.uint16) * 257
    for name, array, options in (
        ("float.tif", pixels.astype(np.float32) / 255, {}),
        ("half.tif", pixels.astype(np.float16) / 255, {}),
        ("deep.tif", deep, {"byteorder": ">"}),
        ("planes.tif", deep.transpose(2, 0, 1), {"planarconfig": "separate"}),
        ("tiles.tif", deep, {"tile": (16, 16), "compression": "zlib", "predictor": True}),
        ("wide.tif", pixels[..., 0].astype(np.uint32) << 23, {"photometric": "minisblack"}),
        ("big.tif", pixels, {"bigtiff": True}),
    ):
        tifffile.imwrite(folder / name, array, **{"photometric": "rgb", **options})


def _make_masks(folder: Path) -> None:
    mask = np.zeros((HEIGHT * 2, WIDTH * 2, 3), np.uint8)
    mask[:20], mask[20:, :20], mask[20:, 20:] = (255, 0, 0), (0, 0, 255), (255, 255, 255)
    for suffix in ("png", "gif", "bmp", "jpg", "webp", "tif", "ppm"):
        Image.fromarray(mask).save(folder / f"mask.{suffix}")
    Image.fromarray(mask).quantize(8).save(folder / "indexed.png")


_CLIPS = {  # codec of the picture, its pixel format, codec of the sound
    "clip.mp4": ("libx264", "yuv420p", "aac"),
    "clip.mkv": ("ffv1", "bgr0", "flac"),
    "clip.webm": ("libvpx-vp9", "yuv420p", "libopus"),
    "clip.avi": ("mjpeg", "yuvj420p", "pcm_s16le"),
    "clip.mov": ("mpeg4", "yuv420p", "pcm_s16le"),
    "clip.m4v": ("libx264", "yuv420p", None),
    "clip.mpg": ("mpeg2video", "yuv420p", "mp2"),
    "clip.ts": ("libx264", "yuv420p", "aac"),
    "clip.flv": ("flv1", "yuv420p", None),
    "clip.wmv": ("wmv2", "yuv420p", None),
    "clip.3gp": ("h263", "yuv420p", None),
}


def _make_clips(folder: Path) -> None:
    for name, (codec, form, sound) in _CLIPS.items():
        write_clip(folder / name, FRAMES, codec, form, sound)
    first, *others = _frames(FRAMES)
    for suffix in ("gif", "png", "webp"):
        first.save(folder / f"clip.{suffix}", save_all=True, append_images=others, duration=125)


def _frames(count: int) -> list[Image.Image]:
    pixels = np.asarray(small_photo().resize(SIZE))
    return [Image.fromarray(np.roll(pixels, 5 * k, axis=1)) for k in range(count)]


def write_clip(
    path: Path, count: int, codec: str = "libx264", form: str = "yuv420p", sound: str | None = "aac"
) -> None:
    """Writes a clip of a few frames, 128x96, of a picture that moves, with a second of sound."""
    with av.open(str(path), "w") as file:
        rate = 25 if codec in ("mpeg2video", "h263") else RATE  # these two have a few rates alone
        video = file.add_stream(codec, rate=rate, width=SIZE[0], height=SIZE[1], pix_fmt=form)
        audio = file.add_stream(sound, rate=48000 if sound in ("libopus", "mp2", "aac") else SAMPLES) if sound else None
        for frame in _frames(count):
            file.mux(video.encode(av.VideoFrame.from_image(frame)))
        file.mux(video.encode(None))
        if audio:
            tone = (np.sin(np.arange(audio.rate) / 10) * 9000).astype(np.int16)[np.newaxis]
            samples = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            samples.sample_rate, samples.pts = audio.rate, 0
            file.mux(audio.encode(samples))
            file.mux(audio.encode(None))


_STAGE = {"kind": "pyramid", "channels": [8, 4], "blocks": [1, 1], "details": 4, "residual_weight": 0.5}
_PALETTE = [{"color": color, "name": name} for color, name in (("#ff0000", "red"), ("#0000ff", "blue"))]


def _make_models(folder: Path) -> None:
    """Publishes small untrained models of every kind."""
    style = mx.nd.array(to_vgg_space(np.asarray(small_photo().resize((32, 32)))))
    validation = [{"stage": stage, "total": 3.5 - stage} for stage in range(2)]
    record = {"command": "by hand", "photos": 3, "seconds": 4, "engine": "MXNet", "validation": validation}
    record["styles"] = [{"file": "waves.jpg"}]
    regions = {"kind": "doodle", "regions": len(_PALETTE)}
    for name, chain, more in (
        ("chain", Chain([_STAGE, _STAGE]), {}),
        ("texture", TextureChain([{"kind": "texture"}]), {}),
        ("doodle", DoodleChain([regions]), {"palette": _PALETTE}),
    ):
        chain.draw_weights(1, [mx.cpu()])
        extras = {"style.npz": StyleTarget.of(LossOptions(), [style]).save()} if name == "chain" else {}
        publish(chain, folder / name, {**record, **more}, extras)


def _make_onnx(folder: Path) -> None:
    """Writes external models: a negative, a convolution, one of a fixed size, one that enlarges."""

    def write(name: str, nodes: list, inside: list, outside: list, weights: dict) -> None:
        takes = helper.make_tensor_value_info("in", TensorProto.FLOAT, inside)
        gives = helper.make_tensor_value_info("out", TensorProto.FLOAT, outside)
        arrays = [numpy_helper.from_array(array, key) for key, array in weights.items()]
        graph = helper.make_graph(nodes, "g", [takes], [gives], arrays)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / name)

    free = [1, 3, "h", "w"]
    kernel = np.stack([np.stack([np.full((3, 3), (i == k) / 9, np.float32) for k in range(3)]) for i in range(3)])
    node, scales = helper.make_node, np.float32([1, 1, 2, 2])
    write("negative.onnx", [node("Sub", ["c", "in"], ["out"])], free, free, {"c": np.float32(255)})
    blur = node("Conv", ["in", "w"], ["out"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    write("blur.onnx", [blur], ["batch", *free[1:]], ["batch", *free[1:]], {"w": kernel})
    write("fixed.onnx", [blur], [1, 3, 32, 32], [1, 3, 32, 32], {"w": kernel})
    larger = node("Resize", ["in", "", "s"], ["out"], mode="nearest")
    write("larger.onnx", [larger], free, [1, 3, "a", "b"], {"s": scales})


def _make_lists(folder: Path) -> None:
    names = [f"{letter}/photo {n}.jpg" for letter in "ab" for n in range(6)]
    for name in names:
        (folder / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "photos" / name).write_bytes(b"no picture, but there")
    (folder / "plain.txt").write_text("\n".join(names))
    (folder / "places.txt").write_text("\r\n".join(f"/{name} {n}" for n, name in enumerate(names)))


def training_options(folder: Path) -> TrainingOptions:
    """Returns the options of the training that checkpoints are of, as small as there can be."""
    loss = LossOptions(style_layers=("relu1_1",), content_layers=("relu1_1",))
    small = {"stages": "conv", "steps": (4,), "sizes": (32,), "style_size": 32, "loss": loss}
    return TrainingOptions(styles=(str(folder.parent / "photo.png"),), photos="photos", **small)


def _make_checkpoints(folder: Path) -> None:
    options = training_options(folder)
    training = Training(options, folder / "begun.npz", bfloat16=False)
    training.save()
    training = Training(options, folder / "half.npz", bfloat16=False)
    training.learn(to_vgg_space(np.zeros((32, 32, 3), np.uint8)).transpose(0, 2, 3, 1), 1e-3)
    training.state.step = 1
    training.save()


def make_whole_files(folder: Path, kinds: list[str]) -> None:
    """Writes the whole files of each kind, and a small photo, into folders of the kinds' names."""
    makers = {
        **{"pictures": _make_pictures, "masks": _make_masks, "clips": _make_clips, "models": _make_models},
        **{"onnx": _make_onnx, "checkpoints": _make_checkpoints, "lists": _make_lists},
    }
    small_photo().resize((48, 36)).save(folder / "photo.png")
    for kind in dict.fromkeys([*kinds, "models"]):  # clips and others are painted by a model
        (folder / kind).mkdir(parents=True)
        makers[kind](folder / kind)


# Broken files


def _broken_file(whole: Path, random: np.random.Generator, target: Path, break_it=break_bytes) -> Path:
    """Writes one of the files of a folder, broken; returns its path."""
    files = sorted(path for path in whole.iterdir() if path.is_file())
    chosen = files[random.integers(len(files))]
    content = break_it(chosen.read_bytes(), random)
    if chosen.suffix == ".png" and random.random() < 0.7:
        content = _reseal_png(content)
    path = target / chosen.name
    path.write_bytes(content)
    return path


def _either(first, second, share: float = 0.5):
    """Returns a way to break that is the first or the second."""
    return lambda content, random: (first if random.random() < share else second)(content, random)


def _broken_model(whole: Path, random: np.random.Generator, target: Path) -> Path:
    """Writes a model whose seal and checksums are right, and whose content is not; returns its folder."""
    chosen = whole / ("chain", "chain", "texture", "doodle")[random.integers(4)]
    folder = Path(shutil.copytree(chosen, target / chosen.name))
    description = json.loads((folder / "model.json").read_bytes())
    if random.random() < 0.5:
        description = break_json(description, random)
    else:
        names = [name for name in description["files"] if not name.endswith(".jpg")]
        file = folder / names[random.integers(len(names))]
        ways = {".npz": _either(break_zip, break_bytes), ".onnx": _either(break_onnx, break_bytes)}
        file.write_bytes(ways.get(file.suffix, break_bytes)(file.read_bytes(), random))
        description["files"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    if isinstance(description, dict):
        rest = {key: value for key, value in description.items() if key != "seal"}
        description["seal"] = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    text = json.dumps(description).encode()
    (folder / "model.json").write_bytes(text if random.random() < 0.95 else break_bytes(text, random))
    return folder


# How a broken input of each kind is made: whole files, random numbers and a folder to write into, to its path.
CASES: dict[str, Callable[[Path, np.random.Generator, Path], Path]] = {
    "pictures": _broken_file,
    "masks": _broken_file,
    "clips": _broken_file,
    "models": _broken_model,
    "onnx": lambda whole, random, target: _broken_file(whole, random, target, _either(break_onnx, break_bytes, 0.7)),
    "checkpoints": lambda whole, random, target: _broken_file(whole, random, target, _either(break_zip, break_bytes)),
    "lists": _broken_file,
}
