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

# How far the engines may be apart, relative to the first, in what has such a part in its name.
BOUNDS = {
    "relu": 1e-4,  # sums of up to 4608 products of single precision, in another order
    "relu, gradient": 5e-3,  # of two almost equal numbers, another one may be the largest of a pooling
    "term": 1e-4,
    "term, gradient": 1e-3,  # which is made of differences, so that its digits are fewer
    "totals": 3e-3,  # each evaluation of L-BFGS begins where the one before ended, and so they part
}


def test_engines_agree(tmp_path):
    numbers = []
    for engine in ENGINES:
        command = [sys.executable, str(ROOT / "tests" / "engine_values.py"), str(tmp_path / f"{engine}.npz")]
        environment = {**os.environ, "E2E_ART_ENGINE": engine, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        subprocess.run(command, env=environment, check=True, timeout=300)
        with np.load(tmp_path / f"{engine}.npz") as file:
            numbers.append(dict(file))
    one, other = numbers
    assert one.keys() == other.keys()
    kinds = {name.rpartition(": ")[0] for name in one}
    assert kinds == set(BOUNDS)
    for name, values in one.items():
        norm, distance = np.linalg.norm(values), np.linalg.norm(values - other[name])
        assert norm > 0 and distance < BOUNDS[name.rpartition(": ")[0]] * norm, name
