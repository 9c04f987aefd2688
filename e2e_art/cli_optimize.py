"""`e2e-art optimize`: a descent on the pixels, its progress bar, its pictures on the way, its record."""

from __future__ import annotations

import argparse
import logging
import signal
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .colors import keep_colors, recolor
from .errors import OptionError, UserError
from .files import write_atomically
from .flags import add_flags, gather
from .images import WRITABLE_SUFFIXES, encode_animation, read_image, resize, resize_long_edge, write_image
from .options import DescentOptions, LossOptions
from .presets import DESCENT_PRESETS

__all__ = ["add_command"]

log = logging.getLogger(__name__)

LONG_EDGE = 640  # of the result, unless told otherwise: some minutes on two cores
FRAME_EDGE = 480  # of an animation


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
    paint.add_argument("--preset", choices=tuple(DESCENT_PRESETS), help="the published settings of others")
    regions = parser.add_argument_group("regions: each part of the result from its own part of the painting")
    regions.add_argument("--style-mask", metavar="MASK", help="the painting's regions, each drawn in a flat color")
    regions.add_argument("--mask", metavar="MASK", help="the result's regions, in the same colors; no photo is needed")
    regions.add_argument("--segments", type=int, metavar="K", help="no masks: find K regions by color in both pictures")
    files = parser.add_argument_group("files")
    files.add_argument("-o", "--out", required=True, type=Path, metavar="OUT", help="the picture to write")
    files.add_argument("--every", type=int, default=0, metavar="N", help="also write the picture after each N steps")
    files.add_argument("--animate", action="store_true", help="also write OUT.gif: the descent, a frame for each step")
    files.add_argument("--record", action="store_true", help="also write the losses, as OUT.jsonl and OUT_curve.png")
    files.add_argument("--overwrite", action="store_true", help="replace files that exist")
    descent = parser.add_argument_group("the descent")
    add_flags(descent, DescentOptions)
    descent.add_argument("--gpu", metavar="N", help="GPU to use (the CPU if left out)")
    descent.add_argument("--no-bfloat16", action="store_true", help="keep the loss network in single precision")
    add_flags(parser.add_argument_group("the loss"), LossOptions)
    parser.add_argument("--verbose", action="store_true", help="say more")


def run(flags: argparse.Namespace) -> int:
    """Descends, and writes where it arrived; after Ctrl-C, where it was."""
    preset = DESCENT_PRESETS.get(flags.preset)
    options = _options(flags, preset)
    paintings = _check(flags)
    outputs = _outputs(flags)
    styles = [read_image(path) for path in paintings]
    photo = read_image(flags.photo) if flags.photo else None
    masks = [read_image(path) for path in (flags.style_mask, flags.mask)] if flags.mask else None
    height, width = _size(flags, masks[1] if masks and photo is None else photo, preset)
    if photo is not None:
        photo = resize(photo, height, width)
        if flags.keep_colors == "before":
            styles = [recolor(style, photo) for style in styles]
    regions = _regions(flags, masks, styles, photo) if masks or flags.segments is not None else None
    from .backend import contexts
    from .optimize import optimize

    start = _start(flags, photo, styles, (height, width), options, preset)
    diary = _Diary(flags, options, outputs)
    before = signal.signal(signal.SIGINT, diary.stop)
    try:
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
    finally:
        signal.signal(signal.SIGINT, before)
        diary.close()
    picture = keep_colors(result.picture, photo) if flags.keep_colors == "after" else result.picture
    write_image(flags.out, picture, flags.overwrite)
    diary.finish(picture)
    words = ", ".join(f"{name} {value:.4g}" for name, value in result.losses.items())
    print(f"{flags.out}: total {result.total:.4g} ({words}) after {len(result.evaluations)} evaluations")
    if result.reason == "interrupted":
        raise KeyboardInterrupt
    if result.reason == "not finite":
        raise UserError(
            f"The loss was no longer finite, {flags.out} is the best picture before: lower --style-weight or "
            "--learning-rate, or choose another --optimizer"
        )
    if result.reason == "settled":
        log.info("It stopped because it no longer paid; --tolerance 0 goes on")
    return 0


def _check(flags: argparse.Namespace) -> list[str]:
    """Finds flags that do not go together; returns the paintings."""
    if (flags.style_mask is None) != (flags.mask is None):
        raise OptionError("--style-mask and --mask belong together: give both")
    if flags.segments is not None and (flags.mask or not flags.photo):
        raise OptionError("--segments finds the regions of a photo and its painting: give a photo, and no masks")
    if flags.texture and (flags.style or flags.photo or flags.mask):
        raise OptionError("--texture takes the painting, and nothing else to paint: leave photo, --style and masks out")
    if flags.texture and flags.keep_colors:
        raise OptionError("--keep-colors needs a photo: leave it out, or leave --texture out")
    if not flags.texture and not (flags.style and (flags.photo or flags.mask)):
        raise OptionError("Say what to paint: e2e-art optimize PHOTO --style PAINTING -o OUT, or --texture PAINTING")
    return [flags.texture] if flags.texture else flags.style


def _regions(flags: argparse.Namespace, masks, styles, photo) -> tuple[np.ndarray, np.ndarray]:
    """Returns the regions of the painting and of the result, (R, H, W) each, without those too small to see."""
    from .regions import match_regions, one_hot, present, segment

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


def _options(flags: argparse.Namespace, preset) -> DescentOptions:
    """Returns the options: flags that were given come before a preset's, a preset's before the defaults."""
    descent, loss = gather(flags, DescentOptions), gather(flags, LossOptions)
    if preset:

        def given(values: dict, untold) -> dict:
            return {name: value for name, value in values.items() if value != getattr(untold, name)}

        told = given(descent, DescentOptions)
        return replace(preset.options, **told, loss=replace(preset.options.loss, **given(loss, LossOptions)))
    return DescentOptions(**descent, loss=LossOptions(**loss))


def _size(flags: argparse.Namespace, photo: np.ndarray | None, preset) -> tuple[int, int]:
    """Returns height and width of the result; photo: or the mask that takes its place."""
    told = flags.size or str((preset and preset.size) or LONG_EDGE)
    edges = told.lower().split("x")
    if not (len(edges) in (1, 2) and all(edge.isdecimal() for edge in edges)):
        raise OptionError(f"--size takes a long edge, or height and width such as 480x640, not '{told}'")
    if len(edges) == 2:
        return int(edges[0]), int(edges[1])
    if photo is None:
        return int(edges[0]), int(edges[0])
    return (
        photo.shape[:2] if edges == ["0"] else resize_long_edge(photo, min(int(edges[0]), max(photo.shape))).shape[:2]
    )


def _start(flags, photo, styles, size: tuple[int, int], options: DescentOptions, preset) -> np.ndarray:
    """Returns the picture to start from, in the size of the result."""
    from .optimize import noise_picture

    start = (
        flags.start or (preset and photo is not None and preset.start) or ("photo" if photo is not None else "noise")
    )
    if start == "noise":
        return noise_picture(*size, options.seed)
    if start == "photo":
        if photo is None:
            raise OptionError("--start photo needs a photo: give one, or another --start")
        return photo
    if start == "painting":
        return resize(styles[0], *size)
    if start.startswith("model:"):
        from .stylize import load

        if photo is None:
            raise OptionError(f"--start {start} needs a photo to paint: give one, or another --start")
        return load(start.removeprefix("model:"))(photo)
    return resize(read_image(start), *size)


def _outputs(flags: argparse.Namespace) -> dict[str, Path]:
    """Returns the files to write, found free before the work."""
    if flags.out.suffix.lower() not in WRITABLE_SUFFIXES:
        known = ", ".join(WRITABLE_SUFFIXES)
        raise OptionError(f"{flags.out}: pictures cannot be written as '{flags.out.suffix}': choose one of {known}")
    outputs = {"picture": flags.out}
    if flags.animate:
        outputs["animation"] = flags.out.with_suffix(".gif")
    if flags.record:
        outputs["log"] = flags.out.with_suffix(".jsonl")
        outputs["curve"] = flags.out.with_name(f"{flags.out.stem}_curve.png")
    if len(set(outputs.values())) < len(outputs):
        raise OptionError(f"{flags.out} is also the name of the animation: choose another suffix for -o")
    for path in outputs.values():
        if path.exists() and not flags.overwrite:
            raise OptionError(f"{path} exists: choose another -o, or add --overwrite")
    return outputs


class _Diary:
    """What people see of a descent: a progress bar, pictures on the way, an animation, a record."""

    def __init__(self, flags: argparse.Namespace, options: DescentOptions, outputs: dict[str, Path]):
        self.flags, self.outputs = flags, outputs
        self.bar = None  # until the first step was taken: what goes wrong before needs no bar
        self.steps = options.steps * options.scales
        self.entries: list[dict] = []
        self.frames: list[np.ndarray] = []
        self.stopping = False

    def stop(self, *signal_and_frame) -> None:
        """Answers Ctrl-C: the step at hand is finished first."""
        if self.stopping:
            raise KeyboardInterrupt  # pressed again: now
        self.stopping = True
        tqdm.write("Stopping after this step ...")

    def evaluation(self, evaluation, picture: np.ndarray) -> None:
        from .images import from_vgg_space

        losses = " ".join(f"{name} {value:.4g}" for name, value in evaluation.losses.items())
        height, width = evaluation.size
        self.bar = self.bar or tqdm(total=self.steps, unit="step", dynamic_ncols=True)
        if evaluation.scale:
            self.bar.n = evaluation.scale * evaluation.steps + evaluation.step - 1
        self.bar.set_postfix_str(f"{width}x{height} {losses}", False)
        self.bar.update()
        entry = {**asdict(evaluation), **evaluation.losses}
        del entry["losses"]
        self.entries.append({**entry, "total_step": len(self.entries) + 1, "phase": evaluation.scale})
        number = len(self.entries)
        if self.flags.every and number % self.flags.every == 0:
            path = self.flags.out.with_name(f"{self.flags.out.stem}_step-{number:05d}{self.flags.out.suffix}")
            write_image(path, from_vgg_space(picture), overwrite=True)
        if self.flags.animate and evaluation.total <= evaluation.best:  # line searches may overshoot
            self.frames.append(resize_long_edge(from_vgg_space(picture), FRAME_EDGE))
        if self.stopping:
            raise KeyboardInterrupt

    def finish(self, picture: np.ndarray) -> None:
        """Writes what was asked for beside the picture."""
        if "animation" in self.outputs:
            frames = [*self.frames, resize_long_edge(picture, FRAME_EDGE)]
            write_atomically(self.outputs["animation"], encode_animation(frames))
        if "log" in self.outputs:
            import json

            from .reports import plot_curves

            lines = "".join(json.dumps(entry) + "\n" for entry in self.entries)
            write_atomically(self.outputs["log"], lines.encode())
            plot_curves(self.entries, self.outputs["curve"], smoothing=1)

    def close(self) -> None:
        if self.bar:
            self.bar.close()
