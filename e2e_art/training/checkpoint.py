"""One file with everything that a training's next step depends on: arrays and JSON, whole at any moment.

Nothing in it is ever run: a checkpoint from a stranger can be used, or refused in one sentence.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError, reason_of
from ..files import load_arrays, parse_json, read_file, write_atomically

__all__ = ["Checkpoint", "CheckpointError", "load_checkpoint", "save_checkpoint"]

FORMAT = 2  # that of version 0.1, without a number, was not safe to open
MOST_BYTES = 2**29  # of a file


class CheckpointError(UserError):
    """A checkpoint cannot be used; the message names the file and says what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """What a training's next step depends on.

    state: plain JSON values.  weights: of each stage, by name.  best: of the stages that learn, where a training keeps
    its best weights.  optimizer: what it keeps from step to step, by name; nothing where a phase begins.
    critic: likewise, where there is one.
    """

    state: dict[str, Any]
    weights: list[dict[str, np.ndarray]]
    best: list[dict[str, np.ndarray]] = field(default_factory=list)
    optimizer: Mapping[str, np.ndarray] = field(default_factory=dict)
    critic: Mapping[str, np.ndarray] = field(default_factory=dict)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint; raises OSError where that cannot be done, and leaves the one before."""
    state = {"format": FORMAT, **checkpoint.state}
    arrays = {"state": np.frombuffer(json.dumps(state).encode(), np.uint8)}
    for part, stages in (("weights", checkpoint.weights), ("best", checkpoint.best)):
        arrays.update({f"{part}/{n}/{name}": array for n, stage in enumerate(stages) for name, array in stage.items()})
    for part, kept in (("optimizer", checkpoint.optimizer), ("critic", checkpoint.critic)):
        arrays.update({f"{part}/{name}": array for name, array in kept.items()})
    file = io.BytesIO()
    np.savez(file, **arrays)
    write_atomically(path, file.getvalue())


def load_checkpoint(path: Path) -> Checkpoint:
    """Returns a checkpoint; raises CheckpointError for one that is damaged, or of another version."""
    try:
        content = read_file(path, MOST_BYTES)
        arrays = load_arrays(content, len(content))
        state = parse_json(arrays.pop("state").tobytes())
        version = state.pop("format", None)
        if version == FORMAT:
            return _read(state, arrays)
    except Exception as error:  # zipfile, numpy and json each have their own kinds for damage
        raise CheckpointError(f"{path} is no whole checkpoint ({reason_of(error)}): delete it to start anew") from error
    if version is not None:
        raise CheckpointError(f"{path} was written by a later version of e2e-art: install that one, or train anew")
    raise CheckpointError(
        f"{path} was written by e2e-art 0.1, which kept its optimizer as a pickle: train anew, or finish it with that "
        "version"
    )


def _read(state: dict, arrays: Mapping[str, np.ndarray]) -> Checkpoint:
    """Returns a checkpoint of what a file holds; raises ValueError or TypeError for what does not belong there."""
    stages: dict[str, dict[int, dict[str, np.ndarray]]] = {"weights": {}, "best": {}}
    kept: dict[str, dict[str, np.ndarray]] = {"optimizer": {}, "critic": {}}
    for key, array in arrays.items():
        part, _, name = key.partition("/")
        if key in ("optimizer/steps", "critic/optimizer/steps"):
            array = array.astype(np.int64, casting="safe")
        elif array.dtype != np.float32 or not np.isfinite(array).all():
            raise ValueError(f"{key} is not of finite numbers in single precision")
        if part in kept:
            kept[part][name] = array
        else:
            stage, _, name = name.partition("/")
            stages[part].setdefault(int(stage), {})[name] = array
    weights, best = ([each[n] for n in range(len(each))] for each in stages.values())
    return Checkpoint(state, weights, best, **kept)
