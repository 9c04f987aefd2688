"""The perceptual loss: content, style and total variation, for training, optimization and evaluation.

By default every term is relative, so that a number means the same for each layer, picture size and style: a style of 1
is as far from the painting as a black image, 0 has the statistics of the painting; a content of 0 is the photo, about 1
has nothing left of it.

L. Gatys, A. Ecker, M. Bethge: A Neural Algorithm of Artistic Style, arXiv 1508.06576.  Differs from the paper in the
relative form; the conventions of others multiply the same squared errors by other factors (``docs/losses.md``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..engines.gluon import HybridBlock, array, cpu, device_of, nd, one_by_one
from ..networks.vgg import VGGFeatures, load_vgg
from .options import LossOptions
from .patches import matched_features

if TYPE_CHECKING:
    from .style_target import StyleTarget

__all__ = ["SMALLEST", "PerceptualLoss", "gram_matrix", "mean_error", "normalized", "relative_error", "total_variation"]

SMALLEST = 16  # pixels of a picture's side, which four poolings bring down to one

# Factors of other conventions on the mean squared errors of Gram matrices and of features, and on the total variation,
# each (f, c, m) for f C^c M^m in a layer, or picture, of C channels and M pixels.
_FACTORS = {
    "gatys": ((1 / 4, 2, 0), (1 / 2, 1, 1), (1, 0, 0)),
    "bing-xu": ((1, 2, 1), (1, 1, 1), (3 / 16, 0, 1)),
    "mean": ((1, 0, 0), (1, 0, 0), (1, 0, 0)),
}


def _rows(F, features, covariance: bool = False, weights=None):
    """Returns features as rows of pixels, (N, C, H * W), centered for covariances; weighted, (R, C, H * W)."""
    rows = F.reshape(features, shape=(0, 0, -1))  # (N, C, H * W)
    if covariance:
        means = F.mean(rows, axis=2, keepdims=True)
        if weights is not None:
            means = F.sum(F.broadcast_mul(rows, F.square(weights)), axis=2, keepdims=True)  # (R, C, 1)
        rows = F.broadcast_sub(rows, means)
    return rows if weights is None else F.broadcast_mul(rows, weights)


def _times_itself(F, rows, channels: int | None = None):
    """Returns rows rows^T, (N, C, C), of rows (N, C, M); with the number of channels in bfloat16, N = 1."""
    return _with_whole_gradient(F, F.row_products(F.BlockGrad(rows), rows, channels))


def _with_whole_gradient(F, product):
    """Returns a product x x^T one of whose factors blocks its gradient: the other one takes that of both.

    So it is half the work; and right, since a loss has a symmetric gradient to a symmetric matrix.
    """
    return 2 * product - F.BlockGrad(product)


def gram_matrix(F, features, covariance: bool = False, weights=None, channels: int | None = None):
    """Returns the Gram matrix F_l F_l^T / (C H W) of each picture of the batch, (N, C, C).

    features: (N, C, H, W).  covariance: subtract the mean of each channel first.
    weights: (R, 1, H * W), the weight of each pixel in each of R regions, the squares adding up to 1 in each; then N
    must be 1, and each region has a Gram matrix of its own, as if it were a picture: (R, C, C).
    channels: C, to multiply in bfloat16; then N must be 1, too, where the engine takes pictures `one_by_one`.
    """
    size, pixels = F.channels_and_pixels(features)
    if weights is None:
        product, size = _times_itself(F, _rows(F, features, covariance), channels), size * pixels
    else:
        rows, shares = _rows(F, features), F.square(weights)
        weighted = F.broadcast_mul(F.BlockGrad(rows), shares)  # (R, C, M): what is done R times needs no gradient
        weighted_rows = F.reshape(weighted, shape=(1, -1, 0))
        product = F.row_products(weighted_rows, rows, channels)  # (1, R C, C)
        product = F.reshape_like(product, weighted, lhs_begin=0, lhs_end=2, rhs_begin=0, rhs_end=2)
        product = _with_whole_gradient(F, product)  # (R, C, C)
        if covariance:
            means = F.transpose(F.row_products(F.reshape(shares, shape=(1, -1, 0)), rows), axes=(1, 2, 0))  # (R, C, 1)
            product = product - F.row_products(means, means)
    return F.broadcast_div(product, size)


def relative_error(F, x, target):
    """Returns sum((x - target)^2) / sum(target^2) over all axes but the first, (N,)."""
    rows = (F.reshape(each, shape=(0, 1, -1)) for each in (F.broadcast_sub(x, target), target))
    error, norm = (F.reshape(_times_itself(F, each), shape=(-1,)) for each in rows)  # much faster than reductions
    return F.broadcast_div(error, norm + 1e-12)


def _with_gradient(F, error, x, gradient):
    """Returns an error (N,) of the same value, but with a given gradient to x, (N, ...), scaled to an L1 norm of 1.

    After D. Ulyanov's texture nets, where each layer has a gradient of the same norm.
    """
    norm = F.sum(F.abs(gradient), axis=0, exclude=True, keepdims=True) + 1e-8
    product = F.sum(F.broadcast_mul(F.BlockGrad(F.broadcast_div(gradient, norm)), x), axis=0, exclude=True)
    return F.BlockGrad(error) + (product - F.BlockGrad(product))


def total_variation(F, x):
    """Returns the total variation: the mean squared difference of neighboring pixels, in VGG space.

    x: (N, 3, H, W) with H, W >= 2.  Returns (N,).  A checkerboard of 0 and 1 has 2: 1 down and 1 across.
    """
    down = F.slice_axis(x, axis=2, begin=1, end=None) - F.slice_axis(x, axis=2, begin=0, end=-1)
    across = F.slice_axis(x, axis=3, begin=1, end=None) - F.slice_axis(x, axis=3, begin=0, end=-1)
    return F.mean(F.square(down), axis=0, exclude=True) + F.mean(F.square(across), axis=0, exclude=True)


def normalized(weights: Sequence[float], count: int) -> list[float]:
    """Returns weights that add up to 1, equal ones where none are given."""
    weights = list(weights) or [1.0] * count
    return [weight / sum(weights) for weight in weights]


def mean_error(errors: Sequence, weights: Sequence[float] = ()):
    """Returns the weighted mean of the errors of layers."""
    return sum(weight * error for weight, error in zip(normalized(weights, len(errors)), errors))


class PerceptualLoss(HybridBlock):
    """How far pictures are from the style of a painting and from the content of photos.

    options: layers, weights, pooling.  target: the style to reach, in those layers.
    devices: to compute on.  bfloat16: None takes it where they are fast at it.
    seen: further layers, whose features `look` hands out.

    Calling it with pictures (N, 3, H, W) and the content features of their photos returns the weighted terms by name,
    each (N,), which add up to the total.  With a content weight of 0 there need be no photo.
    region_weights: for a target of regions, those of the one picture in each style layer, as `gram_matrix` takes them;
    all regions have the same weight, however small, and absent ones (0 everywhere) have none.
    patch_regions: likewise in each patch layer, (1, R, H, W), as `matched_features` takes them.
    """

    def __init__(
        self,
        options: LossOptions,
        target: StyleTarget,
        devices: Sequence | None = None,
        bfloat16: bool | None = None,
        seen: Sequence[str] = (),
    ):
        super().__init__()
        self.options = options
        devices = list(devices or [cpu()])
        grams = [target.grams[layer] for layer in options.style_layers]
        self._grams = {device: [array(gram, device) for gram in grams] for device in devices}
        patches = [target.patches[layer] for layer in options.patch_layers] if options.patch_weight else []
        self._patches: list[Any] = [[array(part, devices[0]) for part in each] for each in patches]
        content_layers = options.content_layers if options.content_weight else ()
        patch_layers = options.patch_layers if patches else ()
        layers = dict.fromkeys((*options.style_layers, *content_layers, *patch_layers, *seen))
        self._seen = list(seen)
        self.network: VGGFeatures = load_vgg(
            list(layers), options.loss_network, pooling=options.pooling, bfloat16=bfloat16, devices=devices
        )
        self._channels = [gram.shape[-1] if self.network.bfloat16 else None for gram in grams]
        self.content_network = self.network.of_layers(content_layers) if content_layers else None
        if not patches:  # matching reads shapes
            self.hybridize()

    def content_features(self, photo) -> list:
        """Returns what a painting should keep of photos (N, 3, H, W): the features of each content layer."""
        return self.content_network(photo) if self.content_network else []

    def mixed_grams(self, styles) -> list:
        """Returns the Gram matrices of a mix of the target's styles; styles: their weights (1, R), of sum 1."""
        mixed = []
        for grams in self._grams[device_of(styles)]:  # (R, C, C)
            mean = nd.dot(styles, nd.reshape(grams, shape=(0, -1)))
            mixed.append(nd.reshape_like(mean, grams, lhs_begin=1, lhs_end=2, rhs_begin=1, rhs_end=3))
        return mixed

    @cached_property
    def _style_network(self) -> VGGFeatures:
        return self.network.of_layers(self.options.style_layers)

    def grams_of(self, painting) -> list:
        """Returns the Gram matrices of a painting, (1, 3, H, W)."""
        layers = zip(self._style_network(painting), self._channels)
        return [gram_matrix(nd, features, self.options.covariance, None, channels) for features, channels in layers]

    def forward(self, picture, content: Sequence, region_weights: Sequence = (), patch_regions: Sequence = ()):
        return self.look(picture, content, region_weights, patch_regions)[0]

    def look(
        self,
        picture,
        content: Sequence,
        region_weights: Sequence = (),
        patch_regions: Sequence = (),
        grams: Sequence | None = None,
    ) -> tuple:
        """Returns what calling it does, and the features of the layers that are `seen`, which it computes anyway.

        grams: the style to reach in the one picture, a Gram matrix (1, C, C) for each layer; the target's by default.
        """
        own = self._grams[device_of(picture)] if grams is None else list(grams)
        constants = (own, list(region_weights), list(patch_regions))
        forward = super().forward

        def terms(picture, *content):
            return forward(picture, list(content), *constants)

        found = one_by_one(terms, picture, *content) if self.network.bfloat16 else terms(picture, *content)
        count = len(found) - len(self._seen)
        return dict(zip(("style", "content", "tv", "patch"), found[:count])), found[count:]

    def hybrid_forward(self, F, picture, content, grams, region_weights, patch_regions):
        options = self.options
        features = dict(zip(self.network.layers, self.network(picture)))
        style_error = self._style_error(F, features, grams, region_weights)
        content_error = self._content_error(F, features, content) if options.content_weight else 0 * style_error
        tv = self._by_convention(F, total_variation(F, picture), picture, 2)
        terms = [options.style_weight * style_error, options.content_weight * content_error, options.tv_weight * tv]
        if self._patches:
            terms.append(options.patch_weight * self._patch_error(F, features, patch_regions))
        return terms + [features[layer] for layer in self._seen]

    def _style_error(self, F, features: dict, grams: Sequence, region_weights: Sequence):
        options, errors = self.options, []
        layers = zip(options.style_layers, grams, self._channels, region_weights or [None] * len(grams))
        for layer, target, channels, weights in layers:
            x = features[layer]
            gram = gram_matrix(F, x, options.covariance, weights, channels)
            error = self._error(F, gram, target, x, 0)  # (N,), or (R,)
            if options.normalize_gradients:
                rows = _rows(F, x, options.covariance, weights)
                error = _with_gradient(F, error, rows, F.batch_dot(F.broadcast_sub(gram, target), rows))
            if weights is not None:  # the mean over the regions that are there
                present = F.sum(F.square(weights), axis=(1, 2))  # (R,): 1, or 0
                error = F.sum(error * present, keepdims=True) / F.sum(present, keepdims=True)
            errors.append(error)
        return mean_error(errors, options.style_layer_weights)

    def _content_error(self, F, features: dict, content: Sequence):
        errors = []
        for layer, target in zip(self.options.content_layers, content):
            x = features[layer]
            error = self._error(F, x, target, x, 1)
            errors.append(_with_gradient(F, error, x, x - target) if self.options.normalize_gradients else error)
        return mean_error(errors, self.options.content_layer_weights)

    def _patch_error(self, F, features: dict, regions: Sequence):
        layers = zip(self.options.patch_layers, self._patches, regions or [None] * len(self._patches))
        pairs = ((features[layer], patches, own) for layer, patches, own in layers)
        return mean_error([relative_error(F, x, matched_features(F, x, patches, own)) for x, patches, own in pairs])

    def _error(self, F, x, target, features, term: int):
        """Returns the distance of x from its target in the convention; term: 0 is style, 1 content."""
        if self.options.convention == "relative":
            return relative_error(F, x, target)
        error = F.mean(F.square(F.broadcast_sub(x, target)), axis=0, exclude=True)  # (N,)
        return self._by_convention(F, error, features, term)

    def _by_convention(self, F, error, features, term: int):
        """Returns an error times the factor of the convention, for features (N, C, H, W); term: as in `_FACTORS`."""
        if self.options.convention == "relative":
            return error
        factor, of_channels, of_pixels = _FACTORS[self.options.convention][term]
        channels, pixels = F.channels_and_pixels(features)
        return F.broadcast_mul(error, factor * channels**of_channels * pixels**of_pixels)
