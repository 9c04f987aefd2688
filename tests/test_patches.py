"""Patches: each place matches its nearest one."""

import numpy as np
import pytest
from helpers import value_and_gradient

from e2e_art.engines.gluon import array, nd, to_numpy
from e2e_art.evaluation.patch_distance import patch_distance
from e2e_art.losses.patches import MAX_PATCHES, extract_patches, matched_features

pytestmark = pytest.mark.numerical


def maps(seed: int, height=9, width=11, channels=8):
    return array(np.random.RandomState(seed).normal(size=(1, channels, height, width)))


def patches_of(features, regions=None):
    return extract_patches(to_numpy(features), regions)


def matched(features, patches, regions=None) -> np.ndarray:
    return to_numpy(matched_features(nd, features, list(map(array, patches)), regions))


def test_a_painting_matches_itself():
    painting = maps(1)
    patches = patches_of(painting)
    assert patches.features.shape == (7 * 9, 8, 3, 3)
    assert np.abs(matched(painting, patches) - to_numpy(painting)).max() < 1e-5


def test_how_strong_features_are_does_not_matter_for_what_they_match():
    painting = maps(1)
    assert np.abs(matched(0.01 * painting, patches_of(painting)) - to_numpy(painting)).max() < 1e-5


def test_what_was_shifted_is_found_again():
    painting = maps(1, 12, 12)
    part = array(to_numpy(painting)[:, :, 3:9, 2:10])
    assert np.abs(matched(part, patches_of(painting)) - to_numpy(part)).max() < 1e-5


def test_each_place_is_the_mean_of_the_patches_that_overlap_there():
    """One place with two patches to choose from, by hand."""
    painting = array(np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4) - 5)
    patches = patches_of(painting)
    place = array(to_numpy(painting)[:, :, :, :3] + 0.1)
    assert np.array_equal(matched(place, patches), to_numpy(painting)[:, :, :, :3])
    wide = matched(maps(2, 3, 4, channels=1), patches)[0, 0]  # of two patches, one column apart
    choices = [to_numpy(painting)[0, 0, :, start : start + 3] for start in (0, 1)]
    results = []
    for first in choices:
        for second in choices:
            total, count = np.zeros((3, 4)), np.zeros((3, 4))
            for start, patch in ((0, first), (1, second)):
                total[:, start : start + 3] += patch
                count[:, start : start + 3] += 1
            results.append(total / count)
    assert min(np.abs(wide - result).max() for result in results) < 1e-5


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_regions_match_their_own_kind_only(order):
    painting = array(np.repeat([1, -1], 6)) + 0.1 * maps(3, 9, 12)
    left = np.zeros((2, 9, 12), np.float32)
    left[0, :, :6], left[1, :, 6:] = 1, 1
    patches = patches_of(painting, left)
    top = np.zeros((1, 2, 10, 7), np.float32)
    top[0, order[0], :5], top[0, order[1], 5:] = 1, 1
    found = matched(maps(4, 10, 7), patches, array(top))
    sign = 1 if order == (0, 1) else -1
    assert (sign * found[:, :, :4]).mean() > 0.3  # patches at the region's edge are of both kinds
    assert (sign * found[:, :, 6:]).mean() < -0.3


def test_large_paintings_are_sampled():
    patches = patches_of(maps(1, 80, 90, channels=2))
    assert MAX_PATCHES / 2 < len(patches.features) <= MAX_PATCHES
    assert patches.regions.shape == (len(patches.features), 1, 1, 1)


def test_no_gradient_flows_into_the_match():
    features, patches = maps(5), list(map(array, patches_of(maps(1))))
    _, gradient = value_and_gradient(lambda maps: matched_features(nd, maps, patches) * maps, features)
    assert np.allclose(gradient, matched(features, patches_of(maps(1))), atol=1e-5)


def test_patch_distance_is_that_of_the_nearest_by_cosine():
    painting, picture = maps(1), maps(2, 5, 6)
    patches = patches_of(painting).features
    own = patches_of(picture).features.reshape(3 * 4, -1)
    others = patches.reshape(len(patches), -1)
    lengths = np.linalg.norm(own, axis=1)[:, None] * np.linalg.norm(others, axis=1)
    expected = np.mean(1 - (own @ others.T / lengths).max(axis=1))
    assert abs(patch_distance(picture, patches) - expected) < 1e-5
    assert 0.5 < expected < 1


def test_patch_distance_of_what_the_painting_has_is_0_however_strong():
    painting = maps(1, 12, 12)
    part = array(0.01 * to_numpy(painting)[:, :, 3:9, 2:10])
    assert abs(patch_distance(part, patches_of(painting).features)) < 1e-5
    assert patch_distance(array(np.zeros((1, 8, 5, 5))), patches_of(painting).features) == 1  # nothing in common
