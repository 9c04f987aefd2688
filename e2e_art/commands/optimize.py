"""`e2e-art optimize`: a descent on the pixels, its progress bar, its pictures on the way, its record."""

from __future__ import annotations

import argparse
import glob
import logging
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import OptionError, UserError
from ..images.colors import keep_colors, recolor
from ..images.io import check_suffix, read_image, write_image
from ..images.resize import resize
from ..losses.options import LossOptions
from ..machine import free_memory
from ..optimize.options import OptimizeOptions
from ..optimize.presets import PRESETS
from .flags import add_flags, edges, gather
from .optimize_progress import Diary

__all__ = ["add_command"]

log = logging.getLogger(__name__)

NOISE_SCALES = 4  # unless told otherwise: what begins with noise finds large structure only while it is small
LONG_EDGE = 640  # of the result, unless told otherwise: some minutes on two cores


def add_command(commands) -> None:
    """Adds `optimize` to the commands."""
    parser = commands.add_parser(
        "optimize",
        help="paint a photo, or make a texture, without a trained model",
        description="Descend the loss on the pixels themselves: minutes a picture, and the best there is.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("photo", nargs="?", metavar="PHOTO", help="the photo to paint")
    paint = parser.add_argument_group("what to paint")
    paint.add_argument("--style", nargs="+", default=[], metavar="PAINTING", help="one or more paintings")
    paint.add_argument("--style-blend", nargs="+", type=float, default=[], metavar="X", help="what each counts")
    paint.add_argument("--texture", metavar="PAINTING", help="no photo: more of this, from noise")
    paint.add_argument("--tileable", action="store_true", help="the texture continues at its other side")
    paint.add_argument(
        "--size",
        metavar="EDGE or HxW",
        help=f"long edge of the result ({LONG_EDGE}; 0: the photo's own), or both edges",
    )
    paint.add_argument(
        "--start", metavar="WHERE", help="photo (default), noise, painting, model:NAME, or a picture's file"
    )
    paint.add_argument(
        "--keep-colors", choices=("before", "after"), help="give the painting the photo's palette, or only its strokes"
    )
    paint.add_argument("--preset", choices=tuple(PRESETS), help="the published settings of others")
    paint.add_argument(
        "--seeds", nargs="+", type=int, metavar="N", help="one picture for each, OUT_seed-N; they differ in their noise"
    )
    regions = parser.add_argument_group("regions: each part of the result from its own part of the painting")
    regions.add_argument("--style-mask", metavar="MASK", help="the painting's regions, each drawn in a flat color")
    regions.add_argument("--mask", metavar="MASK", help="the result's regions, in the same colors; no photo is needed")
    regions.add_argument("--segments", type=int, metavar="K", help="no masks: find K regions by color in both pictures")
    files = parser.add_argument_group("files")
    files.add_argument("-o", "--out", required=True, type=Path, metavar="OUT", help="the picture to write")
    files.add_argument("--every", type=int, default=0, metavar="N", help="also write the picture after each N steps")
    files.add_argument("--animate", action="store_true", help="also write OUT.gif: the descent, from its start")
    files.add_argument("--record", action="store_true", help="also write the losses, as OUT.jsonl and OUT_curve.png")
    files.add_argument("--overwrite", action="store_true", help="replace files that exist")
    descent = parser.add_argument_group("the descent")
    add_flags(descent, OptimizeOptions, given_only=True)
    descent.add_argument("--gpu", metavar="N", help="GPU to use (the CPU if left out)")
    descent.add_argument("--no-bfloat16", action="store_true", help="keep the loss network in single precision")
    add_flags(parser.add_argument_group("the loss"), LossOptions, given_only=True)
    parser.add_argument("--verbose", action="store_true", help="say more")


def run(flags: argparse.Namespace) -> int:
    """Descends, and writes where it arrived; after Ctrl-C, where it was."""
    preset = PRESETS.get(flags.preset)
    options = _options(flags, preset)
    paintings = _check(flags)
    if flags.seeds:
        names = {seed: flags.out.with_name(f"{flags.out.stem}_seed-{seed}{flags.out.suffix}") for seed in flags.seeds}
        runs = [(replace(options, seed=seed), _outputs(flags, name)) for seed, name in names.items()]
    else:
        runs = [(options, _outputs(flags, flags.out))]
    styles = [read_image(path) for path in paintings]
    photo = read_image(flags.photo) if flags.photo else None
    masks = [read_image(path) for path in (flags.style_mask, flags.mask)] if flags.mask else None
    height, width = _size(flags, masks[1] if masks and photo is None else photo, preset)
    _check_memory(options, height, width)
    if photo is not None:
        photo = resize(photo, height, width)
        if flags.keep_colors == "before":
            styles = [recolor(style, photo) for style in styles]
    regions = _regions(flags, masks, styles, photo) if masks or flags.segments is not None else None
    if flags.seeds and _beginning(flags, preset) != "noise":
        raise OptionError("--seeds are those of noise, and this starts elsewhere: add --start noise, or leave them out")
    for options, outputs in runs:
        start = _start(flags, photo, styles, (height, width), options, preset)
        reason = _descend(flags, options, outputs, start, styles, photo, regions)
        _explain(reason, outputs["picture"], options)
    return 0


def _check_memory(options: OptimizeOptions, height: int, width: int) -> None:
    """Tells before the work, and before a picture of that size is made, that it would not fit."""
    from ..optimize.multiscale import fitting_edge, memory_needed

    needed, free = memory_needed(options, height, width), free_memory()
    if needed > free:
        share = fitting_edge(options, height, width, free) / max(height, width)
        raise UserError(
            f"{width}x{height} pixels take about {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free: "
            f"--size {int(height * share)}x{int(width * share)} would fit"
        )


def _descend(
    flags: argparse.Namespace, options: OptimizeOptions, outputs: dict[str, Path], start, styles, photo, regions
):
    """Makes one picture and what goes with it; returns why it ended, as `Descent` names it."""
    from ..engines.mxnet import contexts
    from ..optimize.multiscale import optimize

    diary = Diary(flags, options, outputs, start.shape[:2])
    with diary.interrupt, closing(diary):
        result = optimize(
            start,
            styles,
            photo,
            options,
            blend=flags.style_blend,
            regions=regions,
            tileable=flags.tileable,
            on_evaluation=diary.evaluation,
            contexts=contexts(flags.gpu),
            bfloat16=False if flags.no_bfloat16 else None,
        )
        if not result.losses:
            raise UserError("The loss is not finite at the very start: lower --style-weight; nothing was written")
        picture = keep_colors(result.picture, photo) if flags.keep_colors == "after" else result.picture
        write_image(outputs["picture"], picture, overwrite=True)  # whether it may be replaced was asked before the work
        words = ", ".join(f"{name} {value:.4g}" for name, value in result.losses.items())
        diary.close()
        print(f"{outputs['picture']}: total {result.total:.4g} ({words}) after {len(result.evaluations)} evaluations")
        diary.finish(picture)
    return result.reason


def _explain(reason: str, out: Path, options: OptimizeOptions) -> None:
    """Says why a descent ended, where that was not to be expected."""
    if reason == "interrupted":
        raise KeyboardInterrupt
    if reason == "not finite":
        raise UserError(
            f"The loss was no longer finite, {out} is the best picture before: lower --style-weight or "
            "--learning-rate, or choose another --optimizer"
        )
    if reason == "settled" and options.tolerance:
        log.info("It stopped because it no longer paid; --tolerance 0 goes on")
    elif reason == "settled":
        log.info("It stopped because no step was lower")


def _check(flags: argparse.Namespace) -> list[str]:
    """Finds flags that do not go together; returns the paintings."""
    if (flags.style_mask is None) != (flags.mask is None):
        raise OptionError("--style-mask and --mask belong together: give both")
    if flags.segments is not None and (flags.mask or not flags.photo):
        raise OptionError("--segments finds the regions of a photo and its painting: give a photo, and no masks")
    if flags.texture and (flags.style or flags.photo or flags.mask):
        raise OptionError("--texture takes the painting, and nothing else to paint: leave photo, --style and masks out")
    if not flags.texture and not (flags.style and (flags.photo or flags.mask)):
        raise OptionError("Say what to paint: e2e-art optimize PHOTO --style PAINTING -o OUT, or --texture PAINTING")
    if flags.keep_colors and not flags.photo:
        raise OptionError("--keep-colors needs a photo: give one, or leave it out")
    if flags.tileable and not flags.texture:
        raise OptionError("--tileable is for textures: leave it out, or use --texture")
    if flags.every < 0:
        raise OptionError(f"--every must be 0 or more, not {flags.every}")
    return [flags.texture] if flags.texture else flags.style


def _regions(flags: argparse.Namespace, masks, styles, photo) -> tuple[np.ndarray, np.ndarray]:
    """Returns the regions of the painting and of the result, (R, H, W) each, without those too small to see."""
    from ..images.regions import match_regions, one_hot, present, segment

    if masks:
        palette, *labels = match_regions(*masks)
        names = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in palette]
    else:
        labels = segment([styles[0], photo], flags.segments)
        names = [f"number {index}" for index in range(flags.segments)]
    style, target = (one_hot(part, len(names)) for part in labels)
    kept = present(style, target)
    for name, is_kept in zip(names, kept):
        if not is_kept:
            log.warning("Region %s covers less than 0.5 %% of a picture and is skipped", name)
    if not kept.any():
        raise OptionError("No region is large enough in both pictures: draw larger ones, or ask for fewer --segments")
    return style[kept], target[kept]


def _options(flags: argparse.Namespace, preset) -> OptimizeOptions:
    """Returns the options: flags that were given come before a preset's, a preset's before the defaults."""
    told, loss = gather(flags, OptimizeOptions), gather(flags, LossOptions)
    base = preset.options if preset else OptimizeOptions()
    if preset is None and _beginning(flags, preset) == "noise":
        told.setdefault("scales", NOISE_SCALES)
    if told.get("optimizer", base.optimizer) != base.optimizer:
        told.setdefault("learning_rate", None)  # a rate belongs to its optimizer
    return replace(base, **told, loss=replace(base.loss, **loss))


def _size(flags: argparse.Namespace, photo: np.ndarray | None, preset) -> tuple[int, int]:
    """Returns height and width of the result; photo: or the mask that takes its place."""
    told = flags.size or str((preset and preset.size) or LONG_EDGE)
    size = edges(told)
    if not size:
        raise OptionError(f"--size takes a long edge, or height and width such as 480x640, not '{told}'")
    if len(size) == 2:
        return size
    (edge,) = size
    if photo is None:  # a texture
        return edge, edge
    longest = max(photo.shape[:2])
    factor = 1.0 if edge == 0 or (flags.size is None and edge > longest) else edge / longest  # untold, nothing grows
    return tuple(max(1, round(side * factor)) for side in photo.shape[:2])


def _beginning(flags: argparse.Namespace, preset) -> str:
    """Returns where to start, in the words of --start."""
    return flags.start or (preset and flags.photo and preset.start) or ("photo" if flags.photo else "noise")


def _start(flags, photo, styles, size: tuple[int, int], options: OptimizeOptions, preset) -> np.ndarray:
    """Returns the picture to start from, in the size of the result."""
    from ..optimize.multiscale import noise_picture

    start = _beginning(flags, preset)
    if start == "noise":
        return noise_picture(*size, options.seed)
    if start == "photo":
        if photo is None:
            raise OptionError("--start photo needs a photo: give one, or another --start")
        return photo
    if start == "painting":
        return resize(styles[0], *size)
    if start.startswith("model:"):
        from ..painting.photo import load

        if photo is None:
            raise OptionError(f"--start {start} needs a photo to paint: give one, or another --start")
        return load(start.removeprefix("model:"))(photo)
    return resize(read_image(start), *size)


def _outputs(flags: argparse.Namespace, out: Path) -> dict[str, Path]:
    """Returns the files to write, found free before the work."""
    check_suffix(out)
    outputs = {"picture": out}
    if flags.animate:
        outputs["animation"] = out.with_suffix(".gif")
    if flags.record:
        outputs["log"] = out.with_suffix(".jsonl")
        outputs["curve"] = out.with_name(f"{out.stem}_curve.png")
    for path in outputs.values():
        if path.is_dir():
            raise OptionError(f"{path} is a folder: give -o a file's name")
    steps = out.parent.glob(f"{glob.escape(out.stem)}_step-*{out.suffix}") if flags.every else ()
    for path in (*outputs.values(), *steps):
        if path.exists() and not flags.overwrite:
            raise OptionError(f"{path} exists: choose another -o, or add --overwrite")
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OptionError(f"{folder} cannot be written to: choose another -o")
    return outputs
