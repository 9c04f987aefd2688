"""The options of a training: the one place of all their defaults.

`TrainingOptions` is a plain value; the command line makes a flag of each field that has a help text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Annotated, Any, Optional

from msgspec import Meta

from ..errors import OptionError, shortened, unknown
from ..files import Name, Text, check
from ..losses.options import LossOptions, Number, check_blend, check_options, flag_of, option
from ..models.schema import MOST_COLORS, MOST_STAGES
from ..networks.inputs import SEEDS
from ..networks.vgg_files import described

__all__ = ["PRESETS", "TrainingOptions", "stages_of"]

SMALLEST_CROP = 32  # pixels
LARGEST = 100_000  # pixels of a painting or crop
SHARE = Number(float, 0, 1)
MaybeText = Optional[Text]  # these are evaluated, and Python 3.9 knows no Text | None
MaybeCount = Optional[int]

RESIDUAL_WEIGHT = 0.4  # Bing Xu's, where neither a preset nor a kind of generator has another
UPSCALERS = ("compact", "johnson-upscaler")  # whose residual weight is 1
PRESETS: dict[str, list[dict]] = {
    "boosted": [{"kind": "pyramid", "residual_weight": weight} for weight in (0.4, 0.4, 0.5, 0.6)],
    "bing-xu": [{"kind": kind} for kind in ("conv", "deconv", "deconv", "conv")],
    "johnson": [{"kind": "johnson", "residual_weight": 1.0}],
    "johnson-half": [{"kind": "johnson", "residual_weight": 1.0, "widths": [16, 32, 64]}],
    "texture": [{"kind": "texture", "residual_weight": 1.0}],
    "boosted-texture": [
        {"kind": "texture", "residual_weight": 1.0},
        {"kind": "texture", "residual_weight": 0.5, "sees_picture": True},
    ],
    "doodle": [{"kind": "doodle", "residual_weight": 1.0}],
    "boosted-doodle": [
        {"kind": "doodle", "residual_weight": 1.0},
        {"kind": "doodle", "residual_weight": 0.5, "sees_picture": True},
    ],
    "upscaler": [{"kind": "compact"}] * 3,
    "johnson-x4": [{"kind": "johnson-upscaler", "norm": "batch", "factor": 4}] * 2,
}


def stages_of(names: str, residual_weights: Sequence[float] = (), norm: str = "instance") -> list[dict]:
    """Returns the generator arguments of each stage.

    names: a preset, or generator kinds with commas between them.  residual_weights: one for all stages, or one each;
    the preset's by default.  Raises OptionError where the numbers of stages and weights differ.
    """
    stages = PRESETS.get(names) or [{"kind": kind.strip()} for kind in names.split(",")]
    default = [1.0 if stage["kind"] in UPSCALERS else RESIDUAL_WEIGHT for stage in stages]
    own = [stage.get("residual_weight", weight) for stage, weight in zip(stages, default)]
    weights = _for_each_stage("--residual-weight", residual_weights or own, len(stages))
    return [{"norm": norm, **stage, "residual_weight": weight} for stage, weight in zip(stages, weights)]


def _for_each_stage(flag: str, values: Sequence, count: int) -> tuple:
    """Returns one value for each stage; raises OptionError where neither one was given nor as many as stages."""
    if len(values) not in (1, count):
        each = f"one number for all {count} stages, or {count}" if count > 1 else "one number, as there is one stage"
        raise OptionError(f"{flag} takes {each}, not {len(values)}")
    return tuple(values) * (count if len(values) == 1 else 1)


def _flat(description: dict) -> dict:
    """Returns a description with the options of the loss among the others."""
    loss = description.get("loss")
    return {
        **{key: value for key, value in description.items() if key != "loss"},
        **(loss if isinstance(loss, dict) else {}),
    }


def _text(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


# The defaults of each kind, stage by stage: of more stages, the last value goes on.  docs/recipe.md: small crops first,
# they are fast; large ones last, which see what a whole painting has.
_CHAIN: dict[str, Any] = {
    "stages": "boosted",
    "steps": (1600, 1400, 900, 1400),
    "sizes": (192, 256, 352, 352),
    "style_boosts": (1.0, 1.0, 1.1, 1.0),
    "learning_rates": (1.5e-3,),
}
_NOISE: dict[str, Any] = {"steps": (1500, 800), "sizes": (256,), "style_boosts": (1.0,)}
_TEXTURE: dict[str, Any] = {**_NOISE, "stages": "texture", "learning_rates": (5e-3,)}
_DOODLE: dict[str, Any] = {**_NOISE, "stages": "doodle", "learning_rates": (1e-2,)}
_UPSCALER: dict[str, Any] = {
    "stages": "upscaler",
    "steps": (9000, 1500, 1500),
    "sizes": (160,),
    "style_boosts": (1.0,),
    "learning_rates": (1e-3, 5e-4, 3e-4),
    "batch": 8,
    "pixel_weights": (1.0, 0.5),
    "feature_weights": (0.0, 1.0),
    "gan_weights": (0.0, 0.0, 0.3),
}
_RECIPES = {"chain": _CHAIN, "texture": _TEXTURE, "doodle": _DOODLE, "upscaler": _UPSCALER}
# The default weights of training, which keep faces; validation keeps to LossOptions().
_LOSS = LossOptions(content_weight=3.0, content_layers=("relu3_2", "relu4_2"), content_layer_weights=(1.0, 1.0))


@dataclass(frozen=True)
class TrainingOptions:
    """All that decides the result of a training.

    Tuples of stages may be given with one value for all, or none for the defaults; once made, they hold one for each.
    Raises OptionError for values that contradict each other or make no sense.
    """

    styles: tuple[Text, ...] = ()
    photos: Text = ""
    kind: Name = "chain"  # what learns: a chain for photos, a texture, or a doodle
    style_mask: Text = ""  # of a doodle: its painting's regions
    regions: Annotated[int, Meta(ge=0, le=MOST_COLORS)] = 0  # how many those are
    factor: Annotated[int, Meta(ge=0, le=8)] = 0  # of an upscaler: how many times as large it makes a picture
    photo_scales: tuple[float, ...] = option(
        (0.6, 1.4),
        "for upscalers: the least and the greatest factor that the sides of photos are taken times before crops are "
        "cut: below 1 the blocks of JPEG files go, above 1 edges are as soft as in large photos",
        "--photo-scale",
        Number(float, 0.05, 4),
    )
    blurred: float = option(0.0, "for upscalers: share of pictures that are blurred before they shrink", kind=SHARE)
    noisy: float = option(0.0, "for upscalers: share of small pictures with noise", kind=SHARE)
    compressed: float = option(0.0, "for upscalers: share of small pictures that went through a JPEG file", kind=SHARE)
    pixel_weights: tuple[float, ...] = option(
        (), "for upscalers: weight of the pixel error, for each stage", "--pixel-weight", Number(float)
    )
    feature_weights: tuple[float, ...] = option(
        (), "for upscalers: weight of the error of features, for each stage", "--feature-weight", Number(float)
    )
    gan_weights: tuple[float, ...] = option(
        (),
        "what stages learn from a critic, beside which they learn to pass for real: its gradient as a share of that of "
        "all else, for each stage; 0 by default, 0 0 0.3 for upscalers",
        "--gan-weight",
        Number(float),
    )
    critic_rate: float = option(4e-4, "learning rate of the critic", kind=Number(float, above=True))
    edge_jitter: float = option(
        0.0,
        "for doodles: pixels by which the loss moves the edges of regions, so that textures blend at them",
        kind=Number(float),
    )
    style_blend: tuple[float, ...] = option((), "weight of each painting; equal by default", kind=Number(float))
    style_size: int = option(400, "long edge of the painting in pixels", kind=Number(int, 1, LARGEST))
    stages: Name = option(
        "",
        f"a preset ({', '.join(PRESETS)}), or kinds of generators separated by commas; boosted, texture or doodle by "
        "default",
    )
    residual_weights: tuple[float, ...] = option(
        (),
        f"residual weight of each stage; by default the preset's, or {RESIDUAL_WEIGHT}",
        "--residual-weight",
        Number(float, 0, 1),
    )
    norm: Name = option("instance", "normalization", choices=("instance", "batch"))
    share_weights: bool = option(False, "equal stages share their weights")
    coupling: Name = option("staged", "how stages learn", choices=("staged", "straight-through", "joint"))
    warm_start: bool = option(True, "do not begin a stage with the weights of the one before it", "--cold-start")
    steps: tuple[int, ...] = option((), f"steps of each stage; {_text(_CHAIN['steps'])} by default", kind=Number())
    sizes: tuple[int, ...] = option(
        (),
        f"size of the training crops in pixels, for each stage; {_text(_CHAIN['sizes'])} by default",
        "--size",
        Number(int, SMALLEST_CROP, LARGEST),
    )
    batch: int = option(None, "batch size; 1 by default, 8 for upscalers", kind=Number(int, 1))
    optimizer: Name = option("muon", "optimizer of the weights", choices=("muon", "adam"))
    learning_rates: tuple[float, ...] = option(
        (),
        f"learning rate of each stage, which falls to 0 along a cosine; {_text(_CHAIN['learning_rates'])} by default, "
        f"{_text(_TEXTURE['learning_rates'])} for textures, {_text(_DOODLE['learning_rates'])} for doodles",
        "--learning-rate",
        Number(float, above=True),
    )
    style_boosts: tuple[float, ...] = option(
        (),
        f"factor on a stage's style weight; {_text(_CHAIN['style_boosts'])} by default",
        "--style-boost",
        Number(float, above=True),
    )
    gradient_clip: float = option(10.0, "clip the gradient norm to this", kind=Number(float, above=True))
    list_file: MaybeText = option(
        None, "text file with the photos to use, one path a line, as those of MIT Places", "--list"
    )
    limit: MaybeCount = option(None, "train on a random sample of so many photos", kind=Number(int, 1))
    seed: int = option(0, "random seed of weights, photos and noise", kind=Number(int, 0, SEEDS - 1))
    start_from: MaybeText = option(
        None,
        "trained model of the same stages to begin with; stages of 0 steps are kept, and with --cold-start each stage "
        "begins with its own weights",
    )
    start_stage: int = option(0, "stage of that model whose weights the first stage begins with", kind=Number())
    loss: LossOptions = _LOSS

    def __post_init__(self):
        if self.kind not in _RECIPES:
            raise OptionError(unknown("kind of model", self.kind, _RECIPES))
        recipe = _RECIPES[self.kind]
        self._set("batch", recipe.get("batch", 1) if self.batch is None else self.batch)
        check_options(self)
        self._set("stages", self.stages or recipe["stages"])
        if self.stages.count(",") >= MOST_STAGES:
            raise OptionError(f"A chain has at most {MOST_STAGES} stages: name fewer in --stages")
        generators = stages_of(self.stages, self.residual_weights)
        self._set("residual_weights", tuple(stage["residual_weight"] for stage in generators))
        count, flags = len(generators), {option.name: flag_of(option) for option in fields(self)}
        lists = "steps sizes learning_rates style_boosts pixel_weights feature_weights gan_weights"
        for name in lists.split():
            default = recipe.get(name, (0.0,)) + recipe.get(name, (0.0,))[-1:] * count
            self._set(name, _for_each_stage(flags[name], getattr(self, name) or default[:count], count))
        if not (self.start_from or all(self.steps)):
            raise OptionError("--steps 0 keeps a stage of the model that --start-from names: name one, or train each")
        if self.start_stage and not self.start_from:
            raise OptionError("--start-stage is the number of a stage of the model that --start-from names")
        check_blend(self.style_blend, len(self.styles))
        if self.kind == "texture" and self.loss.content_weight:
            raise OptionError(
                f"--content-weight is 0 for textures, which keep no content, not {self.loss.content_weight}"
            )
        if self.kind == "texture" and (wrong := [size for size in self.sizes if size % 32]):
            raise OptionError(f"--size takes multiples of 32 for textures, such as 256, not {wrong[0]}")
        least = 8 * self.factor + SMALLEST_CROP
        if self.kind == "upscaler" and (wrong := [size for size in self.sizes if size < least]):
            raise OptionError(f"--size is {least} pixels or more for a factor of {self.factor}, not {wrong[0]}")
        if self.kind == "doodle" and any(self.gan_weights):
            raise OptionError("--gan-weight is 0 for doodles, whose regions stand elsewhere than those of the painting")
        if wrong := [stage["factor"] for stage in generators if stage.get("factor", self.factor) != self.factor]:
            fix = f"ask for --super-resolution {wrong[0]}, or choose other --stages"
            raise OptionError(f"--stages {self.stages} enlarges {wrong[0]} times, not {self.factor}: {fix}")
        if self.loss.patch_weight:
            raise OptionError("Patches are for e2e-art optimize: leave --patch-weight out of a training")

    def _set(self, name: str, value) -> None:
        object.__setattr__(self, name, value)  # while it is made; from then on it is frozen

    def generators(self) -> list[dict]:
        """Returns the generator arguments of each stage."""
        stages = stages_of(self.stages, self.residual_weights, self.norm)
        own = {"doodle": {"regions": self.regions}, **dict.fromkeys(UPSCALERS, {"factor": self.factor})}
        return [{**own.get(stage["kind"], {}), **stage} for stage in stages]

    def describe(self) -> dict:
        """Returns the options as plain JSON values, for checkpoints and records; files of loss networks as sha256."""
        description = json.loads(json.dumps(asdict(self)))
        description["loss"]["loss_network"] = self._loss_network
        return description

    @cached_property
    def _loss_network(self) -> str:
        return described(self.loss.loss_network)  # a file is read for that

    def differences(self, description: dict) -> str:
        """Returns where a description differs, for people; options that came after it have their defaults there."""
        try:
            saved = TrainingOptions.of(description).describe()
        except OptionError:  # a description of something else
            saved = description if isinstance(description, dict) else {}
        mine, saved = _flat(self.describe()), _flat(saved)
        changed = [key for key in sorted(mine) if mine[key] != saved.get(key)]
        return ", ".join(f"{key}: {shortened(str(saved.get(key)))}" for key in changed)

    @classmethod
    def of(cls, description: dict) -> TrainingOptions:
        """Returns the options that `describe` described; raises OptionError for what describes none."""
        if isinstance(description, dict) and (others := description.keys() - vars(cls()).keys()):
            raise OptionError(f"there is no option '{shortened(str(others.pop()))}'")
        try:
            return check(description, cls)
        except ValueError as error:
            raise OptionError(str(error)) from error
