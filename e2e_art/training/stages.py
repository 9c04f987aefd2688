"""What `--stages` names: the arguments of the generators of a chain, by presets or kind by kind."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import OptionError

__all__ = ["AUTOENCODERS", "PRESETS", "RESIDUAL_WEIGHT", "UPSCALERS", "for_each_stage", "stages_of"]

RESIDUAL_WEIGHT = 0.4  # Bing Xu's, where neither a preset nor a kind of generator has another
UPSCALERS = ("compact", "johnson-upscaler")
AUTOENCODERS = ("student", "decoder")
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
    "autoencoder": [{"kind": "student"}, *({"kind": "decoder", "level": level} for level in (1, 2, 3, 4))],
    "johnson-x4": [{"kind": "johnson-upscaler", "norm": "batch", "factor": 4}] * 2,
}


def stages_of(names: str, residual_weights: Sequence[float] = (), norm: str = "instance") -> list[dict]:
    """Returns the generator arguments of each stage.

    names: a preset, or generator kinds with commas between them.  residual_weights: one for all stages, or one each;
    the preset's by default.  Raises OptionError where the numbers of stages and weights differ.
    """
    stages = PRESETS.get(names) or [{"kind": kind.strip()} for kind in names.split(",")]
    default = [1.0 if stage["kind"] in (*UPSCALERS, *AUTOENCODERS) else RESIDUAL_WEIGHT for stage in stages]
    own = [stage.get("residual_weight", weight) for stage, weight in zip(stages, default)]
    weights = for_each_stage("--residual-weight", residual_weights or own, len(stages))
    return [{"norm": norm, **stage, "residual_weight": weight} for stage, weight in zip(stages, weights)]


def for_each_stage(flag: str, values: Sequence, count: int) -> tuple:
    """Returns one value for each stage; raises OptionError where neither one was given nor as many as stages."""
    if len(values) not in (1, count):
        each = f"one number for all {count} stages, or {count}" if count > 1 else "one number, as there is one stage"
        raise OptionError(f"{flag} takes {each}, not {len(values)}")
    return tuple(values) * (count if len(values) == 1 else 1)
