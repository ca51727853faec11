# SPDX-License-Identifier: Apache-2.0
"""The metrics against the golden cases, which come from an independent implementation, MedPy and MONAI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sa2_monai import metrics

GOLDENS = Path(__file__).parents[1] / "goldens"
GOLDEN = json.loads((GOLDENS / "metrics.json").read_text())
ARRAYS = dict(np.load(GOLDENS / "metrics.npz"))
CASES = [
    pytest.param(case, int(value), id=f"{case['name']}-{value}")
    for case in GOLDEN["cases"]
    for value in case["classes"]
]
TIGHT = 1e-9


def check(found: float, expected: Any, rel: float = TIGHT, abs_: float = TIGHT) -> None:
    if expected is None:
        assert np.isnan(found)
    elif expected == "inf":
        assert np.isinf(found)
    else:
        assert found == pytest.approx(expected, rel=rel, abs=abs_)


def masks(case: dict[str, Any], value: int) -> tuple[np.ndarray, np.ndarray]:
    return ARRAYS[f"{case['name']}.pred"] == value, ARRAYS[f"{case['name']}.ref"] == value


@pytest.mark.parametrize(("case", "value"), CASES)
def test_overlap_equals_the_goldens(case: dict[str, Any], value: int) -> None:
    golden = case["classes"][str(value)]
    c = metrics.counts(*masks(case, value))
    assert c._asdict() == golden["counts"]
    for name, expected in golden["overlap"].items():
        check(getattr(metrics, name)(c), expected)


@pytest.mark.parametrize("block", ["voxel", "mm"])
@pytest.mark.parametrize(("case", "value"), CASES)
def test_distances_equal_the_goldens(case: dict[str, Any], value: int, block: str) -> None:
    golden = case["classes"][str(value)][block]
    there, back = metrics.surface_distances(*masks(case, value), case["spacing"] if block == "mm" else None)
    check(metrics.hd(there, back), golden["hd"])
    check(metrics.hd95(there, back), golden["hd95_max"])
    check(metrics.hd95_pooled(there, back), golden["hd95_pooled"])
    check(metrics.asd(there, back), golden["asd_pred_to_ref"])
    check(metrics.asd(back, there), golden["asd_ref_to_pred"])
    check(metrics.assd(there, back), golden["assd"])
    check(metrics.masd(there, back), golden["masd"])
    for tolerance, expected in golden["nsd"].items():
        check(metrics.nsd(there, back, float(tolerance)), expected)


@pytest.mark.parametrize(("case", "value"), CASES)
def test_values_equal_medpy_and_monai_where_both_masks_are_present(case: dict[str, Any], value: int) -> None:
    golden = case["classes"][str(value)]
    prediction, reference = masks(case, value)
    if not (prediction.any() and reference.any()):
        assert golden["medpy"]["hd_mm"] == "RuntimeError"
        return
    c, medpy, monai = metrics.counts(prediction, reference), golden["medpy"], golden["monai"]
    check(metrics.dice(c), medpy["dc"])
    check(metrics.jaccard(c), medpy["jc"])
    check(metrics.precision(c), medpy["precision"])
    check(metrics.sensitivity(c), medpy["recall"])
    check(metrics.dice(c), monai["dice_ignore_empty"], rel=1e-4)
    check(metrics.jaccard(c), monai["iou_ignore_empty"], rel=1e-4)
    for unit, spacing in (("voxel", None), ("mm", case["spacing"])):
        d = metrics.surface_distances(prediction, reference, spacing)
        check(metrics.hd(*d), medpy[f"hd_{unit}"])
        check(metrics.hd95_pooled(*d), medpy[f"hd95_{unit}"])
        check(metrics.asd(*d), medpy[f"asd_{unit}"])
        check(metrics.assd(*d), medpy[f"assd_{unit}"])
        check(metrics.hd95(*d), monai[f"hd95_{unit}"], rel=1e-4)
        check(metrics.assd(*d), monai[f"assd_{unit}"], rel=1e-4)
        for tolerance, expected in monai[f"nsd_{unit}"].items():
            check(metrics.nsd(*d, float(tolerance)), expected, rel=1e-4)


def test_foreground_maps_and_sizes_equal_the_golden_image_set() -> None:
    golden = GOLDEN["image_sets"][0]
    predictions = ARRAYS["image_set.pred"] > 0
    labels = np.where(ARRAYS["image_set.ref"] == golden["ignore_value"], 0, ARRAYS["image_set.ref"])
    for index, (prediction, label) in enumerate(zip(predictions, labels, strict=True)):
        check(metrics.e_measure(prediction, label > 0), golden["e_measure_per_image"][index])
        check(metrics.mean_absolute_error(prediction, label > 0), golden["absolute_error_per_image"][index])
        check(metrics.largest_object_percent(label), golden["largest_object_percent"][index])
        check(metrics.largest_contour_percent(label), golden["largest_contour_percent"][index])
    # with the means over the whole set (Q9); the specification gives four digits
    assert metrics.e_measure(predictions, labels > 0) == pytest.approx(0.8506, abs=5e-5)


def test_pooled_class_counts_equal_the_golden_image_set() -> None:
    golden = GOLDEN["image_sets"][0]["pooled_classes"]
    matrix = metrics.confusion_matrix(ARRAYS["image_set.pred"], ARRAYS["image_set.ref"], 3, ignore=255)
    assert matrix.sum(axis=1).tolist() == golden["ref_area"]
    assert matrix.sum(axis=0).tolist() == golden["pred_area"]
    for index in range(3):
        c = metrics.counts_of_class(matrix, index)
        assert c.tp == golden["intersection"][index]
        check(metrics.f_beta(c), golden["f2"][index])
