"""The options of a training: what decides its result.

`TrainingOptions` is a plain value; the command line makes a flag of each field that has a help text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Annotated, Optional

import numpy as np
from msgspec import Meta

from ..data.photos import Photos
from ..data.randomness import LOOK
from ..errors import OptionError, shortened, unknown
from ..files import Name, Text, check
from ..losses.options import LossOptions, Number, check_blend, check_options, flag_of, option
from ..models.schema import MOST_COLORS, MOST_STAGES, MOST_STYLES
from ..networks.inputs import SEEDS
from ..networks.vgg_files import described
from .recipes import ADDED_STYLES, RECIPES, defaults_text
from .stages import AUTOENCODERS, PRESETS, RESIDUAL_WEIGHT, UPSCALERS, for_each_stage, stages_of

__all__ = ["TrainingOptions"]

SMALLEST_CROP = 32  # pixels
DESCRIBED, HIDDEN = 128, 128  # numbers that describe a painting, and neurons of what reads them
LARGEST = 100_000  # pixels of a painting or crop
WIDEST = 64  # channels of the first level of VGG
SHARE = Number(float, 0, 1)
SEVERAL = ("multistyle", "anystyle")  # kinds that paint in more than one style
OF_PICTURES = ("upscaler", "autoencoder")  # kinds that learn to make a picture as it was
MaybeText = Optional[Text]  # these are evaluated, and Python 3.9 knows no Text | None
MaybeCount = Optional[int]
# What has one value for each stage, whatever the number of stages.
LISTS: tuple[str, ...] = ("steps", "sizes", "learning_rates", "style_boosts")
LISTS += ("pixel_weights", "feature_weights", "grid_weights", "gan_weights", "stage_shares")


def _flat(description: dict) -> dict:
    """Returns a description with the options of the loss among the others."""
    loss = description.get("loss")
    return {
        **{key: value for key, value in description.items() if key != "loss"},
        **(loss if isinstance(loss, dict) else {}),
    }


@dataclass(frozen=True)
class TrainingOptions:
    """All that decides the result of a training.

    Tuples of stages may be given with one value for all, or none for the defaults; once made, they hold one for each.
    Raises OptionError for values that contradict each other or make no sense.
    """

    styles: tuple[Text, ...] = ()
    photos: Text = ""
    kind: Name = "chain"  # what learns: one of `RECIPES`
    paintings: Text = ""  # of a chain of any style: the folder of those that it learns from
    unseen: Text = option(
        "", "for --any-style: folder of paintings that it is validated on, and never learns from", "--unseen-paintings"
    )
    student: Text = option("", "for --any-style: model of --decoders, whose student is to describe paintings")
    style_mask: Text = ""  # of a doodle: its painting's regions
    kept_styles: Annotated[int, Meta(ge=0, le=MOST_STYLES)] = 0  # those of `start_from` that `styles` are added to
    regions: Annotated[int, Meta(ge=0, le=MOST_COLORS)] = 0  # how many those are
    factor: Annotated[int, Meta(ge=0, le=8)] = 0  # of an upscaler: how many times as large it makes a picture
    width: int = option(
        16, "for --decoders: channels of the student's first level; 64 as VGG has", kind=Number(int, 2, WIDEST)
    )
    edge_jitter: float = option(
        0.0,
        "for doodles: pixels by which the loss moves the edges of regions, so that textures blend at them",
        kind=Number(float),
    )
    style_blend: tuple[float, ...] = option((), "weight of each painting; equal by default", kind=Number(float))
    style_size: int = option(400, "long edge of the painting in pixels", kind=Number(int, 1, LARGEST))
    stages: Name = option(
        "",
        f"a preset ({', '.join(PRESETS)}), or kinds of generators separated by commas; {defaults_text('stages')}",
    )
    residual_weights: tuple[float, ...] = option(
        (),
        f"residual weight of each stage; by default the preset's, or {RESIDUAL_WEIGHT}",
        "--residual-weight",
        Number(float, 0, 1),
    )
    norm: Name = option("instance", "normalization", choices=("instance", "batch"))
    share_weights: bool = option(False, "equal stages share their weights")
    coupling: Name = option(
        "",
        f"how stages learn: one after another, or all at once; {defaults_text('coupling')}",
        choices=("staged", "straight-through", "joint"),
    )
    stage_shares: tuple[float, ...] = option(
        (),
        "where stages learn at once: the share of the steps that look at each stage's picture, instead of at those of "
        f"all stages in each step; {defaults_text('stage_shares', 'chain', 'multistyle')}",
        "--stage-share",
        Number(float),
    )
    warm_start: bool = option(True, "do not begin a stage with the weights of the one before it", "--cold-start")
    steps: tuple[int, ...] = option((), f"steps of each stage; {defaults_text('steps')}", kind=Number())
    sizes: tuple[int, ...] = option(
        (),
        f"size of the training crops in pixels, for each stage; {defaults_text('sizes')}",
        "--size",
        Number(int, SMALLEST_CROP, LARGEST),
    )
    batch: int = option(None, f"batch size; {defaults_text('batch')}", kind=Number(int, 1))
    optimizer: Name = option("muon", "optimizer of the weights", choices=("muon", "adam"))
    learning_rates: tuple[float, ...] = option(
        (),
        f"learning rate of each stage, which falls to 0 along a cosine; {defaults_text('learning_rates')}",
        "--learning-rate",
        Number(float, above=True),
    )
    style_boosts: tuple[float, ...] = option(
        (),
        f"factor on a stage's style weight; {defaults_text('style_boosts', 'chain', 'texture', 'doodle')}",
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
    gan_weights: tuple[float, ...] = option(
        (),
        "weight of a critic, for which pictures are to pass as real, for each stage: the norm of its gradient, as a "
        f"share of that of all other terms; {defaults_text('gan_weights')}",
        "--gan-weight",
        Number(float),
    )
    critic_rate: float = option(4e-4, "learning rate of the critic", kind=Number(float, above=True))
    pixel_weights: tuple[float, ...] = option(
        (),
        f"weight of the pixel error, for each stage; {defaults_text('pixel_weights', *OF_PICTURES)}",
        "--pixel-weight",
        Number(float),
    )
    feature_weights: tuple[float, ...] = option(
        (),
        f"weight of the feature error, for each stage; {defaults_text('feature_weights', *OF_PICTURES)}",
        "--feature-weight",
        Number(float),
    )
    grid_weights: tuple[float, ...] = option(
        (),
        f"for upscalers: weight of the grid error, for each stage; {defaults_text('grid_weights', 'upscaler')}",
        "--grid-weight",
        Number(float),
    )
    photo_scales: tuple[float, ...] = option(
        (0.6, 1.4),
        "for upscalers and decoders: least and greatest factor on the sides of photos, before crops are cut: below 1 "
        "the blocks of JPEG files go, above 1 edges are as soft as in large photos",
        "--photo-scale",
        Number(float, 0.05, 4),
    )
    blurred: float = option(0.0, "for upscalers: share of pictures that are blurred before they shrink", kind=SHARE)
    noisy: float = option(0.0, "for upscalers: share of small pictures with noise", kind=SHARE)
    compressed: float = option(0.0, "for upscalers: share of small pictures that went through a JPEG file", kind=SHARE)
    loss: LossOptions = RECIPES["chain"].loss

    def __post_init__(self):
        if self.kind not in RECIPES:
            raise OptionError(unknown("kind of model", self.kind, RECIPES))
        recipe = ADDED_STYLES if self.kept_styles else RECIPES[self.kind]
        self._set("batch", recipe.batch if self.batch is None else self.batch)
        self._set("coupling", self.coupling or recipe.coupling)
        check_options(self)
        self._set("stages", self.stages or recipe.stages)
        if self.stages.count(",") >= MOST_STAGES:
            raise OptionError(f"A chain has at most {MOST_STAGES} stages: name fewer in --stages")
        generators = stages_of(self.stages, self.residual_weights)
        self._set("residual_weights", tuple(stage["residual_weight"] for stage in generators))
        count, flags = len(generators), {option.name: flag_of(option) for option in fields(self)}
        for name in LISTS:
            values = getattr(self, name) or recipe.of_stages(name, count)
            self._set(name, for_each_stage(flags[name], values, count))
        if not (self.start_from or all(self.steps)):
            raise OptionError("--steps 0 keeps a stage of the model that --start-from names: name one, or train each")
        if self.start_stage and not self.start_from:
            raise OptionError("--start-stage is the number of a stage of the model that --start-from names")
        check_blend(self.style_blend, len(self.styles))
        if self.loss.patch_weight:
            raise OptionError("Patches are for e2e-art optimize: leave --patch-weight out of a training")
        if len(self.photo_scales) != 2 or self.photo_scales[0] > self.photo_scales[1]:
            given = " ".join(f"{scale:g}" for scale in self.photo_scales)
            raise OptionError(f"--photo-scale takes the least and the greatest factor, such as 0.6 1.4, not {given}")
        if wrong := [stage["factor"] for stage in generators if stage.get("factor", self.factor) != self.factor]:
            fix = f"ask for --super-resolution {wrong[0]}, or choose other --stages"
            missed = f", not {self.factor}" if self.factor else ""
            raise OptionError(f"--stages {self.stages} enlarges {wrong[0]} times{missed}: {fix}")
        self._check_kind()

    def _check_kind(self) -> None:
        """Raises OptionError for what the kind of model does not take."""
        if self.kind == "texture" and self.loss.content_weight:
            raise OptionError(
                f"--content-weight is 0 for textures, which keep no content, not {self.loss.content_weight}"
            )
        if self.kind == "texture" and (wrong := [size for size in self.sizes if size % 32]):
            raise OptionError(f"--size takes multiples of 32 for textures, such as 256, not {wrong[0]}")
        least = max(8 * self.factor + SMALLEST_CROP, 16 * self.factor)
        if self.kind == "upscaler" and (wrong := [size for size in self.sizes if size < least]):
            raise OptionError(f"--size is {least} pixels or more for a factor of {self.factor}, not {wrong[0]}")
        if self.kind == "upscaler" and (wrong := [size for size in self.sizes if size % self.factor]):
            such = f"multiples of {self.factor} for a factor of {self.factor}, such as {least}"
            raise OptionError(f"--size takes {such}, not {wrong[0]}")
        own = zip(self.steps, self.pixel_weights, self.feature_weights)
        if self.kind == "upscaler" and (idle := [n for n, (steps, *some) in enumerate(own) if steps and not any(some)]):
            why = f"are 0 for stage {idle[0]}, which would learn nothing, as a critic's part is a share of theirs"
            raise OptionError(f"--pixel-weight and --feature-weight {why}: raise one of them")
        if self.kind in SEVERAL and any(self.gan_weights):
            raise OptionError("--gan-weight is 0 for several styles in one network: leave it out")
        if self.kind in SEVERAL and self.norm == "batch":
            raise OptionError("Networks of several styles normalize each picture by itself: leave --norm batch out")
        if any(self.stage_shares) and any(self.gan_weights):
            raise OptionError(
                "--stage-share shows a critic some stages only now and then: leave it or --gan-weight out"
            )
        if any(self.stage_shares) and self.coupling == "staged":
            raise OptionError("--stage-share is for stages that learn at once: add --coupling joint, or leave it out")
        if self.kind == "autoencoder" and (wrong := [size for size in self.sizes if size % 16]):
            raise OptionError(f"--size takes multiples of 16 for decoders, such as 256, not {wrong[0]}")
        if self.kind == "doodle" and any(self.gan_weights):
            raise OptionError("--gan-weight is 0 for doodles, whose regions stand elsewhere than those of the painting")

    def _set(self, name: str, value) -> None:
        object.__setattr__(self, name, value)  # while it is made; from then on it is frozen

    def find_photos(self) -> Photos | None:
        """Returns the photos to learn from, None for what learns from none; raises PhotoError where there are none."""
        return Photos(self.photos, self.list_file, self.limit, self.seed) if self.photos else None

    def generators(self) -> list[dict]:
        """Returns the generator arguments of each stage."""
        stages = stages_of(self.stages, self.residual_weights, self.norm)
        own = {"doodle": {"regions": self.regions}, **dict.fromkeys(UPSCALERS, {"factor": self.factor})}
        own |= dict.fromkeys(AUTOENCODERS, {"width": self.width})
        styles = {"styles": self.kept_styles + len(self.styles)} if self.kind == "multistyle" else {}
        if self.kind == "anystyle":
            styles = {"described": DESCRIBED, "hidden": HIDDEN}
        return [{**own.get(stage["kind"], {}), **stage, **styles} for stage in stages]

    def looked_at(self, learning: Sequence[int], position: int) -> list[int]:
        """Returns the stages whose pictures the loss sees in a step; position: the number of its first crop."""
        if len(learning) == 1 or not any(self.stage_shares):
            return list(learning)
        shares = np.array([self.stage_shares[stage] for stage in learning])
        random = np.random.default_rng((self.seed, LOOK, position))
        return [learning[random.choice(len(learning), p=shares / shares.sum())]]

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
