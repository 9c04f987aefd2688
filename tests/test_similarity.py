"""PSNR and SSIM, by answers known by hand."""

import math

import cv2
import numpy as np
import pytest
from skimage import data

from e2e_art.errors import OptionError
from e2e_art.evaluation.grid import grid
from e2e_art.images.similarity import luma, psnr, ssim

PHOTO = data.astronaut()[:64, :80]
COLORS = {"black": (0, 0, 0), "white": (255, 255, 255), "red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def test_luma_of_colors_is_that_of_matlab():
    levels = luma(np.array([list(COLORS.values())], np.uint8))
    assert np.allclose(levels, [[16, 235, 81.481, 144.553, 40.966]])


def test_luma_of_full_range():
    levels = luma(np.array([list(COLORS.values())], np.uint8), full_range=True)
    assert np.allclose(levels, [[0, 255, 76.245, 149.685, 29.07]])


@pytest.mark.parametrize(("offset", "decibels"), [(1, 48.1308), (10, 28.1308), (255, 0.0)])
def test_psnr_of_a_constant_offset(offset, decibels):
    truth = np.zeros((9, 7, 3), np.uint8)
    assert psnr(truth + np.uint8(offset), truth) == pytest.approx(decibels, abs=1e-4)


def test_psnr_is_signed_arithmetic():
    dark, light = np.full((4, 4), 10, np.uint8), np.full((4, 4), 20, np.uint8)
    assert psnr(dark, light) == psnr(light, dark) == pytest.approx(28.1308, abs=1e-4)


def test_luma_of_full_range_has_the_lower_psnr():
    noisy = np.clip(PHOTO + np.random.default_rng(0).normal(0, 9, PHOTO.shape), 0, 255).astype(np.uint8)
    studio, full = (psnr(luma(noisy, full_range), luma(PHOTO, full_range)) for full_range in (False, True))
    assert studio - full == pytest.approx(20 * math.log10(255 / 219), abs=1e-3)  # 1.32 dB


def test_equal_pictures():
    levels = luma(PHOTO)
    assert psnr(levels, levels) == math.inf
    assert psnr(np.full(levels.shape, np.inf, np.float32), levels) == -math.inf  # and without a warning
    assert ssim(levels, levels) == 1


def test_the_border_is_left_out():
    truth = luma(PHOTO)
    picture = truth.copy()
    picture[:4], picture[:, -4:] = 0, 255
    assert psnr(picture, truth, border=4) == math.inf
    assert ssim(picture, truth, border=4) == 1
    assert psnr(picture, truth, border=3) < 40


def test_ssim_is_the_formula_of_wang():
    truth = luma(PHOTO)
    picture = cv2.GaussianBlur(truth, (0, 0), 1.5) + 3

    def mean(levels: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(levels, (11, 11), 1.5)[5:-5, 5:-5]

    means, lights = mean(picture), mean(truth)
    variances = mean(picture**2) - means**2 + mean(truth**2) - lights**2
    covariance = mean(picture * truth) - means * lights
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    formula = (2 * means * lights + c1) * (2 * covariance + c2) / ((means**2 + lights**2 + c1) * (variances + c2))
    assert ssim(picture, truth) == pytest.approx(formula.mean(), abs=1e-9)


def test_ssim_of_two_grays():
    first, second = np.full((11, 11), 100.0), np.full((11, 11), 150.0)
    assert ssim(first, second) == pytest.approx((2 * 100 * 150 + 6.5025) / (100**2 + 150**2 + 6.5025))


def test_ssim_of_too_small_a_picture():
    with pytest.raises(OptionError, match="11 pixels or more on each side, inside the border, not 72x10"):
        ssim(luma(PHOTO[:18]), luma(PHOTO[:18]), border=4)


def test_grid_of_a_pattern_is_counted_in_full_and_that_of_a_photo_hardly():
    photo = luma(data.astronaut()[:201, :199])
    pattern = np.zeros((8, 8))
    pattern[2, 2] = pattern[6, 6] = pattern[2, 6] = pattern[6, 2] = 1  # of period 4
    laplacian = [-4.0, *4 * [1.0], *11 * [0.0]]  # at the pixel itself, its neighbors, and the others of 4 x 4
    assert grid(np.tile(pattern, (5, 6)), 4) == pytest.approx(np.std(laplacian))
    assert grid(np.full((20, 24), 77.0), 4) == 0
    assert grid(photo, 4) < 0.15
    patterned = grid(photo + np.tile(pattern, (26, 25))[:201, :199], 4)
    assert patterned == pytest.approx(np.std(laplacian), rel=0.1)
    assert grid(photo + np.tile(pattern, (26, 25))[:201, :199], 3) < 0.3  # no grid of another period
