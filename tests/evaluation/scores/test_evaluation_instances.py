# SPDX-License-Identifier: Apache-2.0
"""Detection of single objects in an evaluation."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sa2_monai.evaluation import evaluate

TWO = ["background", "nucleus"]


def numbers() -> tuple[np.ndarray, np.ndarray]:
    """Two nuclei that touch, one apart; the prediction finds the touching pair and invents one."""
    reference, prediction = np.zeros((2, 20, 30), np.uint8)
    reference[2:8, 2:8], reference[2:8, 8:14], reference[14:18, 4:8] = 1, 2, 3
    prediction[2:8, 2:8], prediction[2:8, 8:13], prediction[14:18, 20:24] = 5, 9, 2
    return prediction, reference


def test_files_with_numbers(tmp_path: Path) -> None:
    prediction, reference = numbers()
    result = evaluate({"a": prediction, "b": reference}, {"a": reference, "b": reference}, TWO, instances="auto")
    rows = [item.row() for item in result.objects]
    assert [(r["case"], r["tp"], r["fp"], r["fn"]) for r in rows] == [("a", 2, 1, 1), ("b", 3, 0, 0)]
    assert rows[0]["detection_f1"] == pytest.approx(2 / 3)
    assert rows[0]["panoptic_quality"] == pytest.approx((1 + 5 / 6) / 3)
    block = result.summary["instances"]
    assert block["per_case"]["detection_f1"]["mean"] == pytest.approx((2 / 3 + 1) / 2)
    assert block["per_case"]["detection_f1"]["ci95_low"] is not None
    assert (block["pooled"]["tp"], block["pooled"]["fn"]) == (5, 1)
    assert block["pooled"]["panoptic_quality"] == pytest.approx((1 + 5 / 6 + 3) / 6)
    # the mask of all nuclei is measured as well
    assert result.per_case[0]["voxels_ref"] == np.count_nonzero(reference)
    assert "detection_f1: 0.8333 mean over cases" in result.table()
    paths = result.write(tmp_path)
    with open(paths["instances"], newline="") as file:
        written = list(csv.DictReader(file))
    assert [line["case"] for line in written] == ["a", "b"]
    assert float(written[0]["panoptic_quality"]) == rows[0]["panoptic_quality"]
    assert json.loads(paths["json"].read_text())["instances"]["iou_threshold"] == 0.5


def masks() -> tuple[np.ndarray, np.ndarray]:
    return tuple((m > 0).astype(np.uint8) * 255 for m in numbers())  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("kind", "maps", "expected"),
    [
        ("auto", masks, (1, 1, 1)),  # the touching pair is one object there
        ("components", masks, (1, 1, 1)),
        ("components", numbers, (1, 1, 1)),
        ("numbers", numbers, (2, 1, 1)),
        ("numbers", masks, (1, 0, 0)),  # 255 is the number of one object
    ],
)
def test_what_an_object_is(kind: str, maps: Any, expected: tuple[int, int, int]) -> None:
    prediction, reference = maps()
    assert evaluate({"a": prediction}, {"a": reference}, TWO, instances=kind).objects[0].match[:3] == expected


def test_missing_predictions_and_empty_images() -> None:
    _, reference = numbers()
    empty = np.zeros_like(reference)
    result = evaluate({"b": empty}, {"a": reference, "b": empty}, TWO, instances="numbers")
    assert [item.match[:3] for item in result.objects] == [(0, 0, 3), (0, 0, 0)]
    assert result.summary["instances"]["per_case"]["detection_f1"]["n_valid"] == 1
    assert result.summary["instances"]["pooled"]["segmentation_quality"] is None


def test_predictions_as_files_beside_references_with_numbers(tmp_path: Path) -> None:
    prediction, reference = numbers()
    for folder, array in (("p", (prediction > 0) * np.uint8(255)), ("r", reference.astype(np.uint16) * 300)):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "a.png")
    result = evaluate(tmp_path / "p", tmp_path / "r", TWO, instances="auto")
    # the touching pair is one component, which overlaps neither nucleus by more than one half
    assert result.objects[0].match[:3] == (1, 1, 2)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "word": ({"instances": "many"}, "instances is 'many', expected one of auto, numbers, components"),
    "paper": ({"instances": "auto", "protocol": "paper", "family": "pooled"}, "belongs to the clinical protocol"),
    "classes": ({"instances": "numbers", "classes": ["b", "x", "y"]}, "exactly one class beside the background"),
}


@pytest.mark.parametrize("name", BAD)
def test_options_that_do_not_fit(name: str) -> None:
    options, message = BAD[name]
    prediction, reference = numbers()
    with pytest.raises(ValueError, match=message):
        evaluate({"a": prediction}, {"a": reference}, **{"classes": TWO, **options})


@pytest.mark.realdata
def test_real_nuclei_with_their_numbers(real_data: Path) -> None:
    folder = real_data / "bbbc038_nuclei"
    files = sorted((folder / "instances").glob("*.png"))[:4]
    references = {file.stem: file for file in files}
    same = evaluate(references, references, TWO, instances="numbers")
    assert same.summary["instances"]["pooled"]["panoptic_quality"] == 1
    masks = evaluate({f.stem: folder / "labels" / f.name for f in files}, references, TWO, instances="auto")
    assert masks.summary["overall"]["dice"]["mean_of_class_means"] == 1
    assert 0 < masks.summary["instances"]["pooled"]["detection_f1"] <= 1


def test_every_value_equals_code_of_its_own(tmp_path: Path) -> None:
    """AJI, PQ and F1 at every threshold, per case and of all objects together, from pixel sets and loops."""
    rng = np.random.default_rng(3)
    cases: dict[str, list[np.ndarray]] = {"p": [], "r": []}
    for _ in range(3):
        reference = np.kron(np.arange(1, 17).reshape(4, 4), np.ones((6, 6), int))
        reference[5::6] = 0
        reference[:, 5::6] = 0
        prediction = np.roll(reference, rng.integers(0, 3, 2), (0, 1)) * (rng.random((24, 24)) > 0.05)
        cases["p"].append(prediction)
        cases["r"].append(reference)
    names = "abc"
    result = evaluate(
        dict(zip(names, cases["p"], strict=True)), dict(zip(names, cases["r"], strict=True)), TWO, instances="numbers"
    )
    sums = {t: [0, 0, 0.0] for t in (0.5, 0.6, 0.7, 0.8, 0.9)}  # pairs, objects of both, IoU
    aji_sums = [0, 0]
    for item, prediction, reference in zip(result.objects, cases["p"], cases["r"], strict=True):
        p = [prediction == n for n in np.unique(prediction) if n]
        r = [reference == n for n in np.unique(reference) if n]
        iou = np.array([[(a & b).sum() / (a | b).sum() for b in r] for a in p])
        row = item.row()
        for threshold, added in sums.items():
            pairs = iou[iou > threshold]
            f1 = 2 * len(pairs) / (len(p) + len(r))
            column = "detection_f1" if threshold == 0.5 else f"detection_f1_{threshold * 100:.0f}"
            assert row[column] == pytest.approx(f1)
            added[:] = [added[0] + len(pairs), added[1] + len(p) + len(r), added[2] + pairs.sum()]
        assert row["panoptic_quality"] == pytest.approx(2 * iou[iou > 0.5].sum() / (len(p) + len(r)), abs=1e-9)
        best = iou.argmax(axis=0)
        shared = sum((p[i] & b).sum() for i, b in zip(best, r, strict=True))
        union = sum((p[i] | b).sum() for i, b in zip(best, r, strict=True))
        union += sum(a.sum() for i, a in enumerate(p) if i not in best)
        assert row["aji"] == pytest.approx(shared / union, abs=1e-9)
        aji_sums = [aji_sums[0] + shared, aji_sums[1] + union]
    pooled = result.summary["instances"]["pooled"]
    assert pooled["aji"] == pytest.approx(aji_sums[0] / aji_sums[1])
    assert pooled["panoptic_quality"] == pytest.approx(2 * sums[0.5][2] / sums[0.5][1])
    assert pooled["detection_f1_90"] == pytest.approx(2 * sums[0.9][0] / sums[0.9][1])
    low, high = result.summary["instances"]["pooled_ci95"]["aji"]
    assert low <= pooled["aji"] <= high
    assert "all together (95% CI" in result.table()


def test_objects_of_several_classes_never_match() -> None:
    reference, prediction = np.zeros((2, 12, 12), np.uint8)
    reference[1:5, 1:5], reference[7:11, 7:11] = 1, 2
    prediction[1:5, 1:5], prediction[7:11, 7:11] = 2, 2
    result = evaluate({"a": prediction}, {"a": reference}, ["background", "x", "y"], instances="components")
    assert result.objects[0].match[:3] == (1, 1, 1)
    assert result.objects[0].row()["aji"] == pytest.approx(16 / 48)


def test_numbers_in_files_of_their_own() -> None:
    prediction, reference = numbers()
    masks_of = {"a": (prediction > 0).astype(np.uint8)}, {"a": (reference > 0).astype(np.uint8)}
    result = evaluate(
        *masks_of, TWO, instances="auto", predicted_objects={"a": prediction}, reference_objects={"a": reference}
    )
    assert result.objects[0].match[:3] == (2, 1, 1)
    without = evaluate(*masks_of, TWO, instances="auto", predicted_objects={"a": prediction}, reference_objects={})
    assert without.objects[0].match[:3] == (0, 3, 2)  # of the reference what is connected: half of it is not enough
    with pytest.raises(ValueError, match=r"its map of instances has the shape \(19, 30\)"):
        evaluate(*masks_of, TWO, instances="auto", predicted_objects={"a": prediction[1:]}, reference_objects={})
