"""Minimize the loss over the pixels of one picture: minutes a picture, and the lowest loss there is.

usage: e2e-art optimize PHOTO --style PAINTING -o OUT [options]

examples:
  e2e-art optimize photo.jpg --style painting.jpg -o out.png
  e2e-art optimize --texture painting.jpg --size 768x512 --tileable -o texture.png
  e2e-art optimize --style painting.jpg --style-mask painting-mask.png --mask drawing.png -o out.png
"""

from __future__ import annotations

import argparse
import glob
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..engines.choice import choose
from ..errors import ImageError, OptionError, UserError, plural
from ..evaluation.charts import plot_curves
from ..files import write_atomically, write_lines
from ..images.arrays import from_vgg_space
from ..images.colors import keep_colors, recolor
from ..images.io import check_sides, check_suffix, encode_animation, read_image, write_image
from ..images.regions import MOST_SEGMENTS, match_regions, one_hot, present, segment
from ..images.resize import resize, resize_long_edge
from ..losses.options import LossOptions, Number, check_blend
from ..machine import OPTIMIZE, PATCH_BYTES, Need, check_memory
from ..networks.inputs import SEEDS
from ..optimize.options import OptimizeOptions
from ..optimize.presets import PRESETS, Preset
from .flags import (
    GPU,
    add_engine,
    add_flags,
    add_overwrite,
    check_free,
    check_job,
    find_double,
    gather,
    gpu,
    number,
    parse_size,
    whole,
)
from .progress import Progress

if TYPE_CHECKING:
    from ..optimize.multiscale import Result

__all__ = ["add_arguments", "run"]

log = logging.getLogger(__name__)

FRAME_EDGE = 480  # pixels of an animation's long edge
MOST_FRAMES = 300  # of more, every second one goes
NOISE_SCALES = 4  # by default from noise, where large structure only forms while the picture is small
LONG_EDGE = 640  # of the result by default: some minutes on two cores
FIRST = ("steps", "seed")  # options that everybody needs
PHOTOS, TEXTURES, DRAWINGS = "photos", "--texture", "masks alone"
# What flags are for, where it is not everything.
FLAGS = {
    "PHOTO": (PHOTOS,),
    "--style": (PHOTOS, DRAWINGS),
    "--style-blend": (PHOTOS, DRAWINGS),
    "--keep-colors": (PHOTOS,),
    "--tileable": (TEXTURES,),
    "--style-mask": (PHOTOS, DRAWINGS),
    "--mask": (PHOTOS, DRAWINGS),
    "--segments": (PHOTOS,),
    "--content-weight": (PHOTOS,),
    "--content-layer": (PHOTOS,),
    "--content-layer-weights": (PHOTOS,),
}


def add_arguments(parser) -> None:
    """Adds the flags of `optimize`."""
    parser.add_argument("photo", nargs="?", metavar="PHOTO", help="the photo to paint")
    parser.add_argument("--style", nargs="+", default=[], metavar="PAINTING", help="one or more paintings")
    parser.add_argument("--texture", metavar="PAINTING", help="instead of a photo: a texture like this painting")
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="OUT", help="the picture to write")
    size = f"long edge of the result ({LONG_EDGE} by default, 0 for the photo's own), or width x height"
    parser.add_argument("--size", metavar="EDGE|WxH", help=size)
    parser.add_argument("--start", metavar="START", help="photo (default), noise, painting, model:NAME, or a file")
    parser.add_argument("--keep-colors", choices=("before", "after"), help="recolor the painting, or the result")
    parser.add_argument("--preset", choices=tuple(PRESETS), help="published settings of others")
    add_flags(parser, OptimizeOptions, FIRST, given_only=True)
    add_overwrite(parser)
    share, seeds, regions_found = "share of each painting", whole(0, SEEDS - 1), whole(2, MOST_SEGMENTS)
    more = parser.add_argument_group("blends, textures, seeds")
    more.add_argument("--style-blend", nargs="+", type=number(Number(float)), default=[], metavar="X", help=share)
    more.add_argument("--tileable", action="store_true", help="make a texture that continues at its other side")
    more.add_argument("--seeds", nargs="+", type=seeds, metavar="N", help="one picture from noise for each, OUT_seed-N")
    regions = parser.add_argument_group("regions", "Each region of the result takes the style of its own region.")
    regions.add_argument("--style-mask", metavar="MASK", help="the painting's regions, each drawn in a flat color")
    regions.add_argument("--mask", metavar="MASK", help="the result's regions, in the same colors; no photo is needed")
    regions.add_argument("--segments", type=regions_found, metavar="K", help="without masks: find K regions by color")
    files = parser.add_argument_group("files beside the result")
    files.add_argument(
        "--every", type=whole(), default=0, metavar="N", help="the picture after every N steps; 0 for none"
    )
    files.add_argument("--animate", action="store_true", help="OUT.gif, an animation from the start to the result")
    files.add_argument("--record", action="store_true", help="the losses, as OUT.jsonl and OUT_curve.png")
    loss = parser.add_argument_group("loss")
    add_flags(loss, LossOptions, given_only=True)
    solver = parser.add_argument_group("solver and devices")
    others = [option.name for option in fields(OptimizeOptions) if option.name not in FIRST]
    add_flags(solver, OptimizeOptions, others, given_only=True)
    add_engine(solver)
    solver.add_argument("--gpu", type=gpu, metavar="N", help=GPU)
    solver.add_argument("--no-bfloat16", action="store_true", help="keep the loss network in single precision")


def run(flags: argparse.Namespace) -> None:
    """Optimizes, and writes the result; after Ctrl-C, the best picture until then."""
    preset = PRESETS.get(flags.preset)
    start = flags.start or (preset and flags.photo and preset.start) or ("photo" if flags.photo else "noise")
    options = _options(flags, preset, start)
    runs = [replace(options, seed=seed) for seed in flags.seeds or [options.seed]]
    _check(flags, start)
    out: Path = flags.out
    names = [out.with_name(f"{out.stem}_seed-{seed}{out.suffix}") for seed in flags.seeds] if flags.seeds else [out]
    outputs = [_outputs(name, flags) for name in names]
    styles = [read_image(path) for path in ([flags.texture] if flags.texture else flags.style)]
    photo = read_image(flags.photo) if flags.photo else None
    masks = [read_image(path) for path in (flags.style_mask, flags.mask)] if flags.mask else []
    size = _size(flags.size, masks[1] if masks and photo is None else photo, preset)
    check_sides(out, *size)
    need = OPTIMIZE[options.optimizer]
    patches = PATCH_BYTES if options.loss.patch_weight else 0
    check_memory(Need(need.pixel + patches, need.always), *size)
    if photo is not None:
        photo = resize(photo, *size)
        if flags.keep_colors == "before":
            styles = [recolor(style, photo) for style in styles]
    choose(flags.engine, flags.gpu)
    from ..engines.gluon import devices
    from ..optimize.multiscale import optimize

    solve = partial(
        optimize,
        styles=styles,
        photo=photo,
        blend=flags.style_blend,
        regions=_regions(masks, flags.segments, styles[0], photo),
        tileable=flags.tileable,
        device=devices(flags.gpu)[0],
        bfloat16=False if flags.no_bfloat16 else None,
    )
    colors = photo if flags.keep_colors == "after" else None
    for options, files in zip(runs, outputs):
        begin = _start(start, photo, styles[0], size, options.seed)
        progress = _Progress(files, options.steps * options.scales, size, flags.every)
        _optimize(partial(solve, begin, options=options), options, progress, colors)


def _check(flags: argparse.Namespace, start: str) -> None:
    """Raises OptionError for flags that do not go together."""
    if not flags.texture and not (flags.style and (flags.photo or flags.mask)):
        swallowed = "; PHOTO stands before --style, which takes every word after it" if len(flags.style) > 1 else ""
        raise OptionError(
            f"Say what to paint: e2e-art optimize PHOTO --style PAINTING -o OUT, or --texture PAINTING{swallowed}"
        )
    check_job(flags.given, TEXTURES if flags.texture else PHOTOS if flags.photo else DRAWINGS, FLAGS)
    if (flags.style_mask is None) != (flags.mask is None):
        raise OptionError("--style-mask and --mask belong together: give both")
    if flags.segments is not None and flags.mask:
        raise OptionError("--segments finds the regions that --mask draws: leave one out")
    check_blend(flags.style_blend, len(flags.style))
    if "--patch-layers" in flags.given and not getattr(flags, "patch_weight", 0):
        raise OptionError("--patch-layers goes with --patch-weight: give both")
    if flags.seeds and "--seed" in flags.given:
        raise OptionError("--seeds takes the place of --seed: leave one out")
    if (double := find_double(flags.seeds or ())) is not None:
        raise OptionError(f"--seeds {double} was given twice: each seed makes one picture")
    if flags.seeds and start != "noise":
        raise OptionError("--seeds are those of noise, and this starts elsewhere: add --start noise, or leave them out")


def _options(flags: argparse.Namespace, preset: Preset | None, start: str) -> OptimizeOptions:
    """Returns the options: flags that were given come before a preset's, a preset's before the defaults."""
    given = gather(flags, OptimizeOptions)
    base = preset.options if preset else OptimizeOptions(scales=NOISE_SCALES if start == "noise" else 1)
    if given.get("optimizer", base.optimizer) != base.optimizer:
        given.setdefault("learning_rate", None)  # a rate belongs to its optimizer
    return replace(base, **given, loss=replace(base.loss, **gather(flags, LossOptions)))


def _outputs(out: Path, flags: argparse.Namespace) -> dict[str, Path]:
    """Returns the files to write, by what they are; raises OptionError where they cannot be."""
    check_suffix(out)
    outputs = {"picture": out}
    if flags.animate:
        outputs["animation"] = out.with_suffix(".gif")
    if flags.record:
        outputs |= {"log": out.with_suffix(".jsonl"), "curve": out.with_name(f"{out.stem}_curve.png")}
    for path in outputs.values():
        if path.is_dir():
            raise OptionError(f"{path} is a folder: give -o a file's name")
    steps = out.parent.glob(f"{glob.escape(out.stem)}_step-*{out.suffix}") if flags.every else ()
    check_free([*outputs.values(), *steps], flags.overwrite)
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OptionError(f"{folder} cannot be written to: choose another -o")
    return outputs


def _size(text: str | None, picture: np.ndarray | None, preset: Preset | None) -> tuple[int, int]:
    """Returns height and width of the result; picture: the photo, or the mask that takes its place."""
    shape = (1, 1) if picture is None else picture.shape  # a texture is square
    size = str((preset and preset.size) or LONG_EDGE) if text is None else text
    if picture is not None and (size == "0" or (text is None and int(size) > max(shape))):  # by default, nothing grows
        return shape[0], shape[1]
    return parse_size(size, "--size", shape)


def _regions(
    masks: list[np.ndarray], segments: int | None, style: np.ndarray, photo: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the regions of the painting and of the result, (R, H, W) each, without those too small to see."""
    if masks:
        palette, *labels = match_regions(*masks)
        names = ["#" + bytes(color).hex() for color in palette]
    elif segments is not None and photo is not None:
        labels = segment([style, photo], segments)
        names = [f"number {index}" for index in range(segments)]
    else:
        return None
    of_style, of_result = (one_hot(part, len(names)) for part in labels)
    kept = present(of_style, of_result)
    for name in np.array(names)[~kept]:
        log.warning("Region %s covers less than 0.5 %% of a picture and is skipped", name)
    if not kept.any():
        raise OptionError("No region is large enough in both pictures: draw larger ones, or ask for fewer --segments")
    return of_style[kept], of_result[kept]


def _start(start: str, photo: np.ndarray | None, style: np.ndarray, size: tuple[int, int], seed: int) -> np.ndarray:
    """Returns the picture to start from, in the size of the result; start: as --start takes it."""
    from .. import load
    from ..optimize.multiscale import noise_picture

    if start == "noise":
        return noise_picture(*size, seed)
    if start == "painting":
        return resize(style, *size)
    if start != "photo" and not start.startswith("model:"):
        return resize(read_image(start), *size)
    if photo is None:
        raise OptionError(f"--start {start} needs a photo: give one, or another --start")
    return photo if start == "photo" else load(start.removeprefix("model:"))(photo)


def _optimize(
    solve: Callable[..., Result], options: OptimizeOptions, progress: _Progress, colors: np.ndarray | None
) -> None:
    """Makes one picture and the files beside it, and says how it ended; colors: a photo to take the colors of."""
    out = progress.outputs["picture"]
    with progress.bar:
        result = solve(on_evaluation=progress.evaluation)
        if not result.losses:
            raise UserError("The loss is not finite at the very start: lower --style-weight; nothing was written")
        picture = result.picture if colors is None else keep_colors(result.picture, colors)
        write_image(out, picture, overwrite=True)  # whether it may be replaced was checked before the work
        losses = ", ".join(f"{name} {value:.4g}" for name, value in result.losses.items())
        progress.bar.close()
        print(f"{out}: total {result.total:.4g} ({losses}) after {plural(len(result.evaluations), 'evaluation')}")
        progress.finish(picture)
    if result.reason == "interrupted":
        raise KeyboardInterrupt
    if result.reason == "not finite":
        raise UserError(
            f"The loss was no longer finite, {out} is the best picture before: lower --style-weight or "
            "--learning-rate, or choose another --optimizer"
        )
    if result.reason == "settled":
        why = "the loss hardly fell any more; --tolerance 0 goes on" if options.tolerance else "no step was lower"
        log.info("It stopped because %s", why)


class _Progress:
    """Shows and collects what an optimization reports: a bar, intermediate pictures, an animation, the losses.

    outputs: "picture", "animation", "log" and "curve", as far as they are wanted.  steps: at most, on all scales.
    size: of the result, (H, W).  every: steps between pictures to write, 0 for none.
    """

    def __init__(self, outputs: dict[str, Path], steps: int, size: tuple[int, int], every: int = 0):
        self.outputs, self.every = outputs, every
        self.bar = Progress(total=steps, unit="step", dynamic_ncols=True, delay=0.01)  # shown from the first step on
        self.entries: list[dict] = []
        self.frames: list[np.ndarray] = []
        self.frame_size = resize_long_edge(np.zeros((*size, 3), np.uint8), FRAME_EDGE).shape[:2]
        self.stride = 1  # steps from one frame to the next

    def evaluation(self, evaluation, picture: np.ndarray) -> None:
        """Records one evaluation and its picture, (1, 3, H, W) in VGG space; raises KeyboardInterrupt after Ctrl-C."""
        entry = asdict(evaluation)
        entry |= {**entry.pop("losses"), "total_step": len(self.entries) + 1, "phase": evaluation.scale}
        self.entries.append(entry)
        self._keep(len(self.entries), picture, better=evaluation.total <= evaluation.best)
        losses = " ".join(f"{name} {value:.4g}" for name, value in evaluation.losses.items())
        height, width = evaluation.size
        self.bar.n = evaluation.scale * evaluation.steps + evaluation.step - 1
        self.bar.step(f"{width}x{height} {losses}")

    def _keep(self, number: int, picture: np.ndarray, better: bool) -> None:
        """Writes and collects intermediate pictures."""
        if self.every and number % self.every == 0:
            out = self.outputs["picture"]
            path = out.with_name(f"{out.stem}_step-{number:05d}{out.suffix}")
            try:
                write_image(path, from_vgg_space(picture), overwrite=True)
            except ImageError as error:
                log.warning("%s; no more intermediate pictures are written", error)
                self.every = 0
        if "animation" in self.outputs and better and number % self.stride == 0:  # line searches may overshoot
            self.frames.append(resize(from_vgg_space(picture), *self.frame_size))
            if len(self.frames) > MOST_FRAMES:
                self.frames, self.stride = self.frames[::2], 2 * self.stride

    def finish(self, picture: np.ndarray) -> None:
        """Writes what was asked for beside the picture; raises UserError where that cannot be written."""
        try:
            if path := self.outputs.get("animation"):
                write_atomically(path, encode_animation([*self.frames, resize(picture, *self.frame_size)]))
            if path := self.outputs.get("log"):
                write_lines(path, self.entries)
            if path := self.outputs.get("curve"):
                plot_curves(self.entries, path, smoothing=1)
        except OSError as error:
            out = self.outputs["picture"]
            raise UserError(f"{out} is written, but {path} cannot be ({error.strerror}): free space") from error
