"""The settings that each kind of model is trained with where none are given; docs/recipe.md has the reasons."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..losses.options import LossOptions

__all__ = ["ADDED_STYLES", "RECIPES", "Recipe", "defaults_text"]


# Weights of training, which keep faces; validation keeps to LossOptions().
_LOSS = LossOptions(content_weight=3.0, content_layers=("relu3_2", "relu4_2"), content_layer_weights=(1.0, 1.0))
_NO_CONTENT = replace(_LOSS, content_weight=0.0)


_SHARES = (0.06, 0.06, 0.08, 0.8)  # all stages learn for the last one; a few steps keep the pictures of the others


@dataclass(frozen=True)
class Recipe:
    """Defaults of `TrainingOptions`; tuples go stage by stage: of more stages, the last value goes on."""

    stages: str
    steps: tuple[int, ...]
    sizes: tuple[int, ...]  # small crops first, they are fast; large ones last, which see what a whole painting has
    learning_rates: tuple[float, ...]
    loss: LossOptions
    batch: int = 1
    style_boosts: tuple[float, ...] = (1.0,)
    pixel_weights: tuple[float, ...] = (0.0,)
    feature_weights: tuple[float, ...] = (0.0,)
    grid_weights: tuple[float, ...] = (0.0,)
    gan_weights: tuple[float, ...] = (0.0,)
    coupling: str = "staged"
    stage_shares: tuple[float, ...] = (0.0,)
    plural: str = ""  # what people call such models

    def of_stages(self, name: str, count: int) -> tuple:
        """Returns the values of an option, one for each of `count` stages."""
        values = getattr(self, name)
        return (values + values[-1:] * count)[:count]


RECIPES = {  # by kind of model
    "chain": Recipe(
        stages="boosted",
        steps=(1600, 1400, 900, 1400),
        sizes=(192, 256, 352, 352),
        learning_rates=(1.5e-3,),
        loss=_LOSS,
        style_boosts=(1.0, 1.0, 1.1, 1.0),
    ),
    "multistyle": Recipe(
        stages="boosted",
        steps=(16000,),
        sizes=(224,),
        learning_rates=(1e-3,),
        loss=_LOSS,
        coupling="joint",
        stage_shares=_SHARES,
        plural="chains of several styles",
    ),
    "anystyle": Recipe(
        stages="boosted",
        steps=(10000,),
        sizes=(192,),
        learning_rates=(1e-3,),
        loss=replace(_LOSS, content_weight=2.0),
        coupling="joint",
        stage_shares=_SHARES,
        plural="chains of any style",
    ),
    "texture": Recipe(stages="texture", steps=(1500, 800), sizes=(256,), learning_rates=(5e-3,), loss=_NO_CONTENT),
    "doodle": Recipe(stages="doodle", steps=(1500, 800), sizes=(256,), learning_rates=(1e-2,), loss=_NO_CONTENT),
    "upscaler": Recipe(
        stages="upscaler",
        steps=(9000, 1500, 1500),
        sizes=(160,),
        learning_rates=(1e-3, 5e-4, 3e-4),
        loss=replace(_LOSS, content_layers=("relu1_2", "relu2_2", "relu3_3"), content_layer_weights=(2.0, 1.0, 1.0)),
        batch=8,
        pixel_weights=(1.0, 0.5, 0.5),
        feature_weights=(0.0, 1.0, 1.0),
        grid_weights=(0.0, 5.0, 5.0),
        gan_weights=(0.0, 0.0, 0.3),
    ),
    "autoencoder": Recipe(
        stages="autoencoder",
        steps=(1200, 250, 400, 800, 1500),
        sizes=(192,),
        learning_rates=(3e-4, 5e-4),
        loss=_NO_CONTENT,
        pixel_weights=(0.0, 5.0),
        feature_weights=(0.0, 1.0),
    ),
}

# Of styles that are added to such a chain, which learn by themselves.
ADDED_STYLES = replace(RECIPES["multistyle"], steps=(800,), learning_rates=(1e-2,))


def defaults_text(name: str, *kinds: str) -> str:
    """Returns the defaults of an option for help texts, as "1 by default, 8 for upscalers"; kinds: all by default."""
    kinds_by_text: dict[str, list[str]] = {}
    for kind in kinds or RECIPES:
        value = getattr(RECIPES[kind], name)
        text = " ".join(f"{each:g}" for each in value) if isinstance(value, tuple) else str(value)
        kinds_by_text.setdefault(text, []).append(RECIPES[kind].plural or f"{kind}s")
    first, *others = kinds_by_text
    return ", ".join([f"{first} by default", *(f"{each} for {' and '.join(kinds_by_text[each])}" for each in others)])
