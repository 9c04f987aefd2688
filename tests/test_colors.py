"""Colors of one picture in another."""

import numpy as np
import pytest
from skimage import data

from e2e_art.images.colors import keep_colors, recolor

RED = (255, 0, 0)


def picture_of(color, height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def luminance(picture):
    return picture @ np.array((0.299, 0.587, 0.114))


def test_a_photo_keeps_its_own_colors():
    photo = data.coffee()
    assert np.abs(keep_colors(photo, photo).astype(int) - photo).max() <= 1


def test_keep_colors_takes_luminance_from_the_painting_and_color_from_the_photo():
    painting, photo = data.astronaut(), data.coffee()
    kept = keep_colors(painting, photo)
    assert kept.shape == painting.shape
    assert np.abs(luminance(kept) - luminance(painting)).max() < 1
    grey = picture_of((90, 90, 90), 8, 8)
    assert np.array_equal(keep_colors(picture_of(RED, 8, 8), grey), picture_of((76, 76, 76), 8, 8))
    # Cb and Cr of (120, 100, 80) around another luminance: all three channels move by the same amount.
    assert keep_colors(picture_of((150,) * 3, 1, 1), picture_of((120, 100, 80), 1, 1)).tolist() == [[[166, 146, 126]]]


def moments(picture) -> tuple[np.ndarray, np.ndarray]:
    pixels = picture.reshape(-1, 3).astype(float)
    return pixels.mean(axis=0), np.cov(pixels.T)


def test_a_recolored_picture_has_the_others_mean_and_covariance():
    painting = (data.astronaut() // 4 + 96).astype(np.uint8)  # away from 0 and 255, so that nothing is cut off
    photo = (data.coffee() // 3 + 80).astype(np.uint8)
    mean, covariance = moments(recolor(painting, photo))
    wanted_mean, wanted = moments(photo)
    assert np.abs(mean - wanted_mean).max() < 0.5
    assert np.abs(covariance - wanted).max() < 0.02 * np.abs(wanted).max()


def test_a_picture_recolored_like_itself_stays():
    photo = data.astronaut()[::4, ::4]
    assert np.abs(recolor(photo, photo).astype(int) - photo).max() <= 1


@pytest.mark.parametrize("like", [(90, 90, 90), RED])
def test_recolored_like_one_color_it_is_nearly_that_color(like):
    result = recolor(data.astronaut()[::8, ::8], picture_of(like, 4, 4))
    assert np.abs(result.astype(int) - like).max() <= 3
    assert recolor(picture_of(RED, 1, 1), picture_of(like, 1, 1)).tolist() == [[list(like)]]
