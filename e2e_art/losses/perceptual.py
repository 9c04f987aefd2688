"""THE loss: content, style and smoothness, shared by training and by the optimization baseline.

Untold, every term is relative, so that a number means the same for each layer, picture size and style: a style of 1
is as far from the painting as a black image, 0 is the painting's own statistics; a content of 0 is the photo,
about 1 is nothing of it left.

L. Gatys, A. Ecker, M. Bethge: A Neural Algorithm of Artistic Style, arXiv 1508.06576.  The relative
form is ours; the conventions of others multiply the same squared errors by other factors (``docs/losses.md``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..engines.mxnet import mx, to_bfloat16
from ..networks.vgg import VGGFeatures, load_vgg
from .options import LossOptions
from .patches import Patches, matched_features

if TYPE_CHECKING:
    from .style_target import StyleTarget

__all__ = ["PerceptualLoss", "gram_matrix", "relative_error", "normalized", "total_variation"]

# What others multiply mean squared errors by, in a layer of C channels and M pixels: of Gram matrices, of features; and
# the mean squared difference of neighbors, in a picture of M pixels.
_FACTORS = {
    "gatys": (lambda c, m: c * c / 4, lambda c, m: c * m / 2, lambda m: 1),
    "bing-xu": (lambda c, m: c * c * m, lambda c, m: c * m, lambda m: 3 * m / 16),
    "mean": (lambda c, m: 1, lambda c, m: 1, lambda m: 1),
}


def _channels_and_pixels(F, features):
    """Returns C and M = H W of features (N, C, H, W), each (1,)."""
    shape = F.cast(F.shape_array(features), dtype="float32")
    channels, height, width = (F.slice_axis(shape, axis=0, begin=axis, end=axis + 1) for axis in (1, 2, 3))
    return channels, height * width


def _times(F, x, factor):
    """Returns x (N,) times a number, or times an array (1,)."""
    return x * factor if isinstance(factor, int) else F.broadcast_mul(x, factor)


def _rows(F, features, covariance: bool = False, guide=None):
    """Returns features as rows of pixels, (N, C, H * W), centered for covariances, guided: (R, C, H * W)."""
    rows = F.reshape(features, shape=(0, 0, -1))  # (N, C, H * W)
    if covariance:
        means = F.mean(rows, axis=2, keepdims=True)
        if guide is not None:
            means = F.sum(F.broadcast_mul(rows, F.square(guide)), axis=2, keepdims=True)  # (R, C, 1)
        rows = F.broadcast_sub(rows, means)
    return rows if guide is None else F.broadcast_mul(rows, guide)


def _products(F, x, y, channels: int | None = None):
    """Returns x y^T of rows x (N, K, M) and y (N, C, M); with the number of channels C in bfloat16, N = 1."""
    if channels is None:
        return F.batch_dot(x, y, transpose_b=True)  # (N, K, C)
    x, y = (to_bfloat16(F, F.reshape(rows, shape=(-3, 0))) for rows in (x, y))  # which `batch_dot` does not know
    product = F.FullyConnected(x, y, num_hidden=channels, no_bias=True)
    return F.expand_dims(F.amp_cast(product, dtype="float32"), axis=0)  # (1, K, C)


def _times_itself(F, rows, channels: int | None = None):
    """Returns rows rows^T, (N, C, C), of rows (N, C, M); with the number of channels in bfloat16, N = 1.

    Both factors are the same, and what a loss wants of a symmetric matrix is symmetric: so one factor takes the
    gradient of both, at half the work.
    """
    product = _products(F, F.BlockGrad(rows), rows, channels)
    return 2 * product - F.BlockGrad(product)


def _times_itself_in_regions(F, rows, guide, covariance: bool, channels: int | None = None):
    """Returns what `_times_itself` does for each region of one picture, (R, C, C): rows (1, C, M), guide (R, 1, M)."""
    shares = F.square(guide)
    seen = F.broadcast_mul(F.BlockGrad(rows), shares)  # (R, C, M): all that is done R times knows no gradient
    product = _products(F, F.reshape(seen, shape=(1, -1, 0)), rows, channels)  # (1, R C, C)
    product = F.reshape_like(product, seen, lhs_begin=0, lhs_end=2, rhs_begin=0, rhs_end=2)
    product = 2 * product - F.BlockGrad(product)
    if covariance:
        means = F.transpose(_products(F, F.reshape(shares, shape=(1, -1, 0)), rows), axes=(1, 2, 0))  # (R, C, 1)
        product = product - _products(F, means, means)
    return product


def gram_matrix(F, features, covariance: bool = False, guide=None, channels: int | None = None):
    """Returns which channels fire together: F_l F_l^T / (C H W), for each picture of the batch.

    features: (N, C, H, W).  covariance: subtract each channel's mean first.  Returns (N, C, C).
    guide: (R, 1, H * W), how much each pixel counts in each of R regions, its squares adding up to 1 in each; then
    N must be 1, and the regions have a Gram matrix each, as if they were pictures of their own: (R, C, C).
    channels: C, to multiply in bfloat16; then N must be 1, too.
    """
    count, pixels = _channels_and_pixels(F, features)
    if guide is None:
        product, size = _times_itself(F, _rows(F, features, covariance), channels), count * pixels
    else:
        product = _times_itself_in_regions(F, _rows(F, features), guide, covariance, channels)
        size = count
    return F.broadcast_div(product, F.reshape(size, shape=(1, 1, 1)))  # (N, C, C)


def mean_squared_error(F, x, target):
    """Returns mean((x - target)^2) over all axes but the first, (N,)."""
    return F.mean(F.square(F.broadcast_sub(x, target)), axis=0, exclude=True)


def _squares(F, x):
    """Returns the sum of x^2 over all axes but the first, (N,): as a product, many times faster than a reduction."""
    return F.reshape(_times_itself(F, F.reshape(x, shape=(0, 1, -1))), shape=(-1,))


def relative_error(F, x, target):
    """Returns sum((x - target)^2) / sum(target^2) over all axes but the first, (N,)."""
    return F.broadcast_div(_squares(F, F.broadcast_sub(x, target)), _squares(F, target) + 1e-12)


def _pulling(F, error, x, direction):
    """Returns an error of the same value, but whose gradient to x is a direction, its absolute values adding up to 1.

    error: (N,).  x, direction: (N, ...).  So each layer moves the picture as hard as any other.  After the L1 norm of
    gradients in D. Ulyanov's texture nets.
    """
    length = F.sum(F.abs(direction), axis=0, exclude=True, keepdims=True) + 1e-8
    work = F.sum(F.broadcast_mul(F.BlockGrad(F.broadcast_div(direction, length)), x), axis=0, exclude=True)
    return F.BlockGrad(error) + (work - F.BlockGrad(work))


def total_variation(F, x):
    """Returns the mean squared difference of neighboring pixels (total variation), in VGG space.

    x: (N, 3, H, W) with H, W >= 2.  Returns (N,).  A checkerboard of 0 and 1 has 2: 1 down and 1 across.
    """
    down = F.slice_axis(x, axis=2, begin=1, end=None) - F.slice_axis(x, axis=2, begin=0, end=-1)
    across = F.slice_axis(x, axis=3, begin=1, end=None) - F.slice_axis(x, axis=3, begin=0, end=-1)
    return F.mean(F.square(down), axis=0, exclude=True) + F.mean(F.square(across), axis=0, exclude=True)


def normalized(weights: Sequence[float], count: int) -> list[float]:
    """Returns weights that add up to 1; all alike where none are given."""
    weights = list(weights) or [1.0] * count
    return [weight / sum(weights) for weight in weights]


class PerceptualLoss(mx.gluon.HybridBlock):
    """How far a picture is from a painting's style and from a photo's content.

    options: layers, weights, pooling.
    target: the style to reach.
    contexts: where to compute; bfloat16: None takes it where the processor is fast at it.
    patches: with a patch weight, in each patch layer the painting's patches, and the picture's regions or None.

    Calling it with a picture (N, 3, H, W) and the photo's content features (from `content_features`) returns the
    weighted terms by name, each (N,): their sum is the total.  With a content weight of 0 there need be no photo.
    guides: where the targets are those of regions, the picture's own regions in each style layer; each region counts
    alike, however small it is, and one that is missing (0 everywhere) not at all.
    """

    def __init__(
        self,
        options: LossOptions,
        target: StyleTarget,
        contexts: Sequence | None = None,
        bfloat16: bool | None = None,
        patches: Sequence[tuple[Patches, object]] = (),
    ):
        super().__init__(prefix="loss_")
        self.options, self._patches = options, list(patches)
        contexts = list(contexts or [mx.cpu()])
        patch_layers = options.patch_layers if patches else ()
        layers = list(dict.fromkeys((*options.style_layers, *options.content_layers, *patch_layers)))
        self.network: VGGFeatures = load_vgg(
            layers, options.loss_network, pooling=options.pooling, bfloat16=bfloat16, contexts=contexts
        )
        self._channels = [gram.shape[-1] for gram in target.grams]
        self.content_network = self.network.looking_at(options.content_layers)
        with self.name_scope():
            for index, gram in enumerate(target.grams):
                setattr(self, f"target_{index}", self.params.get_constant(f"target_{index}", gram))
        self.collect_params(".*target.*").initialize(ctx=contexts)
        if not patches:  # matching looks at shapes
            self.hybridize(static_alloc=True)

    def content_features(self, photo) -> list:
        """Returns what a painting should keep of its photo (N, 3, H, W): a map for each content layer."""
        return self.content_network(photo) if self.options.content_weight else []

    def forward(self, picture, photo_features, guides: Sequence = ()) -> dict:
        singles = [(picture, *photo_features)]
        if self.network.bfloat16 and len(picture) > 1:  # whose Gram matrices are those of one picture
            singles = [[x[n : n + 1] for x in singles[0]] for n in range(len(picture))]
        terms = zip(*(super(PerceptualLoss, self).forward(*single, *guides) for single in singles))
        terms = [parts[0] if len(parts) == 1 else mx.nd.concat(*parts, dim=0) for parts in terms]
        return dict(zip(("style", "content", "tv", "patch"), terms))

    def _error(self, F, x, target, features, term: int):
        """Returns how far x is from its target, as the convention counts it; term: 0 is style, 1 content."""
        if self.options.convention == "relative":
            return relative_error(F, x, target)
        factor = _FACTORS[self.options.convention][term](*_channels_and_pixels(F, features))
        return _times(F, mean_squared_error(F, x, target), factor)

    def hybrid_forward(self, F, picture, *given, **targets):
        options = self.options
        kept = len(options.content_layers) if options.content_weight else 0
        photo_features, guides = given[:kept], given[kept:]
        maps = dict(zip(self.network.layers, self.network(picture)))
        style = content = 0
        for index, share in enumerate(normalized(options.style_layer_weights, len(options.style_layers))):
            features, target = maps[options.style_layers[index]], targets[f"target_{index}"]
            guide = guides[index] if guides else None
            channels = self._channels[index] if self.network.bfloat16 else None
            gram = gram_matrix(F, features, options.covariance, guide, channels)
            error = self._error(F, gram, target, features, 0)  # (N,), or (R,)
            if options.normalize_gradients:
                rows = _rows(F, features, options.covariance, guide)
                error = _pulling(F, error, rows, F.batch_dot(F.broadcast_sub(gram, target), rows))
            if guides:  # the mean over the regions that are there
                there = F.sum(F.square(guide), axis=(1, 2))  # (R,): 1, or 0
                error = F.sum(error * there, keepdims=True) / F.sum(there, keepdims=True)
            style = style + share * error
        for index, share in enumerate(normalized(options.content_layer_weights, len(options.content_layers))[:kept]):
            features, target = maps[options.content_layers[index]], photo_features[index]
            error = self._error(F, features, target, features, 1)
            if options.normalize_gradients:
                error = _pulling(F, error, features, features - target)
            content = content + share * error
        content = content if kept else 0 * style
        tv = total_variation(F, picture)
        if options.convention != "relative":
            tv = _times(F, tv, _FACTORS[options.convention][2](_channels_and_pixels(F, picture)[1]))
        terms = (options.style_weight * style, options.content_weight * content, options.tv_weight * tv)
        return (*terms, options.patch_weight * self._patch_error(F, maps)) if self._patches else terms

    def _patch_error(self, F, maps: dict):
        """Returns how far patches are from those of the painting that they resemble most, the mean over layers."""
        errors = [
            relative_error(F, maps[layer], matched_features(maps[layer], patches, regions))
            for layer, (patches, regions) in zip(self.options.patch_layers, self._patches)
        ]
        return sum(errors) / len(errors)
