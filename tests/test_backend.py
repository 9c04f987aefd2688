"""Which engine is chosen, and what is said where there is none; MXNet is imported with numpys old and new."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from e2e_art.engines import choice
from e2e_art.engines.choice import EngineError, choose

needs_torch = pytest.mark.skipif(not find_spec("torch"), reason="no PyTorch: pip install 'e2e-art[torch]' brings it")
needs_mxnet = pytest.mark.skipif(not find_spec("mxnet"), reason="no MXNet: pip install 'e2e-art[mxnet]' brings it")
WITHOUT = "import sys; sys.modules.update(dict.fromkeys({}))\n"  # code that runs first where these are not installed
WITHOUT_MXNET = WITHOUT.format(["mxnet"])
PAINT = """
import numpy as np
from e2e_art import load
picture = load(sys.argv[1], engine="onnx")(np.full((7, 5, 3), 99, np.uint8))
assert picture.shape == (7, 5, 3) and picture.dtype == np.uint8
"""


# Which engine


@pytest.fixture
def unchosen(monkeypatch):
    """A process that has not chosen yet, and sees those engines alone that it is told to see."""
    monkeypatch.setattr(choice, "_choice", "")
    monkeypatch.delenv("E2E_ART_ENGINE", raising=False)

    def sees(*engines: str, generation: int | None = None) -> None:
        monkeypatch.setattr(choice, "find_spec", lambda name: name if name in engines else None)
        packages = {} if generation is None else {"mxnet-cu112": "1.9.1"}
        monkeypatch.setattr(choice, "version", lambda name: packages[name])
        monkeypatch.setattr(choice, "PackageNotFoundError", KeyError)
        monkeypatch.setattr(choice, "_generation", lambda number: generation)

    return sees


@pytest.mark.parametrize(
    "engines, asked, gpus, generation, expected",
    [
        (("mxnet", "torch"), "auto", None, None, "mxnet"),
        (("mxnet", "torch"), "torch", None, None, "torch"),
        (("torch",), "auto", None, None, "torch"),
        (("mxnet", "torch"), "auto", "0", None, "torch"),  # MXNet's build for processors
        (("mxnet", "torch"), "auto", "0,1", 8, "mxnet"),  # Ada
        (("mxnet", "torch"), "auto", "0", 9, "torch"),  # Hopper
        (("mxnet", "torch"), "auto", "mps", 8, "torch"),
        (("mxnet",), "auto", "0", 9, "mxnet"),  # which then says what it lacks
    ],
)
def test_auto_takes_mxnet_where_it_can_compute(unchosen, engines, asked, gpus, generation, expected):
    unchosen(*engines, generation=generation)
    assert choose(asked, gpus) == expected == choice.chosen()


def test_the_environment_says_what_auto_takes(unchosen, monkeypatch):
    unchosen("mxnet", "torch")
    monkeypatch.setenv("E2E_ART_ENGINE", "jax")
    with pytest.raises(choice.OptionError, match="unknown E2E_ART_ENGINE 'jax': choose auto, mxnet or torch"):
        choose()
    monkeypatch.setenv("E2E_ART_ENGINE", "torch")
    assert choose("auto") == "torch"
    with pytest.raises(EngineError, match="This process computes with torch already: choose mxnet in a new one"):
        choose("mxnet")


def test_an_empty_variable_is_as_good_as_none(unchosen, monkeypatch):
    unchosen("mxnet", "torch")
    monkeypatch.setenv("E2E_ART_ENGINE", "")
    assert choose() == "mxnet"


@pytest.mark.parametrize(
    "engines, asked, said",
    [
        ((), "auto", "Neither PyTorch nor MXNet is installed in .*: pip install 'e2e-art.torch.', or 'e2e-art.mxnet.'"),
        (("torch",), "mxnet", "MXNet is not installed in .*: pip install 'e2e-art.mxnet.'.* Python 3.9 to 3.12"),
        (("mxnet",), "torch", "PyTorch is not installed in .*: pip install 'e2e-art.torch.'"),
    ],
)
def test_what_is_not_installed_is_said_in_a_sentence(unchosen, engines, asked, said):
    unchosen(*engines)
    with pytest.raises(EngineError, match=said):
        choose(asked)


def test_commands_that_need_an_engine_say_so(fresh_python, tmp_path):
    code = WITHOUT.format(["mxnet", "torch"]) + "from e2e_art.commands.main import main; sys.exit(main(sys.argv[1:]))"
    done = fresh_python(code, "compare", tmp_path / "photo.jpg", fails=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"e2e-art: Neither PyTorch nor MXNet is installed in {sys.prefix}: pip install")


# numpy


@needs_mxnet
def test_numpy_answers_the_names_that_mxnet_asks_for():
    from e2e_art.engines.mxnet import mx

    assert mx.__version__.startswith("1.9")
    for name, kind in [("bool", bool), ("int", int), ("float", float), ("object", object), ("str", str)]:
        assert getattr(np, name) is kind
    assert np.PINF == np.Inf == np.inf and -np.inf == np.NINF
    assert np.isnan(np.NaN) and np.isnan(np.NAN)
    assert np.copysign(1, np.PZERO) == 1 and np.copysign(1, np.NZERO) == -1


@needs_mxnet
def test_numpy_still_does_not_know_other_names():
    import e2e_art.engines.mxnet  # noqa: F401

    with pytest.raises(AttributeError, match="no_such_name"):
        np.no_such_name  # noqa: B018
    assert not hasattr(np, "no_such_name")


@needs_mxnet
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


@needs_mxnet
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


@needs_mxnet
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
    assert said.startswith("EngineError")
    assert "not installed" in said and "'e2e-art[mxnet]'" in said


@needs_mxnet
def test_a_missing_distutils_is_told_from_a_missing_mxnet(fresh_python):
    done = fresh_python(WITHOUT.format(["distutils"]) + "import e2e_art.engines.mxnet", fails=True)
    assert done.returncode != 0
    assert "EngineError: MXNet needs distutils" in done.stderr


# PyTorch is also what others compute with


@needs_torch
def test_painting_by_pytorch_goes_by_no_defaults_of_others_and_leaves_them(fresh_python, published):
    code = """
import sys, torch
import numpy as np
from e2e_art import load
picture = np.random.RandomState(0).randint(0, 256, (7, 5, 3), np.uint8)
expected = load(sys.argv[1], engine="torch")(picture)
torch.set_default_dtype(torch.float64)
torch.set_default_device("meta")
with torch.inference_mode():
    painter = load(sys.argv[1], engine="torch")
    np.testing.assert_array_equal(painter(picture), expected)
np.testing.assert_array_equal(painter(picture), expected)
assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float64
assert torch.get_default_device().type == "meta"
"""
    fresh_python(code, published)


# Devices and threads


def test_devices_are_the_cpu_unless_asked_otherwise():
    from e2e_art.engines.gluon import cpu, devices

    assert devices() == devices("") == [cpu()]
    assert len(devices(None, cpus=2)) == 2


@pytest.mark.parametrize("gpus, wrong", [("-1", "-1"), ("99", "99"), ("-1,0", "-1"), ("-2,99", "-2")])
def test_a_gpu_that_is_not_there_is_refused(gpus, wrong):
    from e2e_art.engines.gluon import NAME, devices

    with pytest.raises(EngineError, match=f"GPU {wrong} was asked for, but {NAME} finds .*: leave the flag out"):
        devices(gpus)


@pytest.mark.parametrize("gpus", ["x", "0,", "0;1", "0.5"])
def test_what_is_no_list_of_gpus_is_refused(gpus):
    from e2e_art.engines.gluon import devices

    with pytest.raises(EngineError, match=f"'{gpus}' is no list of GPU numbers: write 0 or 0,1"):
        devices(gpus)


@needs_mxnet
def test_the_gpu_of_a_mac_is_no_business_of_mxnet():
    from e2e_art.engines.mxnet import devices

    with pytest.raises(EngineError, match="MXNet has no code for the GPU of a Mac: take --engine torch"):
        devices("mps")


@needs_mxnet
@pytest.mark.parametrize("given", [None, "3"])
def test_all_cores_work_unless_told_otherwise(fresh_python, given):
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    code = 'import os, e2e_art.engines.mxnet; print(os.environ["OMP_NUM_THREADS"])'
    assert fresh_python(code, OMP_NUM_THREADS=given).stdout.strip() == (given or str(cores))
