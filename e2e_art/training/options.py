"""What a training can be told, and what it does untold: the one place of all defaults.

Both dataclasses are plain values; the command line makes a flag of each field that has a help text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from ..errors import OptionError
from ..losses.options import LossOptions, check_shares, option

__all__ = ["COUPLINGS", "PRESETS", "TrainingOptions", "stages_of"]

COUPLINGS = ("staged", "straight-through", "joint")
OPTIMIZERS = ("muon", "adam")

RESIDUAL_WEIGHT = 0.4  # Bing Xu's, where neither the preset nor the caller says otherwise
PRESETS: dict[str, list[dict]] = {
    "boosted": [{"kind": "pyramid", "residual_weight": weight} for weight in (0.4, 0.4, 0.5, 0.6)],
    "bing-xu": [{"kind": kind} for kind in ("conv", "deconv", "deconv", "conv")],
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
}


def stages_of(names: str, residual_weights: Sequence[float] = (), norm: str = "instance") -> list[dict]:
    """Returns the generator arguments of each stage.

    names: a preset, or generator kinds with commas between them.  residual_weights: one for all stages, or one each;
    where left out, the preset's own.  Raises OptionError where the numbers of stages and weights differ.
    """
    stages = PRESETS.get(names) or [{"kind": kind.strip()} for kind in names.split(",")]
    if len(residual_weights) not in (0, 1, len(stages)):
        raise OptionError(f"{len(stages)} stages were asked for, but {len(residual_weights)} residual weights for them")
    own = [stage.get("residual_weight", RESIDUAL_WEIGHT) for stage in stages]
    weights = list(residual_weights) * len(stages) if len(residual_weights) == 1 else list(residual_weights) or own
    return [{**stage, "residual_weight": weight, "norm": norm} for stage, weight in zip(stages, weights)]


def _words(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


@dataclass(frozen=True)
class _Recipe:
    """What a training does untold, stage by stage."""

    stages: str
    steps: tuple[int, ...]
    sizes: tuple[int, ...]
    style_boosts: tuple[float, ...]
    learning_rates: tuple[float, ...] = (1.5e-3,)


# docs/recipe.md: small crops first, they are fast; large ones last, which see what a whole painting has.
_RECIPES = {
    "chain": _Recipe("boosted", (1600, 1400, 900, 1400), (192, 256, 352, 352), (1.0, 1.0, 1.1, 1.0)),
    "texture": _Recipe("texture", (1500, 800), (256, 256), (1.0, 1.0), (5e-3,)),
    "doodle": _Recipe("doodle", (1500, 800), (256, 256), (1.0, 1.0), (1e-2,)),
}
_CHAIN = _RECIPES["chain"]


def _recipe_loss() -> LossOptions:
    """What training weighs by default, to keep faces; judging keeps to LossOptions()."""
    return LossOptions(content_weight=3.0, content_layers=("relu3_2", "relu4_2"), content_layer_weights=(1.0, 1.0))


@dataclass(frozen=True)
class TrainingOptions:
    """Everything that decides what a training arrives at.  Tuples hold one value for all stages, or one each."""

    styles: tuple[str, ...] = ()
    photos: str = ""
    kind: str = "chain"  # what learns: a chain for photos, a texture, or a doodle
    style_mask: str = ""  # of a doodle: its painting's regions
    regions: int = 0  # how many those are
    edge_jitter: float = option(
        0.0, "of a doodle: pixels by which the loss moves the edges of regions, so that textures meet less sharply"
    )
    style_blend: tuple[float, ...] = option((), "what each painting counts; all alike if left out", kind=float)
    style_size: int = option(400, "long edge of the painting")
    stages: str = option(
        "",
        f"a preset ({', '.join(PRESETS)}), or kinds of generators with commas between them; {_CHAIN.stages}, "
        "texture or doodle if left out",
    )
    residual_weights: tuple[float, ...] = option(
        (), f"how much of each stage's painting shows; the preset's, or {RESIDUAL_WEIGHT}, if left out",
        "--residual-weight", float,
    )  # fmt: skip
    norm: str = option("instance", "normalization", choices=("instance", "batch"))
    share_weights: bool = option(False, "equal stages are one and the same network")
    coupling: str = option("staged", "how stages learn", choices=COUPLINGS)
    warm_start: bool = option(True, "a stage does not begin as the one before it ended", "--cold-start")
    steps: tuple[int, ...] = option((), f"steps of each stage; {_words(_CHAIN.steps)} if left out", kind=int)
    sizes: tuple[int, ...] = option(
        (), f"pixels of a crop's edge in each stage; {_words(_CHAIN.sizes)} if left out", "--size", int
    )
    batch: int = option(1, "crops in a step")
    optimizer: str = option("muon", "what moves the weights", choices=OPTIMIZERS)
    learning_rates: tuple[float, ...] = option(
        (),
        f"falling to 0 along a cosine; if left out {_words(_CHAIN.learning_rates)}, for textures "
        f"{_words(_RECIPES['texture'].learning_rates)}, for doodles {_words(_RECIPES['doodle'].learning_rates)}",
        "--learning-rate",
        float,
    )
    style_boosts: tuple[float, ...] = option(
        (),
        f"factor on the style weight in each stage; {_words(_CHAIN.style_boosts)} if left out",
        "--style-boost",
        float,
    )
    gradient_clip: float = option(10.0, "longest gradient")
    list_file: str | None = option(None, "text file that lists the photos to use, as MIT Places has them", "--list")
    limit: int | None = option(None, "train on a sample of so many photos", kind=int)
    seed: int = option(0, "of weights, photos and noise")
    start_from: str | None = option(
        None,
        "begin with the weights of a trained model of such stages; those of 0 steps stay, with --cold-start all begin "
        "with their own",
    )
    start_stage: int = option(0, "the stage of that model that the first one begins as")
    loss: LossOptions = field(default_factory=_recipe_loss)

    def __post_init__(self):
        if self.coupling not in COUPLINGS:
            raise OptionError(f"'{self.coupling}' is no coupling: choose from {', '.join(COUPLINGS)}")
        if self.optimizer not in OPTIMIZERS:
            raise OptionError(f"'{self.optimizer}' is no optimizer: choose from {', '.join(OPTIMIZERS)}")
        if self.kind not in _RECIPES:
            raise OptionError(f"unknown kind of model '{self.kind}': choose {', '.join(_RECIPES)}")
        recipe = _RECIPES[self.kind]
        if not self.stages:
            object.__setattr__(self, "stages", recipe.stages)
        count = len(self.generators())
        if not self.learning_rates:
            object.__setattr__(self, "learning_rates", recipe.learning_rates)
        for name in ("steps", "sizes", "style_boosts"):
            if not getattr(self, name):  # the recipe, cut or drawn out to the number of stages
                values = getattr(recipe, name)
                object.__setattr__(self, name, (values + values[-1:] * count)[:count])
        for name in ("steps", "sizes", "learning_rates", "style_boosts"):
            values = getattr(self, name)
            if len(values) not in (1, count):
                raise OptionError(f"{count} stages were asked for, but {len(values)} {name.replace('_', ' ')} for them")
            if not all(value > 0 or (name == "steps" and value == 0 and self.start_from) for value in values):
                raise OptionError(f"{name.replace('_', ' ')} must be above 0, not {', '.join(map(str, values))}")
        if self.start_stage < 0 or (self.start_stage and not self.start_from):
            raise OptionError("--start-stage is the number of a stage of the model that --start-from names")
        if not self.gradient_clip > 0:
            raise OptionError(f"gradient clip must be above 0, not {self.gradient_clip}")
        if not 0 <= self.edge_jitter < math.inf:
            raise OptionError(f"edge jitter must be 0 or more, not {self.edge_jitter}")
        check_shares(self.style_blend, "style blend")
        if self.kind == "texture" and (self.loss.content_weight or any(size % 32 for size in self.sizes)):
            raise OptionError(
                "A texture keeps no content, and its sizes are multiples of 32: change --content-weight 0 or --size"
            )
        if self.loss.patch_weight:
            raise OptionError("Patches are for e2e-art optimize: leave --patch-weight out of a training")
        if min(self.sizes) < 32 or self.batch < 1:
            raise OptionError("Crops must be at least 32 pixels, and a batch at least one of them")

    def generators(self) -> list[dict]:
        """Returns the generator arguments of each stage."""
        stages = stages_of(self.stages, self.residual_weights, self.norm)
        return [{**stage, "regions": self.regions} if stage["kind"] == "doodle" else stage for stage in stages]

    def describe(self) -> dict:
        """Returns the options as plain JSON values, for checkpoints and records."""
        return json.loads(json.dumps(asdict(self)))

    def differences(self, description: dict) -> str:
        """Returns what a description says otherwise, in words; options that came after it have their defaults there."""
        try:
            saved = TrainingOptions.of(description).describe()
        except (TypeError, KeyError, OptionError):  # of another time altogether
            saved = description
        mine = self.describe()
        return ", ".join(f"{key}: {saved.get(key)}" for key in sorted(mine) if mine[key] != saved.get(key))

    @classmethod
    def of(cls, description: dict) -> TrainingOptions:
        """Returns the options that `describe` described."""
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in description.items()}
        loss = {key: tuple(value) if isinstance(value, list) else value for key, value in values.pop("loss").items()}
        return cls(**values, loss=LossOptions(**loss))
