"""Train a chain of generators on a painting, stage by stage; or a texture, a model that paints doodles, an upscaler.

usage: e2e-art train --style PAINTING --photos DIR --out DIR [options]

examples:
  e2e-art train --style painting.jpg --photos photos/ --out models/painting --validate more-photos/
  e2e-art train --texture bricks.jpg --out models/bricks
  e2e-art train --doodle painting.jpg --mask painting-mask.png --out models/doodles
  e2e-art train --super-resolution 4 --photos photos/ --out models/x4
  e2e-art train --decoders --photos photos/ --out models/wct
"""

from __future__ import annotations

import argparse
import shlex
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engines.choice import choose
from ..errors import OptionError, UserError, plural
from ..evaluation.charts import plot_curves
from ..images.io import list_images, read_image
from ..images.regions import style_regions
from ..images.resize import with_short_edge
from ..losses.options import LossOptions
from ..machine import TRAINING, Need, check_memory, limit_threads
from ..models.folder import DESCRIPTION, Model, read_model
from ..models.kinds import ANYSTYLE, AUTOENCODER, DOODLE, KINDS, MULTISTYLE, PHOTO, TEXTURE, UPSCALER
from ..networks.inputs import FACTORS
from ..training.options import TrainingOptions
from ..training.presets import PUBLISHED
from ..training.recipes import RECIPES
from .flags import add_engine, add_flags, add_overwrite, check_job, find_double, gather, whole
from .progress import Progress

if TYPE_CHECKING:
    from ..training.run_log import RunLog
    from ..training.trainer import Step, Training

__all__ = ["add_arguments", "run"]

NOT_OURS = ("patch_weight", "patch_layers")  # options of the loss that are for optimize alone
CHAINS, TEXTURES, DOODLES, UPSCALERS, DECODERS = "--style", "--texture", "--doodle", "--super-resolution", "--decoders"
ADDED, ANY = "--add-style", "--any-style"
PAINTINGS, OF_PHOTOS = (CHAINS, ADDED, ANY, TEXTURES, DOODLES), (CHAINS, ADDED, ANY, UPSCALERS, DECODERS)
OF_PICTURES = (UPSCALERS, DECODERS)
# What flags go with, where it is not everything.
FLAGS = {
    "--photos": OF_PHOTOS,
    "--mask": (DOODLES,),
    "--styles-in-one": (CHAINS,),
    "--preset": (CHAINS,),
    "--stages": (CHAINS, ANY, TEXTURES, DOODLES, UPSCALERS),
    "--residual-weight": (CHAINS, ANY, TEXTURES, DOODLES, UPSCALERS),
    "--validate": OF_PHOTOS,
    "--preview": OF_PHOTOS,
    "--style-size": PAINTINGS,
    "--style-boost": PAINTINGS,
    "--style-weight": PAINTINGS,
    "--style-layers": PAINTINGS,
    "--style-layer-weights": PAINTINGS,
    "--tv-weight": PAINTINGS,
    "--convention": PAINTINGS,
    "--covariance": PAINTINGS,
    "--normalize-gradients": PAINTINGS,
    "--coupling": PAINTINGS,
    "--stage-share": PAINTINGS,
    "--share-weights": PAINTINGS,
    "--photo-scale": OF_PICTURES,
    "--blurred": (UPSCALERS,),
    "--noisy": (UPSCALERS,),
    "--compressed": (UPSCALERS,),
    "--pixel-weight": OF_PICTURES,
    "--feature-weight": OF_PICTURES,
    "--grid-weight": (UPSCALERS,),
    "--gan-weight": (CHAINS, TEXTURES, UPSCALERS),
    "--critic-rate": (CHAINS, TEXTURES, UPSCALERS),
    "--style-blend": (CHAINS, TEXTURES),
    "--width": (DECODERS,),
    "--content-weight": (CHAINS, ADDED, ANY),
    "--student": (ANY,),
    "--unseen-paintings": (ANY,),
    "--content-layer": OF_PHOTOS,
    "--content-layer-weights": OF_PHOTOS,
    "--edge-jitter": (DOODLES,),
    "--list": OF_PHOTOS,
    "--limit": OF_PHOTOS,
}
OTHERS = {MULTISTYLE: (PHOTO,), ANYSTYLE: (PHOTO, MULTISTYLE)}  # kinds that a chain of several styles begins with
NARROWEST = 20  # times as long as wide that a validation photo may be
STAGE_OPTIONS = "stages steps sizes residual_weights style_boosts learning_rates coupling warm_start share_weights norm"
STAGE_OPTIONS += " stage_shares pixel_weights feature_weights grid_weights gan_weights"


def add_arguments(parser) -> None:
    """Adds the flags of `train`."""
    parser.add_argument("--style", nargs="+", default=[], metavar="PAINTING", help="one or more paintings to blend")
    one = "with several paintings: learn each as a style of its own, in one network, instead of their blend"
    parser.add_argument("--styles-in-one", action="store_true", help=one)
    added = "instead of --style: paintings to add to the model of several styles that --start-from names"
    parser.add_argument("--add-style", nargs="+", metavar="PAINTING", help=added)
    parser.add_argument("--photos", metavar="DIR", help="photos to train on, in any tree of folders")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the model to write")
    any_style = "instead of --style: learn to paint in any style, from a folder of paintings"
    parser.add_argument("--any-style", metavar="DIR", help=any_style)
    parser.add_argument("--texture", nargs="+", metavar="PAINTING", help="instead of both: textures like this painting")
    parser.add_argument("--doodle", metavar="PAINTING", help="instead of both: paint doodles, by regions")
    parser.add_argument("--mask", metavar="MASK", help="with --doodle: the painting's regions, each in a flat color")
    upscaling = "instead of --style: enlarge pictures so many times"
    parser.add_argument("--super-resolution", type=int, choices=FACTORS, metavar="2|4|8", help=upscaling)
    decoders = "instead of --style: what infer.py --method paints any painting's style with"
    parser.add_argument("--decoders", action="store_true", help=decoders)
    parser.add_argument("--validate", type=Path, metavar="DIR", help="photos to validate on, never trained on")
    parser.add_argument("--preview", nargs="+", type=Path, default=[], metavar="PHOTO", help="paint at checkpoints")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint of --out")
    add_overwrite(parser)
    parser.add_argument("--preset", choices=tuple(PUBLISHED), help="published settings of others; flags beside it win")
    stages = parser.add_argument_group("stages", "Lists hold one value for all stages, or one for each.")
    add_flags(stages, TrainingOptions, STAGE_OPTIONS.split(), given_only=True)
    loss = [option.name for option in fields(LossOptions) if option.name not in NOT_OURS]
    add_flags(parser.add_argument_group("loss"), TrainingOptions().loss, loss, given_only=True)
    devices = parser.add_argument_group("devices")
    add_engine(devices)
    gpus = "GPUs to split each batch over, or mps for that of a Mac; the CPU by default"
    devices.add_argument("--gpus", "--gpu", metavar="0,1", help=gpus)
    devices.add_argument(
        "--cpu-devices",
        type=whole(1),
        default=1,
        metavar="N",
        help="CPU devices, to try what --gpus does",
    )
    devices.add_argument("--no-bfloat16", action="store_true", help="keep the loss network in single precision")
    workers = "threads that make what is shown; as many as it takes by default"
    devices.add_argument("--workers", type=whole(1), metavar="N", help=workers)
    advanced = parser.add_argument_group("advanced")
    others = [option.name for option in fields(TrainingOptions) if option.name not in STAGE_OPTIONS.split()]
    add_flags(advanced, TrainingOptions, others, given_only=True)
    every = "steps between checkpoints"
    advanced.add_argument("--checkpoint-every", type=whole(1), default=250, metavar="N", help=every)


def run(flags: argparse.Namespace) -> None:
    """Trains, and writes the model."""
    _check_subject(flags)
    if flags.out is None:
        raise OptionError("--out is missing: add --out DIR, the folder of the model to write")
    if flags.out.name in ("", ".."):
        raise OptionError(f"--out takes the name of a new folder, such as models/mine, not '{flags.out}'")
    working = flags.out.with_name(f"{flags.out.name}.training")
    checkpoint = working / "checkpoint.npz"
    _check(flags, checkpoint)
    options = _options(flags)
    _check_memory(options)
    photos = options.find_photos()
    choose(flags.engine, flags.gpus)
    from ..data.listing import PhotoError
    from ..engines.gluon import devices
    from ..models.publish import load_chain
    from ..training.publish import publish_training
    from ..training.run_log import RunLog
    from ..training.trainer import Training

    computing = devices(flags.gpus, flags.cpu_devices)
    validation = _validation_photos(flags.validate) if flags.validate else []
    started_from = _started_from(options) if options.start_from else None
    if options.student:
        read_model(options.student, AUTOENCODER)
    elif options.kind == ANYSTYLE.name and (not started_from or started_from.kind is not ANYSTYLE):
        raise OptionError("--any-style describes paintings by what a student sees: add --student MODEL of --decoders")
    training = Training(
        options,
        checkpoint,
        devices=computing,
        resume=flags.resume,
        start_from=load_chain(started_from) if started_from else None,
        bfloat16=False if flags.no_bfloat16 else None,
        workers=flags.workers,
        photos=photos,
    )
    samples = training.task.samples(flags.preview)
    new = not working.exists()
    try:
        working.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"{working} cannot be made ({error.strerror}): choose another --out") from error
    _announce(training, validation, flags.checkpoint_every)
    log = RunLog(working, training, validation, samples, fresh=not flags.resume)
    progress = _TrainingProgress(training, log)
    command = shlex.join(["e2e-art", *(word for word in flags.command_line if word != "--resume")])
    try:
        with progress.bar:
            training.run(progress.step, progress.checkpoint, flags.checkpoint_every)
    except KeyboardInterrupt:
        print(f"\nStopped; nothing is lost. To go on: {command} --resume")
        raise
    except (PhotoError, OSError) as error:
        if new and not log.path.exists():  # not one step was done
            shutil.rmtree(working, ignore_errors=True)
        if isinstance(error, PhotoError):
            raise
        again = f"go on with {command} --resume" if working.exists() else "give the same command again"
        raise UserError(f"{working} cannot be written ({error.strerror}): free space, then {again}") from error
    model = publish_training(
        training,
        flags.out,
        command=command,
        validation=validation,
        samples=samples,
        started_from=started_from,
        overwrite=flags.overwrite,
    )
    if skipped := training.state.skipped:
        count = plural(len(skipped), "photo could not be read and was", "photos could not be read and were")
        print(f"{count} skipped: {', '.join(skipped)}")
    print(f"{model.folder} is trained: e2e-art infer {model.kind.usage} {model.folder} -o OUT")


class _TrainingProgress:
    """What people see of a training: a progress bar, lines of text, and curves.png beside the log."""

    def __init__(self, training: Training, log: RunLog):
        self.log, total, done = log, training.total_steps, training.total_step
        self.bar = Progress(total=total, initial=done, unit="step", smoothing=0.05, dynamic_ncols=True)

    def step(self, step: Step) -> None:
        """Shows and logs a step; raises KeyboardInterrupt where Ctrl-C was pressed."""
        self.log.step(step)
        losses = step.losses[-1]
        if step.step == 1:
            self.bar.write(f"Stage {step.phase}, first step: {_text(losses)} (weighted)")
        shown = " ".join(f"{name} {value:.4g}" for name, value in losses.items())
        self.bar.step(f"stage {step.phase} {shown}")  # last, so that the checkpoint is of whole steps

    def checkpoint(self, training: Training) -> None:
        """Validates, paints the previews and draws the curves."""
        photos, result = len(self.log.validation), self.log.checkpoint()
        if result:
            samples = f"on {photos} photos" if photos else "on validation noise"
            self.bar.write(f"Stage {training.last_stage}, step {training.total_step}, {samples}: {_text(result)}")
        plot_curves(self.log.entries(), self.log.folder / "curves.png")


def _text(losses: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in losses.items())


def _check_subject(flags: argparse.Namespace) -> None:
    """Raises OptionError where flags do not say what to learn, or say more than that takes."""
    given = [job for job in (*PAINTINGS, UPSCALERS, DECODERS) if getattr(flags, job.strip("-").replace("-", "_"))]
    if not given:
        raise OptionError(
            "Say what to learn: --style PAINTING and --photos DIR, --texture PAINTING, --doodle PAINTING and --mask "
            "MASK, --super-resolution 4 and --photos DIR, or --decoders and --photos DIR"
        )
    if len(given) > 1:
        raise OptionError(f"{given[0]} and {given[1]} are two trainings: choose one")
    check_job(flags.given, given[0], FLAGS)
    if given[0] in OF_PHOTOS and not flags.photos:
        raise OptionError(f"{given[0]} learns from photos: add --photos DIR")
    if given[0] == DOODLES and not flags.mask:
        raise OptionError(f"{DOODLES} paints by regions: add --mask MASK, with the painting's in flat colors")


def _check(flags: argparse.Namespace, checkpoint: Path) -> None:
    """Raises OptionError for flags that do not go together, and where a model, a training or another's folder is."""
    if flags.gpus and "--cpu-devices" in flags.given:
        raise OptionError("--cpu-devices tries what --gpus does without any: leave one out")
    if double := find_double(path.stem for path in flags.preview):
        raise OptionError(f"Two --preview photos have the same name ({double}): rename one, or leave it out")
    if flags.resume and not flags.overwrite and (flags.out / DESCRIPTION).is_file():
        raise OptionError(f"{flags.out} is trained to its end: leave --resume out, and choose another --out")
    if flags.resume and not checkpoint.parent.exists():
        raise OptionError(f"There is no training to resume in {checkpoint.parent}: check --out, or leave --resume out")
    if flags.workers:
        flags.workers = limit_threads(flags.workers, "--workers")
    if flags.out.exists() and not flags.overwrite:
        raise OptionError(f"{flags.out} exists: choose another --out, or add --overwrite")
    if flags.out.exists() and not (flags.out / DESCRIPTION).is_file():
        raise OptionError(f"{flags.out} is no model, so it is not replaced: choose another --out")
    if checkpoint.exists() and not (flags.resume or flags.overwrite):
        raise OptionError(f"{checkpoint} holds a training: add --resume to go on with it, or --overwrite to begin anew")


def _options(flags: argparse.Namespace) -> TrainingOptions:
    """Returns the options that the flags ask for, of the kind of model that they ask for."""
    published = dict(PUBLISHED[flags.preset].options) if flags.preset else {}
    given = {**published, **gather(flags, TrainingOptions), **_subject(flags)}
    base, loss = given.pop("loss", RECIPES[given["kind"]].loss), gather(flags, LossOptions)
    for name in ("style", "content"):  # the default layer weights belong to the default layers
        if f"{name}_layers" in loss:
            loss.setdefault(f"{name}_layer_weights", ())
    if flags.preset and "loss_network" not in loss:
        network = PUBLISHED[flags.preset].loss_network
        raise OptionError(
            f"--preset {flags.preset} measures with a {network}, which is not shipped: add --loss-network FILE of one, "
            "or --loss-network vgg19 for the network that is"
        )
    return TrainingOptions(loss=replace(base, **loss), **given)


def _subject(flags: argparse.Namespace) -> dict[str, Any]:
    """Returns the options that say what to learn, and of what."""
    if flags.style:
        kind = MULTISTYLE if flags.styles_in_one else PHOTO
        if kind is MULTISTYLE and (double := find_double(Path(style).stem for style in flags.style)):
            raise OptionError(f"Two styles would be called {double}, after the paintings' files: rename one")
        return {"kind": kind.name, "styles": tuple(flags.style), "photos": flags.photos}
    if flags.add_style:
        return {"kind": MULTISTYLE.name, "styles": tuple(flags.add_style), "photos": flags.photos, **_added_to(flags)}
    if flags.any_style:
        return {"kind": ANYSTYLE.name, "paintings": flags.any_style, "photos": flags.photos}
    if flags.super_resolution:
        return {"kind": UPSCALER.name, "factor": flags.super_resolution, "photos": flags.photos}
    if flags.decoders:
        return {"kind": AUTOENCODER.name, "photos": flags.photos}
    if flags.texture:
        return {"kind": TEXTURE.name, "styles": tuple(flags.texture)}
    palette, _ = style_regions(read_image(flags.doodle), read_image(flags.mask), flags.mask)
    return {"kind": DOODLE.name, "styles": (flags.doodle,), "style_mask": flags.mask, "regions": len(palette)}


def _added_to(flags: argparse.Namespace) -> dict[str, Any]:
    """Returns the options that styles take over from the model that they are added to."""
    start_from = getattr(flags, "start_from", None)
    if not start_from:
        raise OptionError("--add-style adds to a model of several styles: name it with --start-from")
    model = read_model(start_from, MULTISTYLE)
    known = [*model.styles, *(Path(painting).stem for painting in flags.add_style)]
    if double := find_double(known):
        raise OptionError(f"Two styles would be called {double}, after the paintings' files: rename one")
    stages = {"stages": ",".join(stage["kind"] for stage in model.stages)}
    weights = tuple(stage["residual_weight"] for stage in model.stages)
    return {**stages, "residual_weights": weights, "kept_styles": len(model.styles)}


def _check_memory(options: TrainingOptions) -> None:
    """Raises UserError where a step would not fit into the memory that is free."""
    count = options.batch * (1 if options.coupling == "staged" else len(options.sizes))
    need = TRAINING.get(options.generators()[0]["kind"], TRAINING[options.kind])
    size = max(options.sizes)
    fixes = ("at this --batch, --size {long}", "give a smaller --batch") if options.batch > 1 else ("--size {long}",)
    check_memory(Need(need.pixel * count, need.always), size, size, *fixes, multiple=32)


def _started_from(options: TrainingOptions) -> Model:
    """Returns the model to begin with; raises OptionError for one of another kind, or factor, than what learns."""
    name, kind = options.start_from, KINDS[options.kind]
    model = read_model(str(name))
    if model.kind is not kind and model.kind not in OTHERS.get(kind, ()):
        raise OptionError(
            f"--start-from {name} is of kind '{model.kind.name}', and this training of kind '{kind.name}': "
            f"name one of that kind, or leave it out"
        )
    if options.factor and model.factor != options.factor:
        raise OptionError(
            f"--start-from {name} enlarges {model.factor} times, and this training {options.factor} times: "
            f"name one that does, or ask for --super-resolution {model.factor}"
        )
    return model


def _validation_photos(folder: Path) -> list[Path]:
    """Lists the photos to validate on; all are read once, since one that is of no use would end the training."""
    from ..training.task import VALIDATION_EDGE

    photos = list_images(folder)
    if not photos:
        raise OptionError(f"{folder} holds no pictures: check the path, or leave --validate out")
    for path in photos:
        height, width = with_short_edge(read_image(path).shape, VALIDATION_EDGE)
        if max(height, width) > NARROWEST * VALIDATION_EDGE:
            raise OptionError(f"{path} is too narrow to validate on: cut it, or take it out of {folder}")
    return photos


def _announce(training: Training, validation: list[Path], checkpoint_every: int) -> None:
    """Says how long the training will take."""
    from ..training.trainer import duration_text, estimate_seconds

    steps = training.total_steps - training.total_step
    with suppress(UserError):  # what is wrong will be said in its place
        if steps:
            print("Timing a few steps of each stage ...", flush=True)
            time = duration_text(estimate_seconds(training, validation, checkpoint_every))
            print(f"{steps:,} steps to go: about {time}, if nothing else keeps this machine busy", flush=True)
