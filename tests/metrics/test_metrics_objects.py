# SPDX-License-Identifier: Apache-2.0
"""Sizes, spread and crowding of objects, on maps whose values are counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sa2_monai import metrics

#: Two squares of 4 pixels side by side, one of 2 by 1 apart from them.
THREE = np.array([[1, 1, 2, 2, 0], [1, 1, 2, 2, 0], [0, 0, 0, 0, 0], [7, 7, 0, 0, 0]])
NONE = np.zeros((4, 5), int)


def test_objects_of_classes_are_connected_also_at_corners() -> None:
    labels = np.array([[1, 0, 2], [0, 1, 2], [2, 0, 0]])
    assert metrics.class_objects(labels).tolist() == [[1, 0, 2], [0, 1, 2], [3, 0, 0]]
    volume = np.zeros((2, 2, 2), bool)
    volume[0, 0, 0] = volume[1, 1, 1] = True
    assert metrics.object_sizes(metrics.class_objects(volume)).tolist() == [2]


def test_sizes_in_the_order_of_the_numbers() -> None:
    assert metrics.object_sizes(THREE).tolist() == [4, 4, 2]
    assert metrics.object_sizes(NONE).tolist() == []
    assert metrics.object_sizes(np.full((2, 2), 3)).tolist() == [4]


SPREADS = [(THREE, math.sqrt(8 / 9) / (10 / 3)), (np.array([[1, 0, 2]]), 0.0), (np.array([[1, 1]]), math.nan)]


@pytest.mark.parametrize(("objects", "expected"), [*SPREADS, (NONE, math.nan)])
def test_spread_is_the_coefficient_of_variation(objects: np.ndarray, expected: float) -> None:
    assert metrics.size_spread(objects) == pytest.approx(expected, nan_ok=True)


#: Map, spacing -> objects by the area or volume of the whole map.
DENSITIES = [
    (THREE, None, 3 / 20),
    (THREE, 0.5, 3 / 5),
    (THREE, (2, 0.5), 3 / 20),
    (THREE[:, :, None], (1, 1, 4), 3 / 80),
    (NONE, None, 0.0),
]


@pytest.mark.parametrize(("objects", "spacing", "expected"), DENSITIES)
def test_density(objects: np.ndarray, spacing: float | None, expected: float) -> None:
    assert metrics.object_density(objects, spacing) == pytest.approx(expected)


#: Map -> edges between two objects, edges between an object and the background.
EDGES = [
    (THREE, 2, 9),
    (np.array([[1, 2], [3, 4]]), 4, 0),
    (np.array([[1, 0], [0, 2]]), 0, 4),
    (np.array([[[1, 2]], [[1, 0]]]), 1, 2),
]


@pytest.mark.parametrize(("objects", "touching", "free"), EDGES)
def test_share_of_the_boundary_that_touches(objects: np.ndarray, touching: int, free: int) -> None:
    assert metrics.touching_share(objects) == pytest.approx(2 * touching / (2 * touching + free))


@pytest.mark.parametrize("objects", [NONE, np.ones((3, 3), int)])
def test_no_boundary_at_all(objects: np.ndarray) -> None:
    assert math.isnan(metrics.touching_share(objects))
