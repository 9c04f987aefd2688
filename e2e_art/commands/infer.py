"""Paint photos, a clip, the camera's picture or a doodle with a trained model, or make textures.

usage: e2e-art infer PHOTO... -o OUT [--model MODEL] [options]

examples:
  e2e-art infer photo.jpg -o painting.jpg
  e2e-art infer holiday/ --model starry_night -o painted/ --strength 0.8
  e2e-art infer clip.mp4 --model starry_night -o painted.mp4 --steady
  e2e-art infer --texture kandinsky --size 768x512 -o texture.png
"""

from __future__ import annotations

import argparse
import os

from .. import load, load_doodle, load_texture
from ..errors import OptionError
from ..models.folder import Model, read_model
from ..painting import external
from ..painting.engines import ENGINES
from .flags import add_overwrite
from .infer_noise import make_textures, paint_doodle
from .infer_photos import Output, paint_photos
from .infer_video import is_clip, paint_video
from .models import describe_model, describe_models

__all__ = ["add_arguments", "run"]

MOST_THREADS = 256  # far more than cores only take memory and time
LOOK = ("strength", "as_painted", "keep_colors", "denoise", "tile", "guided")  # options of `Painter.stages`


def add_arguments(parser) -> None:
    """Adds the flags of `infer`."""
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help="files, folders, patterns, or - for standard input")
    parser.add_argument("--model", default="starry_night", metavar="MODEL", help="a shipped name, folder, or ONNX file")
    parser.add_argument("-o", "--out", metavar="OUT", help="a file for one photo, a folder for several, - for stdout")
    add_overwrite(parser)
    parser.add_argument("--list", action="store_true", help="list the shipped models")
    parser.add_argument("--info", action="store_true", help="print how the model was trained")
    look = parser.add_argument_group("look of the painting")
    look.add_argument("--strength", type=float, default=1.0, metavar="X", help="0: the photo, 1: as trained, up to 2")
    look.add_argument("--keep-colors", action="store_true", help="keep the photo's colors")
    look.add_argument("--stage", type=int, metavar="K", help="stop at stage K, from 0: nearer to the photo, and faster")
    look.add_argument("--stages", action="store_true", help="also write every stage, and a sheet of them all")
    look.add_argument(
        "--denoise", type=float, nargs="?", const=0.02, default=0.0, metavar="X", help="smooth by X, 0.02 by default"
    )
    size = parser.add_argument_group("size")
    edge = (
        "long edge to paint at, which sets the size of strokes; 0 for the photo's own; for textures and doodles also "
    )
    size.add_argument("--size", metavar="EDGE|WxH", help=edge + "width x height, such as 480x320")
    size.add_argument("--as-painted", action="store_true", help="leave the painting at --size")
    size.add_argument("--guided", action="store_true", help="enlarge it from --size along the photo's own edges")
    tile = "paint in tiles of that edge; auto (the default) where memory is short, 0 never"
    size.add_argument("--tile", type=tile_edge, metavar="EDGE", help=tile)
    noise = parser.add_argument_group("textures and doodles", "Made of noise: another seed, another picture.")
    noise.add_argument("--texture", metavar="MODEL", help="a shipped texture, or one that train.py --texture wrote")
    noise.add_argument("--seed", nargs="+", type=int, default=[0], metavar="N", help="several write a file each")
    noise.add_argument("--tile-check", action="store_true", help="print how well a texture continues at its edges")
    clips = parser.add_argument_group("clips", "One clip as PHOTO, or the camera; size, times and sound are kept.")
    clips.add_argument("--camera", nargs="?", const="0", metavar="N", help="record the camera N (0) until Ctrl-C")
    clips.add_argument("--steady", action="store_true", help="less flicker: blend in the frame before, warped")
    clips.add_argument("--flicker", action="store_true", help="measure how much the painted clip flickers")
    clips.add_argument("--resume", action="store_true", help="go on with a clip that was interrupted")
    devices = parser.add_argument_group("devices")
    devices.add_argument("--engine", choices=ENGINES, default="auto", help="library that computes")
    devices.add_argument("--gpu", type=int, metavar="N", help="number of the GPU to use; the CPU by default")
    devices.add_argument("--threads", type=int, metavar="N", help="threads to use; as many as cores by default")


def tile_edge(text: str) -> int | None:  # argparse calls a wrong one an "invalid tile_edge value"
    return None if text == "auto" else int(text)


def run(flags: argparse.Namespace) -> None:
    """Does the one of the six jobs that the flags ask for."""
    if flags.list:
        return describe_models()
    if flags.info:
        return describe_model(read_model(flags.model))
    if flags.threads is not None:
        if not 1 <= flags.threads <= MOST_THREADS:
            raise OptionError(f"--threads must be 1 to {MOST_THREADS}, not {flags.threads}")
        os.environ["OMP_NUM_THREADS"] = str(flags.threads)  # MXNet reads it when it is imported
    device = (flags.engine, flags.threads, flags.gpu)
    output = Output(flags.out, flags.stage, flags.overwrite)
    if flags.texture:
        if flags.photos:
            raise OptionError("--texture makes a picture of noise: leave the photos out")
        textures = load_texture(flags.texture, *device)
        return make_textures(textures, flags.size, flags.seed, output, flags.tile_check)
    model = flags.model if flags.model.lower().endswith(external.SUFFIX) else read_model(flags.model)
    if isinstance(model, Model) and model.kind.paints_regions:
        return paint_doodle(flags.photos, load_doodle(model, *device), flags.size, flags.seed, output)
    if flags.size is not None and not flags.size.removeprefix("-").isdecimal():
        raise OptionError(f"--size takes the long edge of a photo in pixels, such as 800, not '{flags.size}'")
    look = {name: getattr(flags, name) for name in LOOK}
    look["size"] = None if flags.size is None else int(flags.size)
    painter = load(model, *device)
    if flags.camera is None and not any(is_clip(photo, flags.out) for photo in flags.photos):
        return paint_photos(flags.photos, painter, look, output, flags.stages)
    if flags.stages:
        raise OptionError("--stages is for photos: leave it out, or choose one with --stage")
    return paint_video(flags.photos, painter, look, output, flags.steady, flags.flicker, flags.camera, flags.resume)
