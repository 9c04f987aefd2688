"""The operators that networks, losses and trainings are written in: what an engine has to provide.

In ``hybrid_forward(self, F, ...)`` F has them, for arrays, for MXNet's symbols, or to be recorded for ONNX (`onnx.py`,
which knows those of generators); for arrays alone they are `nd` of `gluon.py`.  Names, arguments and meaning are MXNet
1.9's (mxnet.apache.org/versions/1.9.1/api), as far as given here; +, -, *, / between arrays of one shape, or of an
array and a number, are Python's.

Layers: `Activation` (act_type "relu"), `BatchNorm` (fix_gamma False), `Convolution`, `Deconvolution`, `LeakyReLU`
(slope), `Pooling` (pool_type "avg" or "max", kernel and stride alike), `UpSampling`
(sample_type "nearest"), `depth_to_space`, `space_to_depth`, `tanh`.

Shapes: `broadcast_axis`, `col2im`, `concat` (dim), `expand_dims`, `reshape` (codes 0, -1, -3), `reshape_like`,
`slice`, `slice_axis`, `stack`, `take` (mode "clip" or "wrap"), `transpose`, `ones_like`, `zeros_like`.

Numbers: `BlockGrad`, `abs`, `add_n`, `argmax`, `batch_dot`, `broadcast_add`, `broadcast_div`, `broadcast_mul`,
`broadcast_sub`, `cast`, `clip`, `dot`, `maximum` (of an array and a number), `mean` and `sum` (axis,
keepdims, exclude), `sqrt`, `square`.

Ours:

- `to_bfloat16(x)` and `to_float32(x)` cast; gradients come back in the precision of x.
- `indices(x, begin, end)`: the whole numbers from begin to end - 1, (end - begin,), where x lies.
- `instance_norm(x, gamma, beta, mean, variance, eps)` brings each channel of each picture (N, C, H, W) to mean 0 and
  variance 1, then scales and shifts it by gamma and beta (C,).  mean, variance: constants (C,) of 0 and 1, which
  MXNet's operator asks for; it takes one picture at a time (`one_by_one`), under `autograd.train_mode()`.
- `upsample_bilinear(x, like, channels, factor)` enlarges maps (N, channels, H, W): half-pixel centers, replicate
  border.  like: other maps of the size that comes out, by which runtimes for ONNX know it.
- `row_products(x, y, channels=None)`: x y^T, (N, K, C), of rows x (N, K, M) and y (N, C, M); in bfloat16, where C is
  given as `channels` (sums in float32, the result rounded to it); with MXNet then of one picture at a time.
- `channels_and_pixels(x)`: C and H W of features (N, C, H, W), to multiply arrays with by `broadcast_mul`.
"""

from __future__ import annotations

__all__ = ["OPERATORS"]

_NAMES = (
    "Activation BatchNorm BlockGrad Convolution Deconvolution LeakyReLU Pooling UpSampling abs add_n "
    "argmax batch_dot broadcast_add broadcast_axis broadcast_div broadcast_mul broadcast_sub cast "
    "channels_and_pixels clip col2im concat depth_to_space dot expand_dims indices instance_norm maximum mean "
    "ones_like reshape reshape_like row_products slice slice_axis space_to_depth sqrt square "
    "stack sum take tanh to_bfloat16 to_float32 transpose upsample_bilinear zeros_like "
)
OPERATORS = frozenset(_NAMES.split())
