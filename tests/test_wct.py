"""Universal style transfer: the transform, its networks, their training, and painting with them."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_art.errors import OptionError
from e2e_art.painting.transform import METHODS, Moments, Statistics, transform, transform_regions


def features_of(seed: int, channels: int = 4, pixels: int = 500) -> np.ndarray:
    """Returns features of correlated channels, float64 (C, N)."""
    random = np.random.default_rng(seed)
    mix = random.normal(size=(channels, channels)) + 2 * np.eye(channels)
    return mix @ random.normal(size=(channels, pixels)) + random.normal(size=(channels, 1))


@pytest.mark.parametrize("method", ["ost", "wct"])
def test_transformed_features_have_mean_and_covariance_of_the_style(method):
    features, style = features_of(0), Statistics.of(features_of(1, pixels=300))
    result = Statistics.of(transform(Statistics.of(features), style, method)(features))
    np.testing.assert_allclose(result.mean, style.mean, atol=1e-9)
    np.testing.assert_allclose(result.covariance, style.covariance, atol=1e-9)


def test_adain_gives_each_channel_its_variance():
    features, style = features_of(0), Statistics.of(features_of(1))
    result = Statistics.of(transform(Statistics.of(features), style, "adain")(features))
    np.testing.assert_allclose(result.mean, style.mean, atol=1e-9)
    np.testing.assert_allclose(np.diag(result.covariance), np.diag(style.covariance), atol=1e-9)


def test_optimal_transport_is_symmetric_and_moves_least():
    content, style = Statistics.of(features_of(0)), Statistics.of(features_of(1))
    moves = {name: transform(content, style, name).matrix for name in ("ost", "wct")}
    matrix = moves["ost"]
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    np.testing.assert_allclose(matrix @ content.covariance @ matrix, style.covariance, atol=1e-9)
    cost = {name: np.trace((t - np.eye(4)) @ content.covariance @ (t - np.eye(4)).T) for name, t in moves.items()}
    assert cost["ost"] < cost["wct"]


def test_diagonal_covariances_by_hand():
    content = Statistics(np.array([1.0, 2.0]), np.diag([4.0, 9.0]))
    style = Statistics(np.array([5.0, 5.0]), np.diag([16.0, 1.0]))
    for method in METHODS:
        affine = transform(content, style, method)
        np.testing.assert_allclose(affine.matrix, np.diag([2.0, 1 / 3]), atol=1e-12)
        np.testing.assert_allclose(affine.offset, [3.0, 5 - 2 / 3], atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_strength(method):
    features, style = features_of(0), Statistics.of(features_of(1))
    content = Statistics.of(features)
    whole = transform(content, style, method)(features)
    np.testing.assert_array_equal(transform(content, style, method, strength=0)(features), features)
    half = transform(content, style, method, strength=0.5)(features)
    np.testing.assert_allclose(half, (features + whole) / 2, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rank", [4, 2, 1])
def test_same_features_as_both_are_a_fixed_point(method, rank):
    features = features_of(0)
    features[rank:] = features[:1]  # channels that say the same
    own = Statistics.of(features)
    np.testing.assert_allclose(transform(own, own, method)(features), features, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_constant_features_become_the_mean_of_the_style(method):
    style = Statistics.of(features_of(1))
    for features in (np.full((4, 30), 1e3 / 3), np.full((4, 1), 7.0)):  # also a single pixel
        result = transform(Statistics.of(features), style, method)(features)
        np.testing.assert_allclose(result, np.repeat(style.mean[:, np.newaxis], features.shape[1], axis=1))


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_style_leaves_its_color_alone(method):
    features, flat = features_of(0), Statistics.of(np.full((4, 9), 2.5))
    np.testing.assert_allclose(transform(Statistics.of(features), flat, method)(features), 2.5, atol=1e-9)


def test_small_variances_are_raised_to_a_share_of_the_mean():
    features = features_of(0)
    features[3] = 1e-9 * features[0]  # of 1e-18 of its variance: whitened, it would be noise
    content, style = Statistics.of(features), Statistics.of(features_of(1))
    for method in METHODS:
        assert np.abs(transform(content, style, method).matrix).max() < 2e3
    weak = Statistics.of(1e-3 * features_of(0))  # no floor stands above what varies little throughout
    result = Statistics.of(transform(weak, style)(1e-3 * features_of(0)))
    np.testing.assert_allclose(result.covariance, style.covariance, atol=1e-9)


def test_moments_of_tiles_are_those_of_the_whole():
    features = features_of(0).astype(np.float32)
    moments = Moments(4)
    for begin in range(0, 500, 130):
        moments.add(features[:, begin : begin + 130])
    whole, tiled = Statistics.of(features), moments.statistics()
    np.testing.assert_allclose(tiled.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(tiled.covariance, whole.covariance, rtol=1e-10)
    assert tiled.count == whole.count == 500


def test_each_region_has_a_transform_of_its_own():
    features, styles = features_of(0), [Statistics.of(features_of(seed)) for seed in (1, 2, 3)]
    places = np.arange(500)
    regions = [places < 200, (places >= 200) & (places < 450), places >= 496]  # the last one has four pixels
    result = transform_regions(features, regions, styles)
    for region, style in zip(regions[:2], styles):
        own = Statistics.of(result[:, region])
        np.testing.assert_allclose(own.mean, style.mean, atol=1e-9)
        np.testing.assert_allclose(own.covariance, style.covariance, atol=1e-9)
    np.testing.assert_array_equal(result[:, 450:], features[:, 450:])
    few = Statistics.of(features_of(4, pixels=4))
    np.testing.assert_array_equal(transform_regions(features, regions[:1], [few]), features)


def test_unknown_methods():
    own = Statistics.of(features_of(0))
    with pytest.raises(OptionError, match="unknown method 'ots': choose ost, wct or adain"):
        transform(own, own, "ots")
