"""Engines agree: each one computes the same in a process of its own, and the numbers are compared."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT

ENGINES = [name for name in ("mxnet", "torch") if importlib.util.find_spec(name)]

pytestmark = [
    pytest.mark.numerical,
    pytest.mark.slow,
    pytest.mark.skipif(len(ENGINES) < 2, reason="there is but one engine"),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each engine has found, by name."""
    folder, numbers = tmp_path_factory.mktemp("engines"), []
    for engine in ENGINES:
        command = [sys.executable, str(ROOT / "tests" / "engine_values.py"), str(folder / f"{engine}.npz")]
        environment = {**os.environ, "E2E_ART_ENGINE": engine, "PYTHONPATH": str(ROOT)}
        subprocess.run(command, env=environment, check=True, timeout=300)
        with np.load(folder / f"{engine}.npz") as file:
            numbers.append(dict(file))
    return numbers


def distances(found, part: str) -> dict[str, float]:
    """Returns how far the engines are from each other in all that has a part in its name, relative to the first."""
    one, other = found
    assert one.keys() == other.keys()
    named = [name for name in one if part in name]
    assert named and all(np.abs(one[name]).max() > 0 for name in named)
    return {name: float(np.linalg.norm(one[name] - other[name]) / np.linalg.norm(one[name])) for name in named}


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_the_loss_network(found, pooling):
    """Sums of up to 4608 products of single precision, in another order; maxima of almost equal numbers may change."""
    for name, distance in distances(found, f"{pooling} relu").items():
        assert distance < (5e-3 if "max" in pooling and "gradient" in name else 1e-4), name


def test_every_term_of_the_loss(found):
    """Values as near as features are; a gradient is made of differences, whose digits are fewer."""
    for name, distance in distances(found, ": ").items():
        assert distance < (1e-3 if "gradient" in name else 1e-4), name


def test_ten_evaluations_of_an_optimization(found):
    """Each evaluation of L-BFGS begins where the one before has ended, and so they part, by tenths of a percent."""
    for name, distance in distances(found, "totals of").items():
        assert distance < 3e-3, name
