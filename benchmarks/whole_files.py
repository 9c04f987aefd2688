"""What robustness.py breaks and paints: whole files of every kind that people give, made here."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import onnx
import pillow_heif
import tifffile
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageCms

from e2e_art.engines.gluon import array, cpu
from e2e_art.images.arrays import to_vgg_space
from e2e_art.losses.options import LossOptions
from e2e_art.losses.style_target import StyleTarget
from e2e_art.models.folder import NOISE_FILE
from e2e_art.models.publish import publish
from e2e_art.networks.chain import Chain, DoodleChain, TextureChain
from e2e_art.networks.inputs import noise_tile
from e2e_art.training.options import TrainingOptions
from e2e_art.training.trainer import Training

__all__ = ["make_whole_files", "small_photo", "training_options", "write_clip"]

WIDTH, HEIGHT = 24, 18  # of pictures: small, so that thousands are broken in minutes
FRAMES, SIZE = 8, (128, 96)  # of clips; the size is one of the few that H.263 knows
RATE, SAMPLES = 8, 8000  # frames and samples of sound a second


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
    for name, values, options in (
        ("float.tif", pixels.astype(np.float32) / 255, {}),
        ("half.tif", pixels.astype(np.float16) / 255, {}),
        ("deep.tif", deep, {"byteorder": ">"}),
        ("planes.tif", deep.transpose(2, 0, 1), {"planarconfig": "separate"}),
        ("tiles.tif", deep, {"tile": (16, 16), "compression": "zlib", "predictor": True}),
        ("wide.tif", pixels[..., 0].astype(np.uint32) << 23, {"photometric": "minisblack"}),
        ("big.tif", pixels, {"bigtiff": True}),
    ):
        tifffile.imwrite(folder / name, values, **{"photometric": "rgb", **options})


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


_OLD_MODEL = Path(__file__).resolve().parents[1] / "tests" / "data" / "format_1" / "tiny"  # without its noise


def _make_models(folder: Path) -> None:
    """Publishes small untrained models of every kind, and copies one of format 1."""
    style = array(to_vgg_space(np.asarray(small_photo().resize((32, 32)))))
    validation = [{"stage": stage, "total": 3.5 - stage} for stage in range(2)]
    record = {"command": "by hand", "photos": 3, "seconds": 4, "engine": "MXNet", "validation": validation}
    record["styles"] = [{"file": "waves.jpg"}]
    regions = {"kind": "doodle", "regions": len(_PALETTE)}
    for name, chain, more in (
        ("chain", Chain([_STAGE, _STAGE]), {}),
        ("texture", TextureChain([{"kind": "texture"}]), {}),
        ("doodle", DoodleChain([regions]), {"palette": _PALETTE}),
    ):
        chain.draw_weights(1, [cpu()])
        extras = {"style.npz": StyleTarget.of(LossOptions(), [style]).save()} if name == "chain" else {}
        publish(chain, folder / name, {**record, **more}, extras)
    shutil.copytree(_OLD_MODEL, folder / "old")
    (folder / "old" / NOISE_FILE).write_bytes(noise_tile().tobytes())


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
    return TrainingOptions(styles=(str(folder.parent / "photo.png"),), photos=str(folder / "photos"), **small)


def _make_checkpoints(folder: Path) -> None:
    (folder / "photos").mkdir()
    (folder / "photos" / "photo.png").write_bytes((folder.parent / "photo.png").read_bytes())
    options = training_options(folder)
    training = Training(options, folder / "begun.npz", bfloat16=False)
    training.save()
    training = Training(options, folder / "half.npz", bfloat16=False)
    training.learn(np.zeros((1, 32, 32, 3), np.uint8), 1e-3)
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
