"""One file with everything that a training's next step depends on, whole at any moment."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..files import write_atomically

__all__ = ["CheckpointError", "load_checkpoint", "optimizer_state", "restore_optimizer", "save_checkpoint"]

STATE, OPTIMIZER = "state", "optimizer"


class CheckpointError(UserError):
    """A checkpoint cannot be used; the message names the file and says what to do."""


def save_checkpoint(path: Path, state: dict, weights: list[dict[str, np.ndarray]], optimizer: bytes) -> None:
    """Writes a checkpoint.

    state: plain JSON values.  weights: of each stage, by name.  optimizer: its memory, as its trainer saves it.
    """
    arrays = {f"{index}/{name}": weight for index, stage in enumerate(weights) for name, weight in stage.items()}
    arrays[STATE] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    arrays[OPTIMIZER] = np.frombuffer(optimizer, np.uint8)
    file = io.BytesIO()
    np.savez(file, **arrays)
    write_atomically(path, file.getvalue())


def load_checkpoint(path: Path) -> tuple[dict, list[dict[str, np.ndarray]], bytes]:
    """Returns state, weights and optimizer of a checkpoint; raises CheckpointError for a damaged one."""
    weights: dict[int, dict[str, np.ndarray]] = {}
    try:
        with np.load(path) as file:
            state = json.loads(file[STATE].tobytes())
            optimizer = file[OPTIMIZER].tobytes()
            for key in file.files:
                stage, _, name = key.partition("/")
                if name:
                    weights.setdefault(int(stage), {})[name] = file[key]
    except Exception as error:  # zipfile, numpy and json each have their own kinds for damage
        raise CheckpointError(f"{path} is no whole checkpoint ({error}): delete it to start anew") from error
    return state, [weights[stage] for stage in sorted(weights)], optimizer


def optimizer_state(trainer) -> bytes:
    """Returns what the optimizer of a Gluon trainer remembers: Adam's moments and step counts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimizer"
        trainer.save_states(str(path))
        return path.read_bytes()


def restore_optimizer(trainer, memory: bytes) -> None:
    """Gives an optimizer its memory back."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimizer"
        path.write_bytes(memory)
        trainer.load_states(str(path))
