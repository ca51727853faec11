# SPDX-License-Identifier: Apache-2.0
"""Both protocols against the golden cases, the golden image set and the golden cohort."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sa2_monai.evaluation import evaluate
from sa2_monai.evaluation.scores.statistics import Bootstrap
from sa2_monai.evaluation.scores.summary import summarize

GOLDENS = Path(__file__).parents[1] / "goldens"
GOLDEN = json.loads((GOLDENS / "metrics.json").read_text())
ARRAYS = dict(np.load(GOLDENS / "metrics.npz"))
CASES = {case["name"]: case for case in GOLDEN["cases"]}
SET = GOLDEN["image_sets"][0]
GRID = ARRAYS["image_set.pred"].shape[1:]
TIGHT = {"rel": 1e-9, "abs": 1e-9}


def class_names(case: dict[str, Any]) -> list[str]:
    return ["background", *(f"class {value}" for value in case["classes"])]


def check(found: float | None, expected: float | None) -> None:
    if expected is None:
        assert found is None or math.isnan(found)
    else:
        assert found == pytest.approx(expected, **TIGHT)


@pytest.mark.parametrize("name", CASES)
def test_clinical_rows(name: str) -> None:
    case = CASES[name]
    for index, tolerance in enumerate(case["tolerances"]):
        result = evaluate(
            {name: ARRAYS[f"{name}.pred"]},
            {name: ARRAYS[f"{name}.ref"]},
            class_names(case),
            spacing=case["spacing"],
            tolerance=tolerance,
            empty="worst",
            bootstrap_samples=10,
        )
        assert [row["class_value"] for row in result.per_case] == [int(value) for value in case["classes"]]
        for row in result.per_case:
            golden = dict(case["classes"][str(row["class_value"])]["clinical"])
            worst, nsd = golden.pop("worst_case"), list(golden.pop("nsd").values())
            assert row["status"] == golden.pop("status")
            check(row["nsd"], nsd[index])
            check(row["masd"], case["classes"][str(row["class_value"])]["mm"]["masd"])
            for column, expected in golden.items():
                check(row[column], expected)
            block = result.summary["per_class"][row["class_name"]]
            check(block["hd95_worst"]["mean"], worst["hd95"])
            check(block["dice_worst"]["mean"], worst["dice"])
        if "clinical_mean" in case:
            for metric, expected in case["clinical_mean"].items():
                check(result.summary["overall"][metric]["mean_of_class_means"], expected)


@pytest.mark.parametrize("name", CASES)
def test_family_volume(name: str) -> None:
    case = CASES[name]
    result = evaluate(
        {name: ARRAYS[f"{name}.pred"]},
        {name: ARRAYS[f"{name}.ref"]},
        class_names(case),
        "paper",
        family="volume",
        bootstrap_samples=10,
    )
    for row in result.per_case:
        golden = case["classes"][str(row["class_value"])]["paper"]
        check(row["dice"], golden["dice"])
        check(row["hd95"], golden["hd95"])
    if "paper_mean" in case:
        check(result.summary["paper"]["dice"], case["paper_mean"]["dice"])
        check(result.summary["paper"]["hd95"], case["paper_mean"]["hd95"])


def image_set(binary: bool) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The golden image set as mappings; binary references have the ignored pixels in the background, as the goldens."""
    prediction, reference = ARRAYS["image_set.pred"], ARRAYS["image_set.ref"]
    if binary:
        prediction, reference = (prediction > 0) * 1, ((reference > 0) & (reference != 255)) * 1
    return {str(i): p for i, p in enumerate(prediction)}, {str(i): r for i, r in enumerate(reference)}


def run_binary(family: str, **options: Any) -> Any:
    predictions, references = image_set(binary=True)
    options = {"grid": GRID, **options}
    return evaluate(predictions, references, ["other", "object"], "paper", family=family, paper=options)


def test_family_image() -> None:
    result = run_binary("image")
    for row, golden in zip(result.per_case, SET["per_image_binary"], strict=True):
        check(row["dice"], golden["dice_eps"])
        check(row["jaccard"], golden["iou_zero"])
    check(result.summary["paper"]["dice"], SET["per_image_binary_mean"]["dice_eps"])
    check(result.summary["paper"]["iou"], SET["per_image_binary_mean"]["iou_zero"])


def test_family_image_ensemble_with_plus_one() -> None:
    plain = run_binary("image_ensemble")
    check(plain.summary["paper"]["dice"], SET["per_image_binary_mean"]["dice_eps"])
    plus_one = run_binary("image_ensemble", plus_one=True)
    for row, golden in zip(plus_one.per_case, SET["per_image_binary"], strict=True):
        check(row["dice"], golden["dice_plus_one"])
    check(plus_one.summary["paper"]["dice"], SET["per_image_binary_mean"]["dice_plus_one"])
    check(plus_one.summary["paper"]["iou"], SET["per_image_binary_mean"]["iou_zero"])


def test_family_pooled() -> None:
    values, golden = run_binary("pooled").summary["paper"], SET["pooled_binary"]
    assert values["counts"] == {key: golden[key] for key in ("tp", "fp", "fn", "tn")}
    check(values["dice"], golden["dice"])
    check(values["accuracy"], golden["accuracy"])
    check(values["jaccard"], golden["jaccard_macro"])
    check(values["lesion"]["jaccard"], golden["jaccard_foreground"])
    for name in ("precision", "sensitivity", "specificity"):
        check(values["lesion"][name], golden[name])


def test_family_cell() -> None:
    nuclei = {str(i): n for i, n in enumerate(ARRAYS["image_set.nucleus"])}
    values, golden = run_binary("cell", nuclei=nuclei).summary["paper"], SET["pooled_without_nucleus"]
    assert values["counts"] == {key: golden[key] for key in ("tp", "fp", "fn", "tn")}
    check(values["dice"], golden["dice"])
    check(values["accuracy"], golden["accuracy"])
    check(values["jaccard"], golden["jaccard_macro"])


def test_family_size_range() -> None:
    predictions, references = image_set(binary=False)
    options = {"grid": GRID, "sizes": [0.05, 1, 2, 5, 10, 100]}
    result = evaluate(predictions, references, ["a", "b", "c"], "paper", family="size_range", paper=options)
    values, golden = result.summary["paper"], SET["pooled_classes"]
    for metric in ("iou", "dice", "precision", "recall", "f2"):
        assert values["classes"][metric] == pytest.approx(golden[metric], **TIGHT)
        check(values["classes"]["micro"][metric], golden["micro"][metric])
        check(values["classes"]["macro"][metric], golden["macro"][metric])
    assert values["classes"]["image_count"] == golden["image_count"]
    check(values["e_measure"], SET["e_measure_mean"])
    check(values["mean_absolute_error"], SET["absolute_error_mean"])
    for index, (name, block) in enumerate(values["images"].items()):
        assert name == str(index)
        check(block["contour_percent"], SET["largest_contour_percent"][index])
        check(block["object_percent"], SET["largest_object_percent"][index])
    for limit, expected in SET["size_below_percent"].items():
        block = values["below_percent"][limit]
        assert [int(case) for case in block["cases"]] == expected["images"]
        assert block["iou"] == pytest.approx(expected["iou"], **TIGHT)
        assert block["dice"] == pytest.approx(expected["dice"], **TIGHT)
        check(block["micro"]["iou"], expected["micro_iou"])
        check(block["micro"]["dice"], expected["micro_dice"])
    assert values["below_percent"]["0.05"]["cases"] == ["3"]  # the image without an object has size 0
    contour = evaluate(
        predictions, references, ["a", "b", "c"], "paper", family="size_range", paper={**options, "size": "contour"}
    )
    # image 2 has 4.69 % by pixels and 5.13 % by its outer contour
    assert contour.summary["paper"]["below_percent"]["5"]["cases"] == ["0", "1", "3", "4", "5"]


def test_summary_of_the_cohort() -> None:
    cohort = GOLDEN["cohorts"][0]
    names, draw = cohort["classes"], cohort["bootstrap"]
    cases = [f"{index:02d}" for index in range(len(cohort["dice"]))]
    rows = [
        {
            "case": case,
            "class_value": value,
            "class_name": name,
            "status": "ok",
            **{m: math.nan if cohort[m][i][value] is None else cohort[m][i][value] for m in ("dice", "hd95")},
        }
        for i, case in enumerate(cases)
        for value, name in enumerate(names)
    ]
    bootstrap = Bootstrap(cases, samples=draw["samples"], seed=draw["seed"])
    found = summarize(rows, cases, names, bootstrap, ("dice", "hd95"))
    for metric in ("dice", "hd95"):
        for name in names:
            golden = cohort["summary"][metric][name]
            assert set(found["per_class"][name][metric]) == set(golden)
            for key, expected in golden.items():
                check(found["per_class"][name][metric][key], expected)
        overall = found["overall"][metric]
        check(overall["mean_of_class_means"], cohort["mean_of_class_means"][metric])
        check(overall["mean_of_case_means"], cohort["mean_of_case_means"][metric])
    low, high = cohort["mean_of_class_means_ci95"]["dice"]
    check(found["overall"]["dice"]["ci95_low"], low)
    check(found["overall"]["dice"]["ci95_high"], high)
