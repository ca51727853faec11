# SPDX-License-Identifier: Apache-2.0
"""Grids whose axes are not at right angles: overlap and volumes as ever, distances by the affine."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sa2_monai.evaluation import evaluate
from sa2_monai.evaluation.cases.loading import CaseLoader, LoadedCase
from sa2_monai.evaluation.scores.case_rows import case_rows, diagonal, sheared_axes
from sa2_monai.io.label_maps import LabelMap
from sa2_monai.metrics import Structure, measure_structures
from sa2_monai.metrics.nearest import surface_mask

TWO = {0: "background", 1: "liver"}
SPACING = np.array([0.8, 1.5, 3.0])


def labels(shape: tuple[int, ...] = (16, 14, 10)) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and reference with two pieces each, one of them without a partner, and a second class."""
    reference, prediction = np.zeros((2, *shape), np.uint8)
    flat = len(shape) == 2
    reference[np.s_[2:9, 3:10, 2:7][: 2 if flat else 3]] = 1
    prediction[np.s_[3:11, 3:9, 3:7][: 2 if flat else 3]] = 1
    prediction[np.s_[14:16, 12:14, 8:9][: 2 if flat else 3]] = 1
    reference[np.s_[12:15, 1:5, 7:10][: 2 if flat else 3]] = 2
    prediction[np.s_[12:15, 2:6, 7:10][: 2 if flat else 3]] = 2
    return prediction, reference


def sheared(degrees: float, which: tuple[int, int] = (0, 1)) -> np.ndarray:
    """An affine of which one axis leans towards another one by an angle."""
    lean = np.eye(3)
    lean[which] = np.tan(np.radians(degrees))
    affine = np.eye(4)
    affine[:3, :3] = lean * SPACING
    affine[:3, 3] = -40, 20, 7
    return affine


def case(affine: np.ndarray, prediction: np.ndarray, reference: np.ndarray) -> LoadedCase:
    norms = tuple(float(n) for n in np.linalg.norm(affine[:3, : reference.ndim], axis=0))
    return LoadedCase("a", prediction, reference, LabelMap(reference, norms, "mm", affine, "a.nii"), "p.nii", False)


def by_all_pairs(p: np.ndarray, r: np.ndarray, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The definition: positions of all surface voxels, every one against every other."""
    points = [np.argwhere(surface_mask(mask)) @ axes.T for mask in (p, r)]
    table = np.linalg.norm(points[0][:, None] - points[1][None], axis=-1)
    return table.min(axis=1), table.min(axis=0)


def check(found: Structure, axes: np.ndarray, value: int, maps: tuple[np.ndarray, np.ndarray]) -> None:
    for mine, exact in zip(found.distances, by_all_pairs(maps[0] == value, maps[1] == value, axes), strict=True):
        np.testing.assert_allclose(np.sort(mine), np.sort(exact), atol=1e-9)


@given(st.lists(st.floats(-1, 1), min_size=9, max_size=9), st.permutations([0, 1, 2]))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_distances_are_those_of_all_pairs_of_positions(noise: list[float], order: list[int]) -> None:
    axes = (np.eye(3) + 0.3 * np.reshape(noise, (3, 3))) * SPACING
    prediction, reference = labels()
    for value, found in measure_structures(prediction, reference, (1, 2), axes=axes).items():
        check(found, axes, value, (prediction, reference))
    # a storage order is no geometry
    turned = prediction.transpose(order), reference.transpose(order)
    again = measure_structures(*turned, (1, 2), axes=axes[:, order])
    for value, found in measure_structures(prediction, reference, (1, 2), axes=axes).items():
        assert again[value].counts == found.counts
        for mine, other in zip(again[value].distances, found.distances, strict=True):
            np.testing.assert_allclose(np.sort(mine), np.sort(other), atol=1e-9)


def test_axes_at_right_angles_give_the_distances_of_the_spacing() -> None:
    prediction, reference = labels()
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    by_spacing = measure_structures(prediction, reference, (1, 2), SPACING.tolist())
    for axes in (np.diag(SPACING), turn * SPACING):
        for value, found in measure_structures(prediction, reference, (1, 2), axes=axes).items():
            for mine, other in zip(found.distances, by_spacing[value].distances, strict=True):
                np.testing.assert_allclose(np.sort(mine), np.sort(other), atol=1e-9)


def test_slices_have_two_axes_in_space() -> None:
    maps = labels((16, 14))
    axes = sheared(15)[:3, :2]
    check(measure_structures(*maps, (1,), axes=axes)[1], axes, 1, maps)


@pytest.mark.parametrize(
    ("degrees", "which"), [(0.11, (0, 1)), (15, (0, 1)), (-30, (1, 2)), (20, (2, 0)), (40, (0, 2))]
)
def test_a_sheared_case_has_all_its_values(degrees: float, which: tuple[int, int]) -> None:
    affine = sheared(degrees, which)
    prediction, reference = labels()
    item = case(affine, prediction, reference)
    row = case_rows(item, TWO, {"liver": 2.0})[0]
    straight = case_rows(case(sheared(0), prediction, reference), TWO, {"liver": 2.0})[0]
    for name in ("dice", "jaccard", "sensitivity", "voxels_ref", "volume_ref_ml", "volume_difference_ml"):
        assert row[name] == pytest.approx(straight[name], abs=1e-12)  # a shear keeps the volume
    d = by_all_pairs(prediction == 1, reference == 1, affine[:3, :3])
    assert row["hd"] == pytest.approx(max(d[0].max(), d[1].max()))
    assert row["assd"] == pytest.approx(np.concatenate(d).mean())
    assert row["nsd"] == pytest.approx(np.mean(np.concatenate(d) <= 2.0 + 1e-9))
    assert row["hd"] != straight["hd"]
    corners = np.array(list(itertools.product(*[(0, n) for n in reference.shape]))) @ affine[:3, :3].T
    exact = np.linalg.norm(corners[:, None] - corners[None], axis=-1).max()
    assert diagonal(item) == pytest.approx(exact)


def test_what_is_no_shear() -> None:
    prediction, reference = labels()
    for degrees in (0.0, 0.05):  # a cosine of 0.0009
        assert sheared_axes(case(sheared(degrees), prediction, reference)) is None
    item = case(sheared(30), prediction, reference)
    assert sheared_axes(replace(item, geometry=replace(item.geometry, affine=None))) is None


def test_sheared_and_straight_cases_in_one_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    prediction, reference = labels()
    reference[reference == 2], prediction[prediction == 2] = 0, 0

    def load(self: CaseLoader, name: str) -> LoadedCase:
        return replace(case(sheared(15 if name == "b" else 0), prediction, reference), case=name)

    monkeypatch.setattr(CaseLoader, "load", load)
    maps = {"a": prediction, "b": prediction}, {"a": reference, "b": reference}
    result = evaluate(*maps, TWO, empty="worst", bootstrap_samples=2)
    first, second = result.per_case
    assert (first["dice"], first["volume_pred_ml"]) == (second["dice"], pytest.approx(second["volume_pred_ml"]))
    assert first["assd"] != second["assd"]


BAD_AXES = {
    "shape": (np.eye(2), r"axes have shape \(2, 2\), expected a column for each of the 3 axes"),
    "one plane": (np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]]), "that span 3 dimensions"),
    "not finite": (np.diag([1, np.nan, 1]), "expected finite columns"),
}


@pytest.mark.parametrize("name", BAD_AXES)
def test_axes_that_are_none(name: str) -> None:
    axes, message = BAD_AXES[name]
    with pytest.raises(ValueError, match=message):
        measure_structures(*labels(), (1,), axes=axes)
    with pytest.raises(ValueError, match="spacing and axes are given"):
        measure_structures(*labels(), (1,), 1.0, axes=axes)
