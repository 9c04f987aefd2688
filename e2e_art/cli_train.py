"""`train.py`: flags for a training, its progress bar, log, previews and curves."""

from __future__ import annotations

import argparse
import hashlib
import logging
import platform
import shlex
import shutil
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from . import __version__
from .errors import OptionError, UserError
from .flags import add_flags, gather
from .interrupt import Interrupt
from .models import DESCRIPTION, THUMBNAIL
from .options import LossOptions, TrainingOptions

__all__ = ["add_command"]

log = logging.getLogger(__name__)

SHEET_EDGE, THUMBNAIL_EDGE = 224, 160  # these pictures travel with the model, which has to stay small


def add_command(commands) -> None:
    """Adds `train` to the commands."""
    parser = commands.add_parser(
        "train",
        help="train a chain on a painting",
        description="Train a chain of generators on a painting, stage by stage.",
    )
    parser.set_defaults(run=run)
    files = parser.add_argument_group("files")
    files.add_argument("--style", nargs="+", required=True, metavar="PAINTING", help="one or more paintings to blend")
    files.add_argument("--photos", required=True, metavar="DIR", help="photos to train on, in any tree of folders")
    files.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the model to write")
    files.add_argument("--validate", type=Path, metavar="DIR", help="photos to judge by, never trained on")
    files.add_argument(
        "--preview", nargs="+", type=Path, default=[], metavar="PHOTO", help="photos to paint as it learns"
    )
    course = parser.add_argument_group("the chain and its course (lists: one value for all stages, or one each)")
    add_flags(course, TrainingOptions)
    add_flags(parser.add_argument_group("the loss"), TrainingOptions().loss)
    running = parser.add_argument_group("running")
    running.add_argument("--gpus", metavar="0,1", help="GPUs to split each batch over (the CPU if left out)")
    running.add_argument(
        "--cpu-devices", type=int, default=1, metavar="N", help="CPU contexts, to try what --gpus does"
    )
    running.add_argument("--no-bfloat16", action="store_true", help="keep the loss network in single precision")
    running.add_argument("--workers", type=int, default=1, metavar="N", help="threads that decode photos (default: 1)")
    running.add_argument(
        "--checkpoint-every", type=int, default=250, metavar="N", help="steps between checkpoints (default: 250)"
    )
    running.add_argument("--resume", action="store_true", help="go on from the last checkpoint of --out")
    running.add_argument("--overwrite", action="store_true", help="replace a model of that name")
    running.add_argument("--verbose", action="store_true", help="say more")


def _options(flags: argparse.Namespace) -> TrainingOptions:
    """Gathers the flags that became options."""
    loss = gather(flags, LossOptions)
    for name in ("style", "content"):  # the recipe's layer weights belong to the recipe's layers
        layers, weights = f"{name}_layers", f"{name}_layer_weights"
        untold = TrainingOptions().loss
        if loss[layers] != getattr(untold, layers) and loss[weights] == getattr(untold, weights):
            loss[weights] = ()
    loss = LossOptions(**loss)
    return TrainingOptions(styles=tuple(flags.style), photos=flags.photos, loss=loss, **gather(flags, TrainingOptions))


def run(flags: argparse.Namespace) -> int:
    """Trains, and writes the model."""
    working = flags.out.with_name(f"{flags.out.name}.training")
    checkpoint = working / "checkpoint.npz"
    _check_out(flags, checkpoint)
    options = _options(flags)
    stems = [path.stem for path in flags.preview]
    if len(set(stems)) < len(stems):
        raise OptionError(f"Two --preview photos have the same name ({', '.join(stems)}): rename one, or leave it out")
    from .backend import contexts
    from .images import read_image
    from .models import read_model
    from .photos import PhotoError
    from .publish import load_chain
    from .training import Training

    devices = contexts(flags.gpus, flags.cpu_devices)
    validation = _validation_photos(flags.validate) if flags.validate else []
    previews = [(path, read_image(path)) for path in flags.preview]
    beginning = read_model(flags.start_from) if flags.start_from else None
    training = Training(
        options,
        checkpoint,
        contexts=devices,
        resume=flags.resume,
        start_from=load_chain(beginning) if beginning else None,
        bfloat16=False if flags.no_bfloat16 else None,
        workers=flags.workers,
    )
    new = not working.exists()
    try:
        working.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"{working} cannot be made ({error.strerror}): choose another --out") from error
    _announce(training, validation, flags.checkpoint_every)
    diary = _Diary(training, working, validation, previews, fresh=not flags.resume)
    again = shlex.join(["e2e-art", *flags.command_line] + ([] if flags.resume else ["--resume"]))
    try:
        with diary.interrupt, closing(diary):
            training.run(diary.step, diary.checkpoint, flags.checkpoint_every)
    except KeyboardInterrupt:
        print(f"\nStopped; nothing is lost. To go on: {again}")
        raise
    except (PhotoError, OSError) as error:
        if new and not diary.log.exists():  # not one step was done
            shutil.rmtree(working, ignore_errors=True)
        if isinstance(error, PhotoError):
            raise
        raise UserError(
            f"{working} cannot be written ({error.strerror}): free space, then go on with {again}"
        ) from error
    _publish(training, flags, diary, beginning)
    return 0


def _announce(training, validation, checkpoint_every: int) -> None:
    """Says how long it will take."""
    from .forecast import forecast, in_words

    steps = sum(map(training.steps_of, range(training.phase, len(training.phases)))) - training.step
    if not steps:
        return
    with suppress(UserError):  # what is wrong will be said in its place
        seconds = forecast(training, validation, checkpoint_every)
        print(f"{steps:,} steps to go: about {in_words(seconds)}, if nothing else keeps this machine busy", flush=True)


def _check_out(flags: argparse.Namespace, checkpoint: Path) -> None:
    """Finds before the work what would only show after it: a model, a training or another's folder in the way."""
    if flags.out.exists() and not flags.overwrite:
        raise OptionError(f"{flags.out} exists: choose another --out, or add --overwrite")
    if flags.out.exists() and not (flags.out / DESCRIPTION).is_file():
        raise OptionError(f"{flags.out} is no model, so it is not replaced: choose another --out")
    if checkpoint.exists() and not (flags.resume or flags.overwrite):
        raise OptionError(f"{checkpoint} holds a training: add --resume to go on with it, or --overwrite to begin anew")
    if flags.checkpoint_every < 1:
        raise OptionError(f"--checkpoint-every must be at least 1, not {flags.checkpoint_every}")


def _validation_photos(folder: Path) -> list[Path]:
    """Lists the photos to judge by; all are read once, since one that cannot be would end the training later."""
    from .images import list_images, read_image

    photos = list_images(folder)
    if not photos:
        raise OptionError(f"{folder} holds no pictures: check the path, or leave --validate out")
    for path in photos:
        read_image(path)
    return photos


class _Diary:
    """What people see of a training: a progress bar, log.jsonl, curves.png and previews."""

    def __init__(self, training, folder: Path, validation, previews, fresh: bool):
        from .reports import append_line, plot_curves, read_lines

        self._append, self._plot, self._read = append_line, plot_curves, read_lines
        self.training, self.folder, self.validation, self.previews = training, folder, validation, previews
        self.log = folder / "log.jsonl"
        self.interrupt = Interrupt()
        total = sum(training.steps_of(phase) for phase in range(len(training.phases)))
        self.total_step = sum(training.steps_of(phase) for phase in range(training.phase)) + training.step
        self.bar = tqdm(total=total, initial=self.total_step, unit="step", smoothing=0.05, dynamic_ncols=True)
        if self.log.exists():  # steps after the last checkpoint will be done again
            entries = [entry for entry in self._read(self.log) if not fresh and entry["total_step"] <= self.total_step]
            self.log.unlink()
            for entry in entries:
                self._append(self.log, entry)

    def step(self, step) -> None:
        losses = step.losses[-1]
        self.total_step = step.total_step
        if step.step == 1:
            words = ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
            self.bar.write(f"Stage {step.phase}, first step: {words} (weighted)")
        self.bar.set_postfix_str(
            f"stage {step.phase} style {losses['style']:.3f} content {losses['content']:.3f} tv {losses['tv']:.4f}",
            False,
        )
        self.bar.update()
        entry = {key: value for key, value in asdict(step).items() if key != "losses"}
        self._append(self.log, {**entry, **losses})
        self.interrupt.check()  # here, so that the checkpoint is of whole steps

    def checkpoint(self, training) -> None:
        """Validates, paints the previews and draws the curves."""
        from .images import from_vgg_space, to_vgg_space, write_image

        stages = training.phases[training.phase - (training.step == 0)]  # at step 0 a phase has just ended
        if self.validation:
            last = training.lesson.validate(self.validation, stages[-1:])[0]
            self._append(self.log, {"total_step": self.total_step, "stage": stages[-1], "validation": last})
            words = ", ".join(f"{name} {value:.4g}" for name, value in last.items())
            self.bar.write(f"Stage {stages[-1]}, step {self.total_step}, on {len(self.validation)} photos: {words}")
        for path, photo in self.previews:
            pictures = training.lesson.paint(to_vgg_space(photo), stages[-1] + 1)
            target = self.folder / f"{path.stem}_step-{self.total_step:06d}_stage-{stages[-1]}.png"
            write_image(target, from_vgg_space(pictures[-1].asnumpy()), overwrite=True)
        self._plot(self._read(self.log), self.folder / "curves.png")

    def close(self) -> None:
        self.bar.close()


def _publish(training, flags: argparse.Namespace, diary: _Diary, beginning) -> None:
    """Writes the model with its record, its painting's statistics, and a sheet of the first preview photo.

    beginning: the model that the training started from, or None: its record becomes part of the new one.
    """
    import numpy

    from .backend import mx
    from .compare import sheet
    from .images import encode_image, from_vgg_space, resize_long_edge, to_vgg_space
    from .judge import STYLE_FILE, pack_targets
    from .losses import PerceptualLoss, style_targets
    from .publish import publish

    options = training.options
    stages = list(range(len(training.chain.generators)))
    # Whatever the recipe weighed, records are in the house's convention, so that they compare.
    convention = LossOptions()
    targets = style_targets(convention, training.lesson.styles, options.style_blend)
    validation = []
    if diary.validation:
        validation = training.lesson.validate(
            diary.validation, stages, PerceptualLoss(convention, targets, training.contexts)
        )
    record = {
        "command": shlex.join(["e2e-art", *(word for word in flags.command_line if word != "--resume")]),
        "styles": [
            {"file": Path(path).name, "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest()}
            for path in options.styles
        ],
        "photos": training.photo_count,
        "skipped": len(training.skipped),
        "seconds": round(training.seconds),
        "validation_photos": len(diary.validation),
        "validation": [{"stage": stage, **result} for stage, result in zip(stages, validation)],
        "versions": {
            "e2e_art": __version__,
            "python": platform.python_version(),
            "mxnet": mx.__version__,
            "numpy": numpy.__version__,
        },
        "options": options.describe(),
    }
    if beginning:
        record["started_from"] = beginning.record
    extras = {STYLE_FILE: pack_targets(targets)}
    if diary.previews:
        path, photo = diary.previews[0]
        pictures = [
            from_vgg_space(picture.asnumpy()) for picture in training.lesson.paint(to_vgg_space(photo), len(stages))
        ]
        labels = [path.name, *(f"stage {stage}" for stage in stages)]
        title = f"{flags.out.name}, after {', '.join(Path(style).name for style in options.styles)}"
        picture = sheet([photo, *pictures], labels, title, SHEET_EDGE)
        extras["sheet.jpg"] = encode_image(picture, ".jpg")
        extras[THUMBNAIL] = encode_image(resize_long_edge(pictures[-1], THUMBNAIL_EDGE), ".jpg")
    model = publish(training.chain, flags.out, record, extras, flags.overwrite)
    if training.skipped:
        count = len(training.skipped)
        words = "1 photo could not be read and was" if count == 1 else f"{count} photos could not be read and were"
        print(f"{words} skipped: {', '.join(training.skipped)}")
    print(f"{model.folder} is trained: e2e-art infer PHOTO --model {model.folder} -o OUT")
