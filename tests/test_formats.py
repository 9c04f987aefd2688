"""Models of every format that was ever written: they paint as they always have, and `--upgrade` changes no number."""

from pathlib import Path

import numpy as np
import pytest
from helpers import pixels
from skimage import data

import e2e_art
from e2e_art.models.folder import model_folders, read_model

PAINTED = Path(__file__).parent / "data" / "painted"  # by shipped models, with onnxruntime, as they were in format 1


def sample(model, engine: str = "onnx") -> np.ndarray:
    """Returns what a model makes of a face, of a drawing of squares, or of seed 7, in 96x64 pixels: int (64, 96, 3)."""
    if model.kind.paints_photos:
        return e2e_art.load(model, engine)(data.astronaut()[0:256:4, 60:444:4]).astype(int)
    if not model.kind.paints_regions:
        return e2e_art.load_texture(model, engine)(64, 96, seed=7).astype(int)
    colors = [bytes.fromhex(entry["color"][1:]) for entry in model.record["palette"]]
    y, x = np.mgrid[:64, :96]
    drawing = np.array([list(color) for color in colors], np.uint8)[(x // 24 + y // 16) % len(colors)]
    return e2e_art.load_doodle(model, engine)(drawing, seed=7).astype(int)


def assert_unchanged(model, name: str, engine: str = "onnx") -> None:
    """Compares what a model paints with what was stored.

    A number that lies next to a half is rounded up by one processor and down by another, and so by another engine:
    MXNet's paintings differ from onnxruntime's in 1 level of 1 in 10,000 numbers.
    """
    difference = np.abs(sample(model, engine) - pixels(PAINTED / f"{name}.png"))
    assert difference.max() <= 2
    assert (difference > 1).sum() <= 10  # of 18,432
    assert (difference > 0).mean() <= 0.01


@pytest.mark.numerical
@pytest.mark.parametrize("engine", ["onnx", "mxnet"])
@pytest.mark.parametrize("folder", [pytest.param(path, id=path.name) for path in model_folders()])
def test_a_shipped_model_paints_as_it_always_has(folder, engine):
    assert_unchanged(read_model(folder), folder.name, engine)
