"""The door to MXNet: it opens on numpys old and new, stays shut where it is not needed, and says why it cannot open."""

import os

import numpy as np
import pytest

# Code that runs first in an interpreter where MXNet is not installed.
WITHOUT_MXNET = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "mxnet":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""
PAINT = """
import numpy as np
from e2e_art import load
picture = load(sys.argv[1], engine="onnx")(np.full((7, 5, 3), 99, np.uint8))
assert picture.shape == (7, 5, 3) and picture.dtype == np.uint8
"""


# numpy


def test_numpy_answers_the_names_that_mxnet_asks_for():
    from e2e_art.engines.mxnet import mx

    assert mx.__version__.startswith("1.9")
    for name, kind in [("bool", bool), ("int", int), ("float", float), ("object", object), ("str", str)]:
        assert getattr(np, name) is kind
    assert np.PINF == np.Inf == np.inf and -np.inf == np.NINF
    assert np.isnan(np.NaN) and np.isnan(np.NAN)
    assert np.copysign(1, np.PZERO) == 1 and np.copysign(1, np.NZERO) == -1


def test_numpy_still_does_not_know_other_names():
    import e2e_art.engines.mxnet  # noqa: F401

    with pytest.raises(AttributeError, match="no_such_name"):
        np.no_such_name  # noqa: B018
    assert not hasattr(np, "no_such_name")


def test_what_numpy_answered_itself_it_answers_as_before(fresh_python):
    code = """
import numpy as np, warnings
warnings.simplefilter("ignore")

def answers():
    for name in ("linalg", "float64", "testing", "Tester", "core", "no_such_name"):
        try:
            yield name, getattr(np, name)
        except Exception as error:  # numpy has its own words for some names that it dropped
            yield name, (type(error), str(error))

before = dict(answers())
import e2e_art.engines.mxnet
assert dict(answers()) == before
"""
    fresh_python(code)


def test_mxnet_imports_and_a_convolution_computes(fresh_python):
    code = """
from e2e_art.engines.mxnet import mx
x, kernel = mx.nd.arange(16).reshape((1, 1, 4, 4)), mx.nd.ones((1, 1, 3, 3))
kernel.attach_grad()
with mx.autograd.record():
    y = mx.nd.Convolution(x, kernel, kernel=(3, 3), num_filter=1, no_bias=True)
y.backward()
print(y.asnumpy().ravel().tolist(), kernel.grad.asnumpy().ravel().tolist())
"""
    # Sums over squares of nine: 9 times the middle one.  Each of the kernel's weights sees a square of four.
    expected = f"{[45.0, 54.0, 81.0, 90.0]} {[10.0, 14.0, 18.0, 26.0, 30.0, 34.0, 42.0, 46.0, 50.0]}"
    assert fresh_python(code).stdout.strip() == expected


def test_a_numpy_that_has_the_names_is_left_alone(fresh_python):
    code = """
import math, numpy as np
names = dict(bool=bool, int=int, float=float, complex=complex, object=object, str=str, PZERO=0.0, NZERO=-0.0)
names.update(PINF=math.inf, NINF=-math.inf, Inf=math.inf, Infinity=math.inf, infty=math.inf, NaN=math.nan, NAN=math.nan)
for name, value in names.items():
    setattr(np, name, value)  # as numpy 1.23 has them
answering = getattr(np, "__getattr__", None)
from e2e_art.engines.mxnet import mx
assert getattr(np, "__getattr__", None) is answering
assert mx.nd.ones(3).sum().asscalar() == 3
"""
    fresh_python(code)


# What needs no MXNet does not load it


def test_importing_and_painting_by_onnx_leave_mxnet_alone(fresh_python, published):
    code = """
import sys
import e2e_art, e2e_art.images.io, e2e_art.models.folder, e2e_art.painting.photo, e2e_art.commands.main
assert "mxnet" not in sys.modules, "imported by an import"
"""
    fresh_python(code + PAINT + 'assert "mxnet" not in sys.modules, "imported by painting"', published)


def test_without_mxnet_onnx_paints_and_the_other_engine_says_what_to_install(fresh_python, published):
    code = """
from e2e_art.errors import UserError
try:
    load(sys.argv[1], engine="mxnet")
except UserError as error:
    print(type(error).__name__, error)
"""
    said = fresh_python(WITHOUT_MXNET + PAINT + code, published).stdout
    assert said.startswith("EngineError MXNet is not installed")
    assert "pip install 'e2e-art[train]'" in said


def test_a_missing_distutils_is_told_from_a_missing_mxnet(fresh_python):
    code = WITHOUT_MXNET.replace('"mxnet"', '"distutils"') + "import e2e_art.engines.mxnet"
    done = fresh_python('import sys; sys.modules.pop("distutils", None)\n' + code, fails=True)
    assert done.returncode != 0
    assert "EngineError: MXNet needs distutils" in done.stderr


# Devices and threads


def test_contexts_are_the_cpu_unless_asked_otherwise():
    from e2e_art.engines.mxnet import contexts, mx

    assert contexts() == contexts("") == [mx.cpu(0)]
    assert contexts(None, cpus=2) == [mx.cpu(0), mx.cpu(1)]


@pytest.mark.parametrize("gpus", ["0", "0,1", "-1"])
def test_a_gpu_that_is_not_there_is_refused(gpus):
    from e2e_art.engines.mxnet import EngineError, contexts, mx

    try:
        found = mx.context.num_gpus()
    except mx.MXNetError:
        found = 0
    if found and gpus != "-1":
        pytest.skip("here is a GPU that MXNet can use")
    with pytest.raises(EngineError, match=rf"GPU {gpus.split(',')[0]} was asked for.*leave the flag out"):
        contexts(gpus)


@pytest.mark.parametrize("gpus", ["x", "0,", "0;1", "0.5"])
def test_what_is_no_list_of_gpus_is_refused(gpus):
    from e2e_art.engines.mxnet import EngineError, contexts

    with pytest.raises(EngineError, match=f"'{gpus}' is no list of GPU numbers: write 0 or 0,1"):
        contexts(gpus)


@pytest.mark.parametrize("given", [None, "3"])
def test_all_cores_work_unless_told_otherwise(fresh_python, given):
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    code = 'import os, e2e_art.engines.mxnet; print(os.environ["OMP_NUM_THREADS"])'
    assert fresh_python(code, OMP_NUM_THREADS=given).stdout.strip() == (given or str(cores))
