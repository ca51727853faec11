# SPDX-License-Identifier: Apache-2.0
"""Means and losses of a condition against independent code, and where a model loses 5 points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sa2_monai.bundle.stress.curves import robustness_curves
from sa2_monai.bundle.stress.scores import condition_scores, loses_points_at, read_rows
from sa2_monai.bundle.stress.table import stress_csv, stress_table
from sa2_monai.evaluation import compare, evaluate

#: Dice of the clean images and at the strengths -> where 5 points are lost.
LOSSES: list[tuple[list[float | None], float | None]] = [
    ([0.9, 0.88, 0.84, 0.8, 0.7, 0.6], 1.75),
    ([0.9, 0.85, 0.9, 0.9, 0.9, 0.9], 1.0),
    ([0.9, 0.8, 0.9, 0.9, 0.9, 0.9], 0.5),
    ([0.9, 0.95, 0.75, 0.9, 0.9, 0.9], 1.5),
    ([0.9, 0.9, 0.9, 0.9, 0.9, 0.86], None),
    ([0.9, 0.9, 0.9, 0.9, 0.9, 0.85], 5.0),
    ([None, 0.5, 0.5, 0.5, 0.5, 0.5], None),
    ([0.9, None, 0.8, 0.8, 0.8, 0.8], 1.0),
]


@pytest.mark.parametrize(("means", "expected"), LOSSES)
def test_where_five_points_are_lost(means: list[float | None], expected: float | None) -> None:
    assert loses_points_at(means) == (expected if expected is None else pytest.approx(expected))


def two_conditions(folder: Path) -> tuple[Any, Any]:
    """Evaluations of the same cases, clean and corrupted; something is missed, a class is in one map only."""
    rng = np.random.default_rng(0)
    references = {f"c{k}": (rng.random((12, 12)) > 0.5).astype(np.uint8) * (1 + k % 2) for k in range(8)}
    clean = {case: np.where(rng.random((12, 12)) > 0.1, labels, 0) for case, labels in references.items()}
    worse = {case: np.where(rng.random((12, 12)) > 0.4, labels, 0) for case, labels in references.items()}
    worse["c0"][:] = 0
    worse["c1"][0, 0] = 1
    results = [evaluate(maps, references, ["b", "x", "y"]) for maps in (clean, worse)]
    for result, name in zip(results, ("clean", "worse"), strict=True):
        result.write(folder / name)
    return results[0], results[1]


def test_scores_are_those_of_the_evaluation_and_of_the_comparison(tmp_path: Path) -> None:
    clean, worse = two_conditions(tmp_path)
    found = condition_scores(read_rows(tmp_path / "worse"), read_rows(tmp_path / "clean"), None)
    dice, difference = worse.summary["overall"]["dice"], compare(clean, worse)["overall"]["dice"]
    assert found["dice"] == pytest.approx(dice["mean_of_class_means"])
    assert [found[f"ci95_{end}"] for end in ("low", "high")] == [dice[f"ci95_{end}"] for end in ("low", "high")]
    assert found["loss"] == pytest.approx(difference["difference"])
    assert found["loss_ci95_low"] == pytest.approx(difference["ci95_low"])
    assert found["loss_ci95_high"] == pytest.approx(difference["ci95_high"])
    assert found["nsd"] == pytest.approx(worse.summary["overall"]["nsd"]["mean_of_class_means"])
    assert found["missed"] == 1
    same = condition_scores(read_rows(tmp_path / "clean"), read_rows(tmp_path / "clean"), None)
    assert (same["loss"], same["loss_ci95_low"], same["loss_ci95_high"]) == (0, 0, 0)


def document(shift: float) -> dict[str, Any]:
    entries = [
        {"strength": k, "value": 0.1 * k, "dice": 0.9 - shift * k, "ci95_low": 0.8 - shift * k, "ci95_high": 0.95}
        for k in range(1, 6)
    ]
    return {
        "cases": 7,
        "clean": {"dice": 0.9, "ci95_low": 0.8, "ci95_high": 0.95},
        "corruptions": {
            "noise": {"title": "noise", "parameter": "sd", "strengths": entries, "loses_5_points_at": 0.05 / shift}
        },
        "left_out": {"stain": "is for colour images, these have 1 channel"},
        "warnings": [],
    }


def test_curves_of_one_model_have_a_band_and_of_several_one_line_each() -> None:
    (one,) = robustness_curves({"A": document(0.02)})
    assert [line.name for line in one.lines] == ["A"]
    assert len(one.lines[0].band.split()) == 12
    assert one.y.low <= 0.7
    assert one.y.high >= 0.95
    (both,) = robustness_curves({"A": document(0.02), "B": document(0.05)})
    assert [(line.name, line.class_value, line.band) for line in both.lines] == [("A", 1, ""), ("B", 2, "")]
    assert [text for _, _, text in both.lines[0].dots][:2] == ["A, strength 0: 0.900", "A, strength 1: 0.880"]
    assert robustness_curves({}) == []


def test_text_and_csv() -> None:
    text = stress_table(document(0.02))
    assert "noise  0.8800  0.8600  0.8400  0.8200  0.8000  at strength 2.5" in text
    assert "stain is for colour images, these have 1 channel: left out" in text
    row = {"corruption": "noise", "strength": 1, "value": 0.02, "case": "a", "class_name": "x", "status": "ok"}
    lines = stress_csv([{**row, "dice": 0.5, "nsd": float("nan"), "hd95": 2.0}]).splitlines()
    assert lines == ["corruption,strength,value,case,class_name,status,dice,nsd,hd95", "noise,1,0.02,a,x,ok,0.5,,2.0"]
