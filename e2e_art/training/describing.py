"""The describer learns what tells paintings apart: by principal component analysis, in a minute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ..engines.gluon import array, to_numpy
from ..networks.describer import SOFT, Describer
from ..networks.wct import LEVELS

__all__ = ["fit_describer"]

FLOOR = 0.05  # of the largest standard deviation: smaller components are not enlarged to unit variance
TINY = 1e-4  # standard deviation of a statistic that tells nothing
STUDENT = "student."  # begins the names of its part of a describer


def fit_describer(
    describer: Describer, student: Mapping[str, np.ndarray], paintings: Iterable[np.ndarray], device=None
) -> None:
    """Sets what a describer is made of.

    student: the weights of a trained student, by name.  paintings: many, each (1, 3, H, W) in VGG space, sides
    multiples of 16.  device: of the describer.
    """
    for name, parameter in describer.named_parameters().items():
        if name.startswith(STUDENT):
            parameter.set_data(student[name.removeprefix(STUDENT)])
    means: list[list[np.ndarray]] = [[] for _ in LEVELS]
    moments: list[list[np.ndarray]] = [[] for _ in LEVELS]
    for painting in paintings:
        for level, features in enumerate(describer.student(array(painting, device))):
            rows = to_numpy(features)[0].reshape(features.shape[1], -1).astype(np.float64)  # (C, M)
            means[level].append(rows.mean(axis=1))
            moments[level].append(rows @ rows.T / rows.shape[1])
    statistics = []
    for level, count in enumerate(describer.parts):
        mean, moment = np.mean(means[level], axis=0), np.mean(moments[level], axis=0)
        basis = np.linalg.eigh(moment - np.outer(mean, mean))[1].T[: -count - 1 : -1]  # (P, C), the largest first
        getattr(describer, f"parts_{LEVELS[level]}").set_data(basis[:, :, np.newaxis, np.newaxis].astype(np.float32))
        rows, columns = np.triu_indices(count)
        second = (basis @ np.array(moments[level]) @ basis.T)[:, rows, columns]  # (paintings, P (P + 1) / 2)
        statistics += [np.array(means[level]) @ basis.T, second / np.sqrt(np.abs(second) + SOFT)]
    values = np.concatenate(statistics, axis=1)  # (paintings, count)
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    gain = np.where(deviation > TINY, 1 / np.maximum(deviation, TINY), 0)
    _, sizes, components = np.linalg.svd((values - mean) * gain, full_matrices=False)
    told = sizes[: describer.length] > TINY * sizes[0]  # fewer than there are paintings
    sizes, components = sizes[: describer.length][told] / np.sqrt(len(values)), components[: describer.length][told]
    basis = components.T / np.maximum(sizes, FLOOR * sizes[0])  # (count, length)
    padding = describer.length - basis.shape[1]
    describer.center.set_data(mean[np.newaxis].astype(np.float32))
    describer.gain.set_data(gain[np.newaxis].astype(np.float32))
    describer.basis.set_data(np.pad(basis, ((0, 0), (0, padding))).astype(np.float32))
