"""MXNet as an engine, and the only module that imports it: see engines/operators.py.

MXNet 1.9.1 was published in 2022 and expects names that numpy has since dropped, and on GPUs libraries that today come
as wheels; both are put in place here, before ``import mxnet``.
"""

from __future__ import annotations

import ctypes
import logging
import math
import os
import platform
import site
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageFile

from ..machine import bfloat16_is_fast, cores, processor_flags
from .choice import EngineError, gpus_among, not_installed
from .functional import given
from .recording import recorder_of

__all__ = ["NAME", "VERSION", "Block", "HybridBlock", "Parameter", "array", "assign", "autograd", "cpu", "device_of"]
__all__ += ["devices", "has_bfloat16", "name_of", "nd", "one_by_one", "recorded", "to_device", "to_numpy"]
__all__ += ["zoo_convolutions"]

NAME = "MXNet"

log = logging.getLogger(__name__)

# What MXNet 1.9.1 still asks of numpy, and what it means today.
_NUMPY_NAMES: dict[str, object] = {kind.__name__: kind for kind in (bool, int, float, complex, object, str)}
_NUMPY_NAMES |= dict(PZERO=0.0, NZERO=-0.0, PINF=math.inf, NINF=-math.inf, NaN=math.nan, NAN=math.nan)
_NUMPY_NAMES |= dict.fromkeys(("Inf", "Infinity", "infty"), math.inf)
# Functions that numpy dropped altogether: MXNet lists them but style transfer never calls them.
_NUMPY_NAMES |= dict.fromkeys(("fv", "ipmt", "irr", "mirr", "nper", "npv", "pmt", "ppmt", "pv", "rate", "alltrue"))

# Loaded in this order, each one finds those it depends on already in the process.
_CUDA = ("cudart", "nvrtc", "cublasLt", "cublas", "cufft", "curand", "cusolver", "nccl", "nvToolsExt", "cudnn")


def _preload_cuda_libraries() -> None:
    """Loads the nvidia-*-cu11 wheels, where they are installed, so that mxnet-cu112 finds its libraries."""
    folders = [Path(folder) for folder in site.getsitepackages() + [site.getusersitepackages()]]
    for name in _CUDA:
        for folder in folders:
            for library in sorted(folder.glob(f"nvidia/*/lib/lib{name}.so.*")):
                try:
                    ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
                except OSError as error:
                    log.debug("%s could not be loaded: %s", library, error)  # MXNet will say which it misses


def _use_matrix_units() -> None:
    """Opens the matrix units (AMX) of Intel's processors: bfloat16 convolutions are ten times as fast there.

    Linux grants them to a process that asks, and MXNet's oneDNN takes them where the environment says so; without the
    grant it would crash.
    """
    if platform.machine() == "x86_64" and "amx_bf16" in processor_flags():
        denied = ctypes.CDLL(None).syscall(158, 0x1023, 18)  # arch_prctl: request the state of the matrix units
        if not denied:
            os.environ.setdefault("DNNL_MAX_CPU_ISA", "AVX512_CORE_AMX")


def _import_mxnet():
    os.environ.setdefault("OMP_NUM_THREADS", str(cores()))  # by default MXNet takes half, as if of hyperthreads
    _use_matrix_units()
    _preload_cuda_libraries()
    for name, value in _NUMPY_NAMES.items():
        vars(np).setdefault(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mxnet
    except ModuleNotFoundError as error:
        if str(error.name).startswith("distutils"):
            fix = "MXNet needs distutils, which setuptools brings: pip install 'setuptools<81'"
            raise EngineError(fix) from error
        raise not_installed("mxnet") from error
    except OSError as error:
        raise EngineError(f"MXNet could not load one of its libraries: {error}") from error
    return mxnet


mx = _import_mxnet()
VERSION = mx.__version__


# Devices and arrays.


def cpu():
    """Returns the processor as a device."""
    return mx.cpu()


def devices(gpus: str | int | None = None, cpus: int = 1) -> list:
    """Returns the devices to work on; raises EngineError where a GPU is asked for that MXNet cannot use.

    gpus: GPU numbers as the command line gives them, 0 or "0,1"; None means the CPU.
    cpus: how many CPU devices to return where no GPU is asked for; they share the cores.
    """
    if gpus in (None, ""):
        return [mx.cpu(i) for i in range(cpus)]
    if gpus == "mps":
        raise EngineError("MXNet has no code for the GPU of a Mac: take --engine torch, or leave the flag out")
    found = 0
    with suppress(mx.MXNetError):
        found = mx.context.num_gpus()
    fix = ", install 'e2e-art[gpu]' (mxnet-cu112, for Pascal to Ada cards), or take --engine torch"
    return [mx.gpu(number) for number in gpus_among(found, gpus, NAME, fix)]


def name_of(device) -> str:
    """Returns what a device is, for records: "CPU" or "GPU"."""
    return device.device_type.upper()


def array(values, device=None, dtype=np.float32):
    """Returns an array of numbers on a device, the CPU by default."""
    return mx.nd.array(values, ctx=device, dtype=dtype)


def to_numpy(x) -> np.ndarray:
    """Returns the numbers of an array."""
    return x.asnumpy()


def device_of(x):
    """Returns the device that an array lies on."""
    return x.context


def to_device(x, device):
    """Returns an array on a device: itself where it lies there."""
    return x.as_in_context(device)


def assign(x, values) -> None:
    """Overwrites an array with an array or numbers of its shape, wherever they lie."""
    if isinstance(values, mx.nd.NDArray):
        values.copyto(x)
    else:
        x[:] = values


def has_bfloat16(on: Sequence) -> bool:
    """Returns whether bfloat16 is fast on all of these devices."""
    return bfloat16_is_fast() and all(name_of(device) == "CPU" for device in on)


def one_by_one(function, *batches):
    """Returns what a function makes of batches, (N, ...) each: an array, or a list of arrays, each again a batch.

    It is given one picture after the other: MXNet's instance normalization and bfloat16 products know single ones only.
    """
    if len(batches[0]) == 1:
        return function(*batches)
    results = [function(*(batch[n : n + 1] for batch in batches)) for n in range(len(batches[0]))]
    if isinstance(results[0], (list, tuple)):
        return [mx.nd.concat(*parts, dim=0) for parts in zip(*results)]
    return mx.nd.concat(*results, dim=0)


def recorded(function: Callable, state: Sequence) -> Callable:
    """Returns a function of arrays, ready to be called again and again: here as it is, see engines/torch.py."""
    return function


class autograd:
    """What gradients flow through: `with autograd.record():`; and whether batch norm takes the statistics at hand."""

    record, pause = mx.autograd.record, mx.autograd.pause
    train_mode, predict_mode = mx.autograd.train_mode, mx.autograd.predict_mode

    @staticmethod
    def backward(arrays: Sequence, wanted: Sequence) -> None:
        """Computes the gradients of the sum of arrays to what is wanted: parameters, or watched arrays."""
        mx.autograd.backward(list(arrays))  # to all that they were made of

    @staticmethod
    def watch(x):
        """Lets an array have a gradient, which `gradient` returns after `backward`."""
        x.attach_grad()
        return x

    @staticmethod
    def gradient(x):
        """Returns what `backward` has computed for a watched array."""
        return x.grad


def zoo_convolutions(name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns weights and biases of the convolutions of a network of gluoncv's model zoo, which downloads it."""
    try:
        zoo = model_zoo().get_model(name, pretrained=True)
    except ImportError as error:
        raise EngineError(f"gluoncv is not installed, zoo:{name} needs it: pip install gluoncv") from error
    except Exception as error:  # the zoo lets requests', urllib3's and its own errors through
        raise EngineError(
            f"gluoncv could not download {name} ({error}): check the network, or train with the shipped vgg19"
        ) from error
    convolutions = [block for block in zoo.features if isinstance(block, mx.gluon.nn.Conv2D)]
    return [(to_numpy(each.weight.data()), to_numpy(each.bias.data())) for each in convolutions]


def model_zoo():
    """Imports gluoncv's model zoo, without what it does to others; raises ImportError where it is not installed."""
    modules: dict[str, Any] = sys.modules
    unseen = {"torch"} - modules.keys()
    modules |= dict.fromkeys(unseen)  # gluoncv looks for PyTorch, and ends where it finds one of today
    try:
        from gluoncv import model_zoo
    finally:
        for name in unseen:
            del modules[name]
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # gluoncv sets it: damaged photos would be read
    return model_zoo


# Operators.


class _Operators:
    """MXNet's operators, for arrays or for symbols, and those of engines/operators.py that are ours."""

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name: str):
        return getattr(self._module, name)

    def to_bfloat16(self, x):
        """Casts to bfloat16; the gradient comes back in float32."""
        return self._module.amp_cast(x, dtype=np.dtype([("bfloat16", np.uint16)]))

    def to_float32(self, x):
        return self._module.amp_cast(x, dtype="float32")

    def indices(self, x, begin: int, end: int):
        """Returns whole numbers where an array lies; exact up to 2^24, as they are float32."""
        return mx.nd.arange(begin, end, ctx=x.context)

    def instance_norm(self, x, gamma, beta, mean, variance, eps: float):
        """Batch normalization of one picture, in training mode: 5 to 25 times cheaper than the InstanceNorm operator.

        mean, variance: constants (C,), the running statistics that the operator insists on; momentum 1 leaves them.
        """
        return self._module.BatchNorm(x, gamma, beta, mean, variance, fix_gamma=False, eps=eps, momentum=1.0)

    def upsample_bilinear(self, x, like, channels: int, factor: int):
        """Upsampling as a deconvolution: of maps with replicate padding, as it begins in the middle of a cell."""
        F = self._module
        line = 1 - F.abs(F.arange(0, 2 * factor) - (factor - 0.5)) / factor
        kernel = F.broadcast_mul(F.reshape(line, shape=(1, 1, -1, 1)), F.reshape(line, shape=(1, 1, 1, -1)))
        kernel = F.broadcast_axis(kernel, axis=0, size=channels)  # (C, 1, 2 factor, 2 factor)
        x = F.Pad(x, mode="edge", pad_width=(0, 0, 0, 0, 1, 1, 1, 1))
        window = dict(kernel=(2 * factor,) * 2, stride=(factor,) * 2, pad=(factor // 2 + factor,) * 2)
        return F.Deconvolution(x, kernel, num_filter=channels, num_group=channels, no_bias=True, **window)

    def row_products(self, x, y, channels: int | None = None):
        """Returns x y^T, (N, K, C) of x (N, K, M) and y (N, C, M); given C, in bfloat16, of one picture, N = 1."""
        F = self._module
        if channels is None:
            return F.batch_dot(x, y, transpose_b=True)
        x, y = (self.to_bfloat16(F.reshape(rows, shape=(-3, 0))) for rows in (x, y))  # `batch_dot` does not support it
        product = F.FullyConnected(x, y, num_hidden=channels, no_bias=True)
        return F.expand_dims(self.to_float32(product), axis=0)

    def channels_and_pixels(self, x) -> tuple:
        """Returns C and H W of features (N, C, H, W), to multiply arrays with by `broadcast_mul`."""
        F = self._module
        shape = F.cast(F.shape_array(x), dtype="float32")
        channels, height, width = (F.slice_axis(shape, axis=0, begin=axis, end=axis + 1) for axis in (1, 2, 3))
        return channels, height * width


nd, _sym = _Operators(mx.nd), _Operators(mx.sym)
_OPERATORS = {mx.nd: nd, mx.sym: _sym}


# Blocks.


class Parameter(mx.gluon.Parameter):  # type: ignore[name-defined]
    """Numbers that a block learns, or is given.

    init: "zeros", "ones", or None for weights that are drawn.
    """

    @property
    def learns(self) -> bool:
        return self.grad_req != "null"

    def set_data(self, data) -> None:
        """Sets the numbers on every device."""
        super().set_data(mx.nd.array(data))


class Block(mx.gluon.Block):  # type: ignore[name-defined]
    """A Gluon block whose parameters go by their place in it."""

    def named_parameters(self) -> dict[str, Parameter]:
        """Returns its parameters by their place in it ("body.0.0.weight"): so files name them."""
        found = self._collect_params_with_prefix()
        return {name: each for name, each in found.items() if not isinstance(each, mx.gluon.Constant)}

    def initialize(self, on: Sequence | None = None) -> None:
        """Gives every parameter its first numbers, on some devices; those that are to be drawn are 0."""
        super().initialize(mx.init.Zero(), ctx=list(on or [mx.cpu()]))

    def hybridize(self, active: bool = True, **options) -> None:
        """Lets MXNet compile the block when it is called first."""
        super().hybridize(active, **{**options, "static_alloc": active})

    def collect_params(self, select=None):
        all_of_them = self._collect_params_with_prefix().values()
        constants = [each for each in all_of_them if isinstance(each, mx.gluon.Constant)]
        found = mx.gluon.ParameterDict()
        found.update({each.name: each for each in [*self.named_parameters().values(), *constants]})
        return found


class HybridBlock(Block, mx.gluon.HybridBlock):  # type: ignore[name-defined]
    """A block written once for arrays, symbols and `engines/onnx.py`: `hybrid_forward(self, F, *inputs, **parameters)`.

    F: the operators of engines/operators.py.
    """

    def __init_subclass__(cls) -> None:
        if own := vars(cls).get("hybrid_forward"):

            def hybrid_forward(self, F, *inputs, **parameters):
                return own(self, _OPERATORS.get(F, F), *inputs, **parameters)

            cls.hybrid_forward = hybrid_forward

    def __call__(self, *inputs):
        if recorder := recorder_of(inputs):
            parameters = {name: recorder.parameter(each) for name, each in self._reg_params.items()}
            return self.hybrid_forward(recorder, *inputs, **parameters)
        if values := {name: value for name, each in self._reg_params.items() if (value := given(each)) is not None}:
            symbolic = isinstance(inputs[0], mx.sym.Symbol)
            for name, each in self._reg_params.items():
                if name not in values:
                    values[name] = each.var() if symbolic else each.data(inputs[0].context)
            return self.hybrid_forward(mx.sym if symbolic else mx.nd, *inputs, **values)
        return super().__call__(*inputs)

    def parameter(self, name: str, shape: Sequence[int], init: str | None = None, learns: bool = True) -> Parameter:
        """Returns a new parameter, to be set as an attribute; init: "zeros", "ones", or None for what is drawn."""
        return Parameter(f"{self.prefix}{name}", "write" if learns else "null", tuple(shape), init=init)

    def constant(self, name: str, values) -> Any:
        """Returns numbers that never change, to be set as an attribute; files do not hold them."""
        return mx.gluon.Constant(f"{self.prefix}{name}", mx.nd.array(values))
