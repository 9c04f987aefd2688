"""Growing a painting by the photo: sharp where both have an edge, strokes as they are."""

import cv2
import numpy as np
import pytest
from skimage import data

from e2e_art.images.resize import resize
from e2e_art.images.upsample import STRIP, upsample_guided

PHOTO = data.astronaut()[:384, :320]


def test_a_photo_grows_back_sharper_than_by_interpolation():
    small = resize(PHOTO, 96, 80)
    error = np.abs(upsample_guided(small, PHOTO).astype(int) - PHOTO).mean()
    assert error < np.abs(resize(small, 384, 320).astype(int) - PHOTO).mean() / 1.5


@pytest.mark.parametrize("shape", [(96, 80), (97, 81), (383, 319)])
def test_one_color_stays_one_color(shape):
    painting = np.full((*shape, 3), (200, 30, 90), np.uint8)
    grown = upsample_guided(painting, PHOTO)
    assert grown.shape == PHOTO.shape
    assert (grown == (200, 30, 90)).all()


def test_where_the_photo_is_flat_strokes_grow_by_interpolation():
    painting = np.zeros((64, 64, 3), np.uint8)
    painting[:, ::8] = 255
    flat = np.full((256, 256, 3), 120, np.uint8)
    grown = upsample_guided(painting, flat).astype(int)
    assert (grown.max(axis=2) - grown.min(axis=2)).max() == 0  # no color that was not there
    cubic = cv2.resize(painting, (256, 256), interpolation=cv2.INTER_CUBIC)
    assert np.abs(grown - cubic).max() <= 8
    assert abs(grown.mean() - cubic.mean()) < 1


def test_strokes_that_the_photo_has_not_stay():
    painting = resize(PHOTO, 96, 80).astype(int)
    painting[:, ::6] += 60
    painting = np.clip(painting, 0, 255).astype(np.uint8)
    grown = upsample_guided(painting, PHOTO)
    assert resize(grown, 96, 80).astype(float).std() > 0.95 * painting.std()
    assert np.abs(resize(grown, 96, 80).astype(int) - painting).mean() < 8


def test_strips_join():
    assert len(PHOTO) > STRIP
    small = resize(PHOTO, 96, 80)
    grown = upsample_guided(small, PHOTO).astype(int)
    rows = np.abs(np.diff(grown, axis=0)).mean(axis=(1, 2))
    around = rows[STRIP - 6 : STRIP + 5]
    assert rows[STRIP - 1] < 2 * np.median(around)
