"""What an upscaler sees of a large picture: shrunk as the benchmarks do, and with faults by chance."""

import numpy as np
import pytest
from skimage import data

from e2e_art.data.degradation import Degradation, degrade
from e2e_art.errors import ImageError, OptionError
from e2e_art.images.bicubic import shrink_bicubic

PHOTO = data.astronaut()[:128, :128]
ALL = Degradation(blurred=1, noisy=1, compressed=1)


def keys_cubic(distance: np.ndarray) -> np.ndarray:
    """R. Keys' kernel with a = -0.5."""
    near, far = 1.5 * distance**3 - 2.5 * distance**2 + 1, -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    return np.where(distance <= 1, near, np.where(distance <= 2, far, 0))


def imresize(image: np.ndarray, factor: int) -> np.ndarray:
    """Shrinks along columns, then along rows, each rounded, pixels beyond the border being those at it."""
    for _ in range(2):
        length = len(image) // factor
        centers = (np.arange(length) + 0.5) * factor - 0.5
        places = np.floor(centers[:, None]).astype(int) + np.arange(-2 * factor, 2 * factor + 1)
        weights = keys_cubic(np.abs(places - centers[:, None]) / factor)
        weights /= weights.sum(axis=1, keepdims=True)
        taken = image[np.clip(places, 0, len(image) - 1)].astype(float)
        image = np.clip(np.floor(np.einsum("op,op...->o...", weights, taken) + 0.5), 0, 255)
        image = image.swapaxes(0, 1)
    return image


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_shrinks_by_the_formula_of_keys(factor):
    small = shrink_bicubic(PHOTO, factor)
    assert small.dtype == np.uint8 and small.shape == (128 // factor, 128 // factor, 3)
    assert np.abs(small - imresize(PHOTO, factor)).max() <= 1
    assert (small == imresize(PHOTO, factor)).mean() > 0.99


def test_what_fills_no_small_pixel_is_left_out():
    assert (shrink_bicubic(PHOTO[:99, :103], 4) == shrink_bicubic(PHOTO[:96, :100], 4)).all()


def test_one_color_stays_one_color():
    assert (shrink_bicubic(np.full((9, 8, 3), (200, 30, 90), np.uint8), 4) == (200, 30, 90)).all()


def test_too_few_pixels():
    with pytest.raises(ImageError, match="100x3 cannot be shrunk by 4"):
        shrink_bicubic(PHOTO[:3, :100], 4)


def test_by_default_a_picture_is_shrunk_alone():
    assert (degrade(PHOTO, 4, Degradation(), np.random.default_rng(0)) == shrink_bicubic(PHOTO, 4)).all()


def test_a_seed_gives_the_same_faults():
    first, again, other = (degrade(PHOTO, 4, ALL, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert (first == again).all() and (first != other).any()


def test_each_fault_does_what_it_is_called():
    def roughness(picture: np.ndarray) -> float:
        return float(np.abs(np.diff(picture.astype(int), axis=1)).mean())

    clean = shrink_bicubic(PHOTO, 2)
    blurred = degrade(PHOTO, 2, Degradation(blurred=1, blur=(1, 1)), np.random.default_rng(0))
    noisy = degrade(PHOTO, 2, Degradation(noisy=1, noise=(10, 10)), np.random.default_rng(0))
    compressed = degrade(PHOTO, 2, Degradation(compressed=1, quality=(50, 50)), np.random.default_rng(0))
    assert roughness(blurred) < 0.8 * roughness(clean) < roughness(noisy)
    middle = (clean > 50) & (clean < 205)  # where nothing is clipped
    assert 9 < (noisy.astype(int) - clean)[middle].std() < 11
    assert 1 < np.abs(compressed.astype(int) - clean).mean() < 10


def test_a_fault_comes_as_often_as_asked():
    crop = PHOTO[:16, :16]
    faults = Degradation(noisy=0.25, noise=(10, 10))
    clean = shrink_bicubic(crop, 4)
    count = sum((degrade(crop, 4, faults, np.random.default_rng((0, n))) != clean).any() for n in range(400))
    assert 70 < count < 130


def test_one_fault_does_not_depend_on_the_others():
    alone = degrade(PHOTO, 4, Degradation(blurred=0.5, blur=(0.5, 1)), np.random.default_rng(3))
    with_compression = degrade(
        PHOTO, 4, Degradation(blurred=0.5, blur=(0.5, 1), compressed=1, quality=(100, 100)), np.random.default_rng(3)
    )
    assert np.abs(alone.astype(int) - with_compression).mean() < 3


@pytest.mark.parametrize("wrong", [{"noisy": 1.5}, {"blur": (2, 1)}, {"quality": (0, 50)}, {"quality": (50, 101)}])
def test_faults_that_cannot_be(wrong):
    with pytest.raises(OptionError):
        Degradation(**wrong)
