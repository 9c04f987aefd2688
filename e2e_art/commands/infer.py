"""Paint photos, a clip, the camera's picture or a doodle with a trained model, enlarge them, or make textures.

usage: e2e-art infer PHOTO... -o OUT [--model MODEL] [options]

examples:
  e2e-art infer photo.jpg -o painting.jpg
  e2e-art infer holiday/ --model starry_night -o painted/ --strength 0.8
  e2e-art infer photo.jpg --model museum --style udnie=0.7,the_scream=0.3 -o painting.jpg
  e2e-art infer clip.mp4 --model starry_night -o painted.mp4 --steady
  e2e-art infer photo.jpg --upscale 4 -o large.png
  e2e-art infer photo.jpg --model starry_night --size 640 --upscale auto -o painting.jpg
  e2e-art infer photo.jpg --style any-painting.jpg --method ost -o painting.jpg
  e2e-art infer --texture kandinsky --size 768x512 -o texture.png
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from platformdirs import user_cache_dir

from .. import load, load_doodle, load_texture
from ..errors import OptionError
from ..losses.options import Number
from ..machine import limit_threads
from ..models.folder import Model, read_model
from ..models.kinds import ANYSTYLE
from ..networks.inputs import SEEDS
from ..painting import external
from ..painting.describe import paintings_of
from ..painting.engines import ENGINES
from ..painting.photo import STRENGTHS, STRONGEST
from ..painting.styles import mix_of
from ..painting.transform import METHODS
from ..painting.universal import SHIPPED as UNIVERSAL
from .flags import GPU, add_engine, add_overwrite, check_job, gpu, number, parse_edge, whole
from .infer_noise import make_textures, paint_doodle
from .infer_photos import paint_photos
from .infer_sheet import ALL, paint_all_models, paint_all_styles
from .infer_targets import Output
from .infer_transfer import transfer_style
from .infer_upscale import enlarge_photos, make_enlarger, make_painter, upscale
from .infer_video import is_clip, paint_video
from .learn import ANY
from .models import describe_model, describe_models

__all__ = ["FLAGS", "add_arguments", "run"]

LOOK = ("strength", "as_painted", "keep_colors", "denoise", "tile", "guided")  # options of `Painter.stages`

PHOTOS, CLIPS, CAMERA, TEXTURES, DOODLES = "photos", "clips", "the camera", "textures", "doodles"
TRANSFER = "--method"  # of the style of any painting to photos
LIST, INFO = "--list", "--info"
PICTURES = (PHOTOS, CLIPS, CAMERA)
MADE = (*PICTURES, TEXTURES, DOODLES, TRANSFER)
# What each flag is for; flags for all jobs, and those that choose one, are not among them.
FLAGS = {
    "PHOTO": (PHOTOS, CLIPS, DOODLES, TRANSFER),
    "--model": (*PICTURES, DOODLES, TRANSFER, INFO),
    "--style": (*PICTURES, TRANSFER),
    "--no-cache": PICTURES,
    "--level": (TRANSFER,),
    "-o": MADE,
    "--overwrite": MADE,
    "--skip-existing": (PHOTOS, TRANSFER),
    "--strip": (PHOTOS, CLIPS, TRANSFER),
    "--json": MADE,
    "--strength": (*PICTURES, TRANSFER),
    "--keep-colors": (*PICTURES, TRANSFER),
    "--stage": (*PICTURES, TEXTURES, DOODLES),
    "--stages": (PHOTOS,),
    "--denoise": PICTURES,
    "--size": MADE,
    "--as-painted": (PHOTOS,),
    "--guided": (PHOTOS,),
    "--upscale": PICTURES,
    "--tile": (PHOTOS,),
    "--texture": (TEXTURES, INFO),
    "--seed": (TEXTURES, DOODLES),
    "--tile-check": (TEXTURES,),
    "--camera": (CAMERA,),
    "--steady": (CLIPS, CAMERA),
    "--flicker": (CLIPS, CAMERA),
    "--resume": (CLIPS,),
    "--engine": (*PICTURES, TEXTURES, DOODLES),
    "--gpu": MADE,
    "--threads": MADE,
}
EXTERNAL, TRAINED = "ONNX files of others", ("trained models",)
NOT_EXTERNAL = dict.fromkeys(("--tile", "--info", "--style"), TRAINED)  # flags that such a file does not take
SHEETS, ONE_MODEL = f"--model {ALL}", ("one model's paintings",)
NOT_ALL = ("--as-painted", "--guided", "--upscale", "--strip")
NOT_SHEETS = dict.fromkeys((*NOT_ALL, "--stages", "--style"), ONE_MODEL)  # nor do sheets of all
STYLES_SHEETS, ONE_STYLE = f"--style {ALL}", ("one style's paintings",)
NOT_STYLES_SHEETS = dict.fromkeys(NOT_ALL, ONE_STYLE)
LARGE_PHOTOS, LARGE_CLIPS, ENLARGING = "large photos", "large clips", "--upscale alone"
LOOKS = ("--keep-colors", "--stage", "--stages", "--denoise", "--size", "--as-painted", "--guided")
NOT_ENLARGING = dict.fromkeys((*LOOKS, "--camera", "--steady", "--flicker"), ("--model",))  # nor --upscale alone


def add_arguments(parser) -> None:
    """Adds the flags of `infer`."""
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help="files, folders, patterns, or - for standard input")
    names = "a shipped name, folder, or ONNX file; all: a sheet of every shipped style"
    parser.add_argument("--model", default="starry_night", metavar="MODEL", help=names)
    styles = (
        "any painting, or several to mix, as a.jpg=0.7 b.jpg=0.3; of a --model of several styles one of them, a mix, "
        "a=0.7,b=0.3, or all for a sheet of them"
    )
    parser.add_argument("--style", nargs="+", metavar="STYLE", help=styles)
    kept = "look at paintings anew, rather than keep what was seen of them in the user's cache folder"
    parser.add_argument("--no-cache", action="store_true", help=kept)
    parser.add_argument("-o", "--out", metavar="OUT", help="a file for one photo, a folder for several, - for stdout")
    add_overwrite(parser)
    parser.add_argument("--skip-existing", action="store_true", help="leave out photos whose files exist, to go on")
    parser.add_argument("--strip", action="store_true", help="leave out what the photo or clip says of itself, as EXIF")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each picture or clip")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--list", action="store_true", help="list the shipped models")
    instead.add_argument("--info", action="store_true", help="print how the model was trained")
    look = parser.add_argument_group("look of the painting")
    strength = f"0: the photo, 1: as trained, up to {STRONGEST:g}; of --upscale alone: from true to sharp"
    look.add_argument("--strength", type=number(STRENGTHS), default=1.0, metavar="X", help=strength)
    method = "give the photo's features the statistics of those of --style: ost keeps most of the photo"
    look.add_argument("--method", choices=METHODS, help=method)
    level = "with --method: paint at that level alone, from 1, fine, to 4, coarse"
    look.add_argument("--level", type=whole(1, 4), metavar="K", help=level)
    look.add_argument("--keep-colors", action="store_true", help="keep the photo's colors")
    stage = "stop at stage K, from 0: nearer to the photo, and faster"
    look.add_argument("--stage", type=whole(), metavar="K", help=stage)
    look.add_argument("--stages", action="store_true", help="also write every stage, and a sheet of them all")
    denoise, weight = "smooth by X, 0.02 by default", number(Number(float))
    look.add_argument("--denoise", type=weight, nargs="?", const=0.02, default=0.0, metavar="X", help=denoise)
    size = parser.add_argument_group("size")
    edge = "long edge to paint at, which sets the size of strokes; 0 for the photo's own"
    both = f"{edge}; for textures and doodles also width x height, such as 480x320"
    size.add_argument("--size", metavar="EDGE|WxH", help=both)
    size.add_argument("--as-painted", action="store_true", help="leave the painting at --size")
    size.add_argument("--guided", action="store_true", help="enlarge it from --size along the photo's own edges")
    large = "enlarge 2, 4 or 8 times; the painting, or without --model the photo; auto: to the photo's size"
    size.add_argument("--upscale", type=upscale, metavar="N|MODEL", help=large)
    tile = "paint in tiles of that edge; auto (the default) where memory is short, 0 never"
    size.add_argument("--tile", type=whole(auto=None), metavar="EDGE", help=tile)
    noise = parser.add_argument_group("textures and doodles", "Made of noise: another seed, another picture.")
    noise.add_argument("--texture", metavar="MODEL", help="a shipped texture, or one that train.py --texture wrote")
    seed = whole(0, SEEDS - 1)
    noise.add_argument("--seed", nargs="+", type=seed, default=[0], metavar="N", help="several write a file each")
    noise.add_argument("--tile-check", action="store_true", help="print how well a texture continues at its edges")
    clips = parser.add_argument_group("clips", "One clip as PHOTO, or the camera; size, times and sound are kept.")
    clips.add_argument(
        "--camera", nargs="?", type=camera, const="0", metavar="N", help="record the camera N (0) until Ctrl-C"
    )
    clips.add_argument("--steady", action="store_true", help="less flicker: blend in the frame before, warped")
    clips.add_argument("--flicker", action="store_true", help="measure how much the painted clip flickers")
    clips.add_argument("--resume", action="store_true", help="go on with a clip that was interrupted")
    devices = parser.add_argument_group("devices")
    add_engine(devices, ENGINES)
    devices.add_argument("--gpu", type=gpu, metavar="N", help=GPU)
    threads, count = "threads to use; as many as cores by default", whole(1)
    devices.add_argument("--threads", type=count, metavar="N", help=threads)


def camera(text: str) -> str:
    """Returns a camera's number or address; raises ArgumentTypeError for other words."""
    if (text.isascii() and text.isdecimal()) or "://" in text or text.startswith("/dev/"):
        return text
    raise argparse.ArgumentTypeError(f"takes a camera's number, such as 0, or its address, not '{text}'")


def run(flags: argparse.Namespace) -> None:
    """Does the one of the eleven jobs that the flags ask for."""
    job, model = _job(flags)
    check_job(flags.given, {SHEETS: PHOTOS, LARGE_PHOTOS: PHOTOS, LARGE_CLIPS: CLIPS}.get(job, job), FLAGS)
    if job == LIST:
        return describe_models()
    if job == INFO:
        return describe_model(read_model(model))
    if flags.threads is not None:
        flags.threads = limit_threads(flags.threads, "--threads")
        os.environ["OMP_NUM_THREADS"] = str(flags.threads)  # MXNet and PyTorch read it when they are imported
    device = (flags.engine, flags.threads, flags.gpu)
    output = Output(flags.out, flags.stage, flags.overwrite, flags.skip_existing, flags.strip, flags.json)
    if job == TEXTURES:
        return make_textures(load_texture(model, *device), flags.size, flags.seed, output, flags.tile_check)
    if job == DOODLES:
        return paint_doodle(flags.photos, load_doodle(model, *device), flags.size, flags.seed, output)
    look = {name: getattr(flags, name) for name in LOOK}
    look["size"] = None if flags.size is None else parse_edge(flags.size, "--size")
    if job == TRANSFER:
        options = {name: look[name] for name in ("strength", "keep_colors", "size")}
        options["method"] = flags.method
        return transfer_style(
            flags.photos, flags.style or (), model, flags.level, options, output, flags.threads, flags.gpu
        )
    if job == SHEETS:
        return paint_all_models(flags.photos, look, output, device)
    if job in (LARGE_PHOTOS, LARGE_CLIPS):
        enlarger = make_enlarger(flags.upscale, *device)
        options = {name: look[name] for name in ("strength", "tile")}
        if job == LARGE_PHOTOS:
            return enlarge_photos(flags.photos, enlarger, options, output)
        return paint_video(flags.photos, enlarger, options, output, resume=flags.resume)
    large = flags.upscale is not None
    painter = make_painter(model, flags.upscale, look, *device) if large else load(model, *device)
    painter.last(flags.stage)  # raises for a stage that there is not
    if flags.style == [ALL]:
        return paint_all_styles(flags.photos, painter, look, output, flags.stages)
    if flags.style:
        any_style = painter.model.kind is ANYSTYLE
        cache = None if flags.no_cache else Path(user_cache_dir("e2e-art", appauthor=False), "styles")
        painter = painter.with_style(paintings_of(flags.style) if any_style else mix_of(flags.style), cache)
    if job == PHOTOS:
        return paint_photos(flags.photos, painter, look, output, flags.stages)
    look |= {"as_painted": False, "stage": flags.stage}
    return paint_video(flags.photos, painter, look, output, flags.steady, flags.flicker, flags.camera, flags.resume)


def _job(flags: argparse.Namespace) -> tuple[str, str | Model]:
    """Returns what the flags ask for, and with which model: read and verified, or an ONNX file of others."""
    if flags.list:
        return LIST, ""
    if flags.texture is not None:
        return INFO if flags.info else TEXTURES, flags.texture
    if flags.method is not None and not flags.info:
        return TRANSFER, flags.model if "--model" in flags.given else UNIVERSAL
    if flags.upscale is not None and "--model" not in flags.given and not flags.info:
        check_job(flags.given, ENLARGING, NOT_ENLARGING)
        return LARGE_CLIPS if any(is_clip(photo, flags.out) for photo in flags.photos) else LARGE_PHOTOS, ""
    if flags.style and "--model" not in flags.given:
        flags.model = ANY
    if flags.model == ALL and not flags.info:
        if any(is_clip(photo, None) for photo in flags.photos):
            raise OptionError(f"{SHEETS} is for photos: choose one model for a clip")
        check_job(flags.given, SHEETS, NOT_SHEETS)
        return SHEETS, ALL
    if flags.model.lower().endswith(external.SUFFIX):
        check_job(flags.given, EXTERNAL, NOT_EXTERNAL)
        model: str | Model = flags.model
    else:
        model = read_model(flags.model, None if "--model" in flags.given or not flags.style else ANYSTYLE)
    if flags.info:
        return INFO, model
    if flags.style == [ALL]:
        if flags.camera is not None or any(is_clip(photo, flags.out) for photo in flags.photos):
            raise OptionError(f"{STYLES_SHEETS} is for photos: choose one style for a clip")
        check_job(flags.given, STYLES_SHEETS, NOT_STYLES_SHEETS)
    if flags.camera is not None:
        return CAMERA, model
    clips = any(is_clip(photo, flags.out) for photo in flags.photos)
    if isinstance(model, Model) and model.kind.paints_regions:
        if clips:
            raise OptionError(f"{model.name} paints drawings, not clips: choose another --model")
        return DOODLES, model
    return CLIPS if clips else PHOTOS, model
