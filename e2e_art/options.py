"""What a training can be told, and what it does untold: the one place of all defaults.

Both dataclasses are plain values; the command line makes a flag of each field that has a help text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from .errors import OptionError

__all__ = ["COUPLINGS", "PRESETS", "DescentOptions", "LossOptions", "TrainingOptions", "check_shares", "stages_of"]

COUPLINGS = ("staged", "straight-through", "joint")
OPTIMIZERS = ("muon", "adam")
CONVENTIONS = ("relative", "gatys", "bing-xu", "mean")

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


def _option(
    default, help: str, flag: str | None = None, kind: type | None = None, choices: Sequence[str] | None = None
):
    """Returns a field with what the command line needs to know of it; `kind` where the default does not tell."""
    return field(default=default, metadata={"help": help, "flag": flag, "kind": kind, "choices": choices})


def check_shares(shares: Sequence[float], name: str) -> None:
    """Raises OptionError where shares of a whole are below 0, or all 0."""
    if shares and not (min(shares) >= 0 and sum(shares) > 0):
        raise OptionError(f"{name} must be 0 or more, and their sum above 0, not {', '.join(map(str, shares))}")


def _words(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


@dataclass(frozen=True)
class LossOptions:
    """What the loss looks at, and how much each term weighs."""

    style_weight: float = _option(20.0, "weight of the style")
    content_weight: float = _option(1.0, "weight of the content")
    tv_weight: float = _option(1e-5, "weight of the smoothness")
    style_layers: tuple[str, ...] = _option(tuple(f"relu{block}_1" for block in range(1, 6)), "where style is seen")
    style_layer_weights: tuple[float, ...] = _option(
        (), "what each style layer counts; all alike if left out", kind=float
    )
    content_layers: tuple[str, ...] = _option(("relu4_2",), "where content is seen", "--content-layer")
    content_layer_weights: tuple[float, ...] = _option(
        (), "what each content layer counts; all alike if left out", kind=float
    )
    convention: str = _option("relative", "how a squared error becomes a loss: docs/losses.md", choices=CONVENTIONS)
    covariance: bool = _option(False, "center features before the Gram matrix")
    patch_weight: float = _option(0.0, "weight of the likeness of patches; needs a single painting, and no training")
    patch_layers: tuple[str, ...] = _option(("relu3_1", "relu4_1"), "where patches are compared")
    normalize_gradients: bool = _option(False, "let each layer pull equally hard, whatever its loss")
    pooling: str = _option("average", "of the loss network", choices=("average", "max"))
    loss_network: str = _option("vgg19", "vgg19 (shipped), or zoo:vgg11, zoo:vgg13, zoo:vgg16, zoo:vgg19 from gluoncv")

    def __post_init__(self):
        for name in ("style_weight", "content_weight", "tv_weight", "patch_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise OptionError(f"{name.replace('_', ' ')} must be 0 or more, not {getattr(self, name)}")
        if self.convention not in CONVENTIONS:
            raise OptionError(f"'{self.convention}' is no convention: choose from {', '.join(CONVENTIONS)}")
        for layers, weights, kind in (
            (self.style_layers, self.style_layer_weights, "style"),
            (self.content_layers, self.content_layer_weights, "content"),
        ):
            if not layers:
                raise OptionError(f"The loss needs at least one {kind} layer")
            if weights and len(weights) != len(layers):
                raise OptionError(f"{len(layers)} {kind} layers were named, but {len(weights)} weights for them")
            check_shares(weights, f"{kind} layer weights")


DESCENTS = {"lbfgs": None, "adam": 5.0, "sgd": None}  # ways downhill, with their rates; None finds one by itself
STOPS = ("loss", "change")


@dataclass(frozen=True)
class DescentOptions:
    """Everything that decides where a descent on the pixels of one picture arrives."""

    optimizer: str = _option("lbfgs", "the way downhill", choices=tuple(DESCENTS))
    steps: int = _option(200, "evaluations of the loss at most, on each scale")
    learning_rate: float | None = _option(
        None, f"of adam: gray levels a step ({DESCENTS['adam']:g} if left out); of sgd: on the gradient", kind=float
    )
    tolerance: float = _option(0.01, "stop when 10 evaluations gain less than this share of the loss; 0 goes on")
    stop: str = _option("loss", "what must go on: the loss's fall, or the picture's change in a step", choices=STOPS)
    scales: int = _option(
        1, "go from coarse to fine over so many sizes, each sqrt(2) times the one before; from noise 4"
    )
    style_size: int = _option(400, "long edge of the painting, for a photo at its full size")
    seed: int = _option(0, "of the noise to start from")
    loss: LossOptions = field(default_factory=LossOptions)

    def __post_init__(self):
        if self.optimizer not in DESCENTS:
            raise OptionError(f"'{self.optimizer}' is no way downhill: choose from {', '.join(DESCENTS)}")
        if self.stop not in STOPS:
            raise OptionError(f"'{self.stop}' is no rule to stop by: choose from {', '.join(STOPS)}")
        for name in ("steps", "scales", "style_size"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name.replace('_', ' ')} must be at least 1, not {getattr(self, name)}")
        if not self.tolerance >= 0:
            raise OptionError(f"tolerance must be 0 or more, not {self.tolerance}")
        if self.seed < 0:
            raise OptionError(f"seed must be 0 or more, not {self.seed}")
        if self.optimizer == "lbfgs" and self.learning_rate is not None:
            raise OptionError(
                "lbfgs finds its steps' lengths itself: leave the learning rate out, or choose adam or sgd"
            )
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", DESCENTS[self.optimizer])
        if self.loss.normalize_gradients and self.optimizer == "lbfgs":
            raise OptionError("Normalized gradients are not those of the loss, which lbfgs needs: choose adam or sgd")
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise OptionError(f"learning rate must be above 0, not {self.learning_rate}")


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
    edge_jitter: float = _option(
        0.0, "of a doodle: pixels by which the loss moves the edges of regions, so that textures meet less sharply"
    )
    style_blend: tuple[float, ...] = _option((), "what each painting counts; all alike if left out", kind=float)
    style_size: int = _option(400, "long edge of the painting")
    stages: str = _option(
        "",
        f"a preset ({', '.join(PRESETS)}), or kinds of generators with commas between them; {_CHAIN.stages}, "
        "texture or doodle if left out",
    )
    residual_weights: tuple[float, ...] = _option(
        (), f"how much of each stage's painting shows; the preset's, or {RESIDUAL_WEIGHT}, if left out",
        "--residual-weight", float,
    )  # fmt: skip
    norm: str = _option("instance", "normalization", choices=("instance", "batch"))
    share_weights: bool = _option(False, "equal stages are one and the same network")
    coupling: str = _option("staged", "how stages learn", choices=COUPLINGS)
    warm_start: bool = _option(True, "a stage does not begin as the one before it ended", "--cold-start")
    steps: tuple[int, ...] = _option((), f"steps of each stage; {_words(_CHAIN.steps)} if left out", kind=int)
    sizes: tuple[int, ...] = _option(
        (), f"pixels of a crop's edge in each stage; {_words(_CHAIN.sizes)} if left out", "--size", int
    )
    batch: int = _option(1, "crops in a step")
    optimizer: str = _option("muon", "what moves the weights", choices=OPTIMIZERS)
    learning_rates: tuple[float, ...] = _option(
        (),
        f"falling to 0 along a cosine; if left out {_words(_CHAIN.learning_rates)}, for textures "
        f"{_words(_RECIPES['texture'].learning_rates)}, for doodles {_words(_RECIPES['doodle'].learning_rates)}",
        "--learning-rate",
        float,
    )
    style_boosts: tuple[float, ...] = _option(
        (),
        f"factor on the style weight in each stage; {_words(_CHAIN.style_boosts)} if left out",
        "--style-boost",
        float,
    )
    gradient_clip: float = _option(10.0, "longest gradient")
    list_file: str | None = _option(None, "text file that lists the photos to use, as MIT Places has them", "--list")
    limit: int | None = _option(None, "train on a sample of so many photos", kind=int)
    seed: int = _option(0, "of weights, photos and noise")
    start_from: str | None = _option(
        None,
        "begin with the weights of a trained model of such stages; those of 0 steps stay, with --cold-start all begin "
        "with their own",
    )
    start_stage: int = _option(0, "the stage of that model that the first one begins as")
    loss: LossOptions = field(default_factory=_recipe_loss)

    def __post_init__(self):
        if self.coupling not in COUPLINGS:
            raise OptionError(f"'{self.coupling}' is no coupling: choose from {', '.join(COUPLINGS)}")
        if self.optimizer not in OPTIMIZERS:
            raise OptionError(f"'{self.optimizer}' is no optimizer: choose from {', '.join(OPTIMIZERS)}")
        if self.kind not in _RECIPES:
            raise OptionError(f"'{self.kind}' is nothing to train: choose from {', '.join(_RECIPES)}")
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
