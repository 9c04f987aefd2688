"""Tiled inference: tiles that join without a seam, in bounded memory."""

import numpy as np
import pytest
from helpers import TINY
from skimage import data

from e2e_art import load
from e2e_art.errors import OptionError
from e2e_art.models.folder import read_model
from e2e_art.models.publish import publish
from e2e_art.networks.inputs import reflect
from e2e_art.painting.tiles import OVERLAP, THUMBNAIL_EDGE, TiledPainter

KINDS = {
    "pyramid": {"stages": [TINY] * 4},
    "bing-xu": {"stages": [{"kind": kind, "widths": w} for kind, w in (("conv", [8] * 6), ("deconv", [8, 16, 16]))]},
    "johnson": {"stages": [{"kind": "johnson", "widths": [8, 16, 16], "residual_weight": 1.0}, TINY]},
    "johnson alone": {"stages": [{"kind": "johnson", "widths": [8, 16, 16], "residual_weight": 1.0}]},
    "batch norm": {
        "stages": [
            {**TINY, "residual_weight": 0.7, "norm": "batch"},
            {"kind": "conv", "widths": [8] * 6, "residual_weight": 0.5, "norm": "batch"},
        ]
    },
}


@pytest.fixture(scope="module")
def models(tmp_path_factory, make_chain):
    folder = tmp_path_factory.mktemp("tiled")
    return {name: publish(make_chain(**kind), folder / name.replace(" ", "_"), {}) for name, kind in KINDS.items()}


@pytest.fixture(scope="module")
def large():
    """A photo of several tiles: uint8 (310, 517, 3)."""
    return np.ascontiguousarray(data.rocket()[60:370, 60:577])


def difference(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    return np.abs(one.astype(int) - other).max()


@pytest.mark.parametrize("name", KINDS)
def test_tiles_join_without_a_seam(models, large, name):
    painter = TiledPainter(models[name])
    stages = list(range(len(models[name].stages)))
    whole = painter.paint(large, stages, tile=4096)
    tiled = painter.paint(large, stages, tile=OVERLAP)
    for one, other in zip(whole, tiled):
        assert difference(one, other) <= 2


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_where_the_copy_is_the_photo_itself_tiles_make_the_whole_painting(models, large, name, strength):
    assert max(large.shape) <= THUMBNAIL_EDGE
    painter = load(models[name].folder)
    expected = painter.stages(large, strength=strength, tile=0)
    for one, other in zip(painter.stages(large, strength=strength, tile=200), expected):
        assert difference(one, other) <= 2


def test_without_common_statistics_there_would_be_seams(models, large):
    painter = TiledPainter(models["pyramid"])
    (whole,) = painter.paint(large, [0], tile=4096)
    half = painter.paint(np.ascontiguousarray(large[:, :256]), [0], tile=4096)[0]
    assert difference(whole[:, :150], half[:, :150]) > 10


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (97, 131)])
def test_any_size(models, photo, height, width):
    picture = photo[reflect(97, 0, max(0, height - 97))[:height]][:, reflect(131, 0, max(0, width - 131))[:width]]
    (painting,) = TiledPainter(models["pyramid"]).paint(picture, [3], tile=OVERLAP)
    (whole,) = TiledPainter(models["pyramid"]).paint(picture, [3], tile=4096)
    assert painting.shape == picture.shape
    assert difference(painting, whole) <= 2


def test_progress_counts_every_tile(models, large):
    calls = []
    TiledPainter(models["bing-xu"]).paint(large, [1], tile=200, on_tile=lambda done, count: calls.append((done, count)))
    tiles = -(-(310 + 32 + 2) // 200) * -(-(517 + 32) // 200)
    assert calls == [(done, 2 * tiles) for done in range(1, 2 * tiles + 1)]


def test_statistics_are_those_of_the_features(models, photo):
    # The first normalization of a conv generator, by hand: of its first convolution's output on the padded photo.
    model = models["bing-xu"]
    (measured, _) = TiledPainter(model).statistics(photo, 1.0, 2)
    from e2e_art.engines.gluon import array, nd, to_numpy
    from e2e_art.images.arrays import to_vgg_space
    from e2e_art.models.publish import load_chain

    chain = load_chain(model)
    padded = chain.pad(array(to_vgg_space(photo)))
    weight, bias = (array(chain.stage_weights(0)[f"body.0.0.{name}"]) for name in ("weight", "bias"))
    convolved = nd.Convolution(padded / 64, weight, bias, kernel=(5, 5), pad=(2, 2), num_filter=8)
    features = to_numpy(convolved)[0]
    assert measured.shape[0] == 2
    assert np.allclose(measured[0, :8], features.mean(axis=(1, 2)), atol=1e-3)
    assert np.allclose(measured[1, :8], features.var(axis=(1, 2)), rtol=1e-3)


def test_tiles_come_by_themselves_where_memory_is_short(models, large, monkeypatch):
    from e2e_art.painting import photo as module

    painter = load(models["pyramid"].folder)
    expected = painter(large, tile=512)
    monkeypatch.setattr(module, "free_memory", lambda: large.shape[0] * large.shape[1] * module.BYTES_A_PIXEL - 1)
    monkeypatch.setattr(painter.engine, "run", None)  # not called any more
    assert np.array_equal(painter(large), expected)


def test_a_model_without_tiles_says_so(models, large):
    import dataclasses

    model = read_model(models["pyramid"].folder)
    painter = load(model.folder)
    painter.model = dataclasses.replace(model, files={n: s for n, s in model.files.items() if not n.startswith("tile")})
    with pytest.raises(OptionError, match="has no graphs for tiles: train it again, or leave --tile out"):
        painter(large, tile=512)
    with pytest.raises(OptionError, match="tile takes a whole number of 0 or more, not -5"):
        painter(large, tile=-5)
