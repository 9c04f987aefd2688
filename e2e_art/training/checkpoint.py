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

from ..errors import UserError
from ..files import write_atomically

__all__ = ["Checkpoint", "CheckpointError", "load_checkpoint", "save_checkpoint"]

FORMAT = 2  # that of version 0.1, without a number, was not safe to open
STATE, WEIGHTS, BEST, OPTIMIZER = "state", "weights", "best", "optimizer"  # what names of arrays begin with


class CheckpointError(UserError):
    """A checkpoint cannot be used; the message names the file and says what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """What a training's next step depends on.

    state: plain JSON values.  weights: of each stage, by name.  best: of the stages that learn, where a training keeps
    its best weights.  optimizer: what it keeps from step to step, by name; nothing where a phase begins.
    """

    state: dict[str, Any]
    weights: list[dict[str, np.ndarray]]
    best: list[dict[str, np.ndarray]] = field(default_factory=list)
    optimizer: Mapping[str, np.ndarray] = field(default_factory=dict)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint; raises OSError where that cannot be done, and leaves the one before."""
    state = {"format": FORMAT, **checkpoint.state}
    arrays = {STATE: np.frombuffer(json.dumps(state).encode(), np.uint8)}
    for part, stages in ((WEIGHTS, checkpoint.weights), (BEST, checkpoint.best)):
        arrays.update({f"{part}/{n}/{name}": array for n, stage in enumerate(stages) for name, array in stage.items()})
    arrays.update({f"{OPTIMIZER}/{name}": array for name, array in checkpoint.optimizer.items()})
    file = io.BytesIO()
    np.savez(file, **arrays)
    write_atomically(path, file.getvalue())


def load_checkpoint(path: Path) -> Checkpoint:
    """Returns a checkpoint; raises CheckpointError for one that is damaged, or of another version."""
    try:
        with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
            if sum(entry.file_size for entry in file.zip.infolist()) > path.stat().st_size:
                raise ValueError("it unpacks to more than it is")  # and could fill the memory
            state = json.loads(file[STATE].tobytes())
            if state.get("format") != FORMAT:
                raise CheckpointError(_of_another_version(path, state))
            return _read(state, {name: file[name] for name in file.files if name != STATE})
    except CheckpointError:
        raise
    except Exception as error:  # zipfile, numpy and json each have their own kinds for damage
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"{path} is no whole checkpoint ({reason}): delete it to start anew") from error


def _read(state: dict, arrays: Mapping[str, np.ndarray]) -> Checkpoint:
    """Returns a checkpoint of what a file holds; raises ValueError or TypeError for what does not belong there."""
    parts: dict[str, dict[int, dict[str, np.ndarray]]] = {WEIGHTS: {}, BEST: {}}
    optimizer = {}
    for key, array in arrays.items():
        part, _, name = key.partition("/")
        if (part, name) == (OPTIMIZER, "steps"):
            array = array.astype(np.int64, casting="safe")
        elif array.dtype != np.float32 or not np.isfinite(array).all():
            raise ValueError(f"{key} is not of finite numbers in single precision")
        if part == OPTIMIZER:
            optimizer[name] = array
        else:
            stage, _, name = name.partition("/")
            parts[part].setdefault(int(stage), {})[name] = array
    weights, best = ([part[n] for n in range(len(part))] for part in parts.values())
    return Checkpoint({name: value for name, value in state.items() if name != "format"}, weights, best, optimizer)


def _of_another_version(path: Path, state: dict) -> str:
    if "format" in state:
        return f"{path} was written by a later version of e2e-art: install that one, or train anew"
    return (
        f"{path} was written by e2e-art 0.1, which kept its optimizer as a pickle: train anew, or finish it with that "
        "version"
    )
