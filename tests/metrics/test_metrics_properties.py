# SPDX-License-Identifier: Apache-2.0
"""Properties of the metrics that hold for any masks, values worked out by hand, and every refused input."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sa2_monai import metrics


def blobs(seed: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=shape), 2)
    other = field + 0.3 * gaussian_filter(rng.normal(size=shape), 2)
    return field > field.std() * 0.5, other > other.std() * 0.5


def all_distances(prediction: np.ndarray, reference: np.ndarray, spacing: tuple[float, ...]) -> list[float]:
    d = metrics.surface_distances(prediction, reference, spacing)
    functions = (metrics.hd, metrics.hd95, metrics.hd95_pooled, metrics.asd, metrics.assd, metrics.masd)
    return [f(*d) for f in functions] + [metrics.nsd(*d, 1.3)]


@pytest.mark.parametrize(("shape", "spacing"), [((20, 17), (0.6, 1.4)), ((14, 12, 9), (0.8, 1.1, 2.5))])
def test_axes_may_be_permuted_together_with_the_spacing(shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    prediction, reference = blobs(0, shape)
    expected = all_distances(prediction, reference, spacing)
    for order in itertools.permutations(range(len(shape))):
        found = all_distances(prediction.transpose(order), reference.transpose(order), tuple(spacing[a] for a in order))
        assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("margin", [0, 1, 5])
def test_cropping_to_the_union_changes_nothing(margin: int) -> None:
    prediction, reference = (np.pad(m, 9) for m in blobs(1, (13, 15, 8)))
    # one object touches nothing of the frame that is cut off
    inside = np.argwhere(prediction | reference)
    box = tuple(slice(max(a - margin, 0), b + 1 + margin) for a, b in zip(inside.min(0), inside.max(0), strict=True))
    spacing = (1.5, 1.5, 8.0)
    whole = all_distances(prediction, reference, spacing)
    assert all_distances(prediction[box], reference[box], spacing) == pytest.approx(whole, abs=1e-12)


def test_symmetric_metrics_do_not_care_which_mask_comes_first() -> None:
    prediction, reference = blobs(2, (18, 16, 10))
    there = metrics.surface_distances(prediction, reference, (1, 2, 3.0))
    back = metrics.surface_distances(reference, prediction, (1, 2, 3.0))
    for metric in (metrics.hd, metrics.hd95, metrics.hd95_pooled, metrics.assd, metrics.masd):
        assert metric(*there) == pytest.approx(metric(*back), abs=1e-12)
    assert metrics.asd(*there) != pytest.approx(metrics.asd(*back), abs=1e-6)


@pytest.mark.parametrize("k", [0.25, 3.0])
def test_scaling_the_spacing_scales_the_distances(k: float) -> None:
    prediction, reference = blobs(3, (18, 16, 10))
    spacing = np.array([0.7, 0.9, 4.0])
    one = metrics.surface_distances(prediction, reference, spacing.tolist())
    scaled = metrics.surface_distances(prediction, reference, (k * spacing).tolist())
    for metric in (metrics.hd, metrics.hd95, metrics.hd95_pooled, metrics.assd, metrics.masd):
        assert metric(*scaled) == pytest.approx(k * metric(*one))
    for tolerance in (0.8, 2.1):
        assert metrics.nsd(*scaled, k * tolerance) == metrics.nsd(*one, tolerance)


@pytest.mark.parametrize("shape", [(11, 12), (7, 8, 6)])
def test_distances_equal_the_definition_by_brute_force(shape: tuple[int, ...]) -> None:
    prediction, reference = blobs(4, shape)
    spacing = np.arange(1, len(shape) + 1) * 0.7

    def surface(mask: np.ndarray) -> list[np.ndarray]:
        points = []
        for index in np.argwhere(mask):
            for axis, step in itertools.product(range(mask.ndim), (-1, 1)):
                neighbour = index.copy()
                neighbour[axis] += step
                outside = not 0 <= neighbour[axis] < mask.shape[axis]
                if outside or not mask[tuple(neighbour)]:
                    points.append(index * spacing)
                    break
        return points

    p, r = surface(prediction), surface(reference)
    expected = sorted(min(float(np.linalg.norm(a - b)) for b in r) for a in p)
    found, _ = metrics.surface_distances(prediction, reference, spacing.tolist())
    assert sorted(found) == pytest.approx(expected, abs=1e-12)


def test_an_empty_mask_leaves_no_distance() -> None:
    mask = np.zeros((5, 6), bool)
    mask[2, 3] = True
    empty = np.zeros_like(mask)
    there, back = metrics.surface_distances(mask, empty)
    assert np.isinf(there).all()
    assert len(there) == 1
    assert len(back) == 0
    assert metrics.nsd(there, back, 2.0) == 0
    nothing = metrics.surface_distances(empty, empty)
    assert np.isnan(metrics.nsd(*nothing, 2.0))
    for metric in (metrics.hd, metrics.hd95, metrics.hd95_pooled, metrics.asd, metrics.assd, metrics.masd):
        assert np.isnan(metric(there, back))
        assert np.isnan(metric(*nothing))


def test_holes_count_as_surface() -> None:
    disc = np.ones((9, 9), bool)
    ring = disc.copy()
    ring[4, 4] = False
    there, _ = metrics.surface_distances(disc, ring)
    _, back = metrics.surface_distances(disc, ring)
    assert there.max() == 0
    assert back.max() == 3  # from the wall of the hole, three rows inside, to the border of the array


def test_counts_take_integers_and_are_python_integers() -> None:
    c = metrics.counts(np.array([[2, 0], [1, 0]], np.uint8), np.array([[1, 1], [0, 0]]))
    assert c == (1, 1, 1, 1)
    assert all(type(n) is int for n in c)
    assert (c.prediction, c.reference) == (2, 2)
    assert metrics.accuracy(c) == 0.5
    assert metrics.f_beta(metrics.Counts(2, 2, 0, 0)) == pytest.approx(5 * 0.5 / (4 * 0.5 + 1))


def test_a_zero_denominator_is_not_a_number() -> None:
    nothing = metrics.Counts(0, 0, 0, 0)
    for metric in (metrics.dice, metrics.jaccard, metrics.precision, metrics.sensitivity, metrics.specificity):
        assert np.isnan(metric(nothing))
    assert np.isnan(metrics.accuracy(nothing))
    assert np.isnan(metrics.f_beta(nothing))


def test_contour_area_of_shapes_known_by_hand() -> None:
    mask = np.zeros((40, 50), np.uint8)
    mask[10:17, 5:25] = 3  # 7 rows, 20 columns: (7 - 1)(20 - 1)
    assert metrics.largest_contour_percent(mask) == pytest.approx(100 * 6 * 19 / 2000)
    mask[12:15, 8:20] = 0  # a hole changes the pixels, not the outer contour
    assert metrics.largest_contour_percent(mask) == pytest.approx(100 * 6 * 19 / 2000)
    assert metrics.largest_object_percent(mask) == pytest.approx(100 * (140 - 36) / 2000)
    assert metrics.largest_contour_percent(np.zeros((5, 5), int)) == 0
    single = np.zeros((8, 8), bool)
    single[4, 4] = True
    assert metrics.largest_contour_percent(single) == 0
    assert metrics.largest_object_percent(single) == pytest.approx(100 / 64)


def test_objects_of_different_values_are_not_joined() -> None:
    mask = np.zeros((10, 10), np.uint8)
    mask[2:4, 2:4], mask[4:7, 2:4] = 1, 2
    assert metrics.largest_object_percent(mask) == 6
    assert metrics.largest_object_percent(mask > 0) == 10


def test_e_measure_of_maps_known_by_hand() -> None:
    reference = np.zeros((6, 6), bool)
    reference[1:4, 1:4] = True
    assert metrics.e_measure(reference, reference) == pytest.approx(36 / 35, abs=1e-5)
    assert metrics.e_measure(~reference, reference) == pytest.approx(0, abs=1e-5)
    assert metrics.e_measure(reference, np.zeros_like(reference)) == pytest.approx(27 / 35)
    assert np.isnan(metrics.e_measure(np.ones((1, 1), bool), np.ones((1, 1), bool)))
    assert np.isnan(metrics.mean_absolute_error(np.ones(0, bool), np.ones(0, bool)))


GOOD = np.zeros((4, 5), bool)
BAD_CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "float mask": (lambda: metrics.counts(GOOD.astype(float), GOOD), "prediction has data type float64.*threshold"),
    "float reference": (lambda: metrics.surface_distances(GOOD, GOOD.astype(np.float32)), "reference has data type"),
    "shapes": (lambda: metrics.surface_distances(GOOD, GOOD.T), r"\(4, 5\), reference \(5, 4\)"),
    "scalar": (lambda: metrics.counts(np.True_, np.True_), "single number"),
    "one axis": (lambda: metrics.surface_distances(GOOD[0], GOOD[0]), "two or three axes"),
    "spacing length": (lambda: metrics.surface_distances(GOOD, GOOD, (1, 1, 1.0)), "expected 2 numbers"),
    "spacing zero": (lambda: metrics.surface_distances(GOOD, GOOD, (1, 0)), "expected positive finite"),
    "spacing nan": (lambda: metrics.surface_distances(GOOD, GOOD, (1, np.nan)), "expected positive finite"),
    "spacing text": (lambda: metrics.surface_distances(GOOD, GOOD, "ab"), "expected 2 positive numbers"),  # type: ignore[arg-type]
    "tolerance": (lambda: metrics.nsd(np.zeros(1), np.zeros(1), -1), "tolerance is -1"),
    "class outside": (lambda: metrics.confusion_matrix(GOOD.astype(int), GOOD + 7, 3), r"reference holds \[7\]"),
    "E-measure axes": (lambda: metrics.e_measure(GOOD[0], GOOD[0]), "expected .H, W."),
    "size of a float": (lambda: metrics.largest_object_percent(GOOD * 0.5), "boolean or integer map"),
    "size of a volume": (lambda: metrics.largest_contour_percent(np.zeros((2, 2, 2), int)), r"\(2, 2, 2\)"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_input_is_refused(name: str) -> None:
    call, message = BAD_CALLS[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_one_number_is_the_spacing_of_all_axes() -> None:
    prediction, reference = blobs(5, (15, 15))
    one = metrics.surface_distances(prediction, reference, 0.5)
    assert np.array_equal(one[0], metrics.surface_distances(prediction, reference, (0.5, 0.5))[0])
