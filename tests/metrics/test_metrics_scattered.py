# SPDX-License-Identifier: Apache-2.0
"""Structures that are spread over a map: the one pass and the trees give what the search of boxes gives."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from sa2_monai import metrics
from sa2_monai.metrics import scattered, structures
from sa2_monai.metrics.surface import surface_mask
from tests.metrics.test_metrics_structures import CHANGES, check, label_maps


def noisy(labels: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(labels.shape) < share, rng.integers(0, 3, labels.shape), labels).astype(np.uint8)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Values that are measured as scattered ones, whatever the size of the map and the number of points."""
    monkeypatch.setattr(scattered, "_LARGE", 1)
    monkeypatch.setattr(scattered, "_SPARSE", 1e-9)
    monkeypatch.setattr(scattered, "_SLAB", 1000)
    values: list[int] = []
    find = structures.find_scattered

    def noted(*arguments: Any) -> dict[int, scattered.Scattered]:
        found = find(*arguments)
        values.extend(found)
        return found

    monkeypatch.setattr(structures, "find_scattered", noted)
    return values


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (4.0, 0.7, 0.9)])
@pytest.mark.parametrize("name", CHANGES)
def test_distances_and_counts_equal_the_definition(name: str, spacing: tuple[float, ...], taken: list[int]) -> None:
    check(*CHANGES[name](*label_maps((30, 26, 18))), spacing)
    assert taken or name in ("far away", "an island", "both empty")


@pytest.mark.parametrize("share", [0.001, 0.3])
@pytest.mark.parametrize("shape", [(40, 33, 21), (90, 71)])
def test_noise_in_both_maps(shape: tuple[int, ...], share: float, taken: list[int]) -> None:
    p, r = label_maps(shape, seed=4)
    spacing = (0.8, 0.9, 2.5)[: len(shape)]
    check(noisy(p, share), noisy(r, share, seed=1), spacing, (0, 1, 2, 5))
    check(noisy(p, share), r, spacing)
    assert set(taken) == {1, 2}


def test_sheared_axes(taken: list[int]) -> None:
    axes = np.array([[1.0, 0.2, 0.0], [0.0, 0.9, 0.1], [0.0, 0.0, 2.0]])
    maps = [noisy(labels, 0.001) for labels in label_maps((30, 26, 18))]
    found = metrics.measure_structures(*maps, (1, 2), axes=axes)
    assert set(taken) == {1, 2}
    for value in found:
        masks = [labels == value for labels in maps]
        points = [np.argwhere(surface_mask(mask)) @ axes.T for mask in masks]
        expected = np.linalg.norm(points[0][:, None] - points[1], axis=2)
        for distances, axis in zip(found[value].distances, (1, 0), strict=True):
            np.testing.assert_allclose(np.sort(distances), np.sort(expected.min(axis)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("share", "spread"), [(0.001, True), (0.2, False)])
def test_the_boxes_are_searched_where_surfaces_are_many(share: float, spread: bool) -> None:
    shape = (128, 128, 64)
    p, r = noisy(np.zeros(shape, np.uint8), share), noisy(np.zeros(shape, np.uint8), share, seed=1)
    found = scattered.find_scattered(p, r, {1: p.size, 2: p.size})
    assert set(found) == ({1, 2} if spread else set())
    assert scattered.find_scattered(p.astype(np.uint32), r.astype(np.uint32), {1: p.size}) == {}


def test_organs_and_small_maps_are_searched_in_boxes() -> None:
    box = tuple(slice(0, n) for n in (128, 128, 64))
    organ = tuple(slice(0, n // 2) for n in (128, 128, 64))
    assert scattered.spread_values({0: [box], 1: [box], 2: [organ]}, (128, 128, 64)) == {1: 128 * 128 * 64}
    assert scattered.spread_values({1: [box]}, (128, 128, 63)) == {}


def test_memory_of_a_noisy_map() -> None:
    empty = np.zeros((160, 160, 120), np.uint8)
    p, r = noisy(empty, 0.001), noisy(empty, 0.001, seed=1)
    tracemalloc.start()
    metrics.measure_structures(p, r, (1, 2), (0.8, 0.8, 2.5))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * p.nbytes
