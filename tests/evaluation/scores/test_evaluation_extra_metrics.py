# SPDX-License-Identifier: Apache-2.0
"""Further columns of the clinical protocol: values per case, states, summary, comparison, limits."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sa2_monai import metrics
from sa2_monai.evaluation import compare, evaluate
from sa2_monai.evaluation.scores.extra_metrics import EXTRA_METRICS
from sa2_monai.evaluation.scores.limits import check_limits, parse_limits

NAMES = ["background", "a", "b"]
PIXELS = ("f2", "mean_absolute_error", "e_measure", "s_measure", "thresholded_jaccard")


def label_maps() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    field = gaussian_filter(rng.normal(size=(2, 40, 50)), (0, 3, 3))
    field[1] = field[0] + 0.5 * field[1]
    edges = np.quantile(field[0], [0.6, 0.85])
    return tuple(np.digitize(f, edges).astype(np.uint8) for f in field[::-1])  # type: ignore[return-value]


def test_every_column_is_the_metric_of_one_class_against_all_others() -> None:
    prediction, reference = label_maps()
    result = evaluate({"x": prediction}, {"x": reference}, NAMES, extra_metrics=PIXELS, bootstrap_samples=10)
    for row in result.per_case:
        masks = prediction == row["class_value"], reference == row["class_value"]
        c = metrics.counts(*masks)
        assert row["f2"] == 5 * c.tp / (5 * c.tp + 4 * c.fn + c.fp)
        assert row["mean_absolute_error"] == pytest.approx(np.mean(masks[0] != masks[1]), abs=1e-15)
        assert row["e_measure"] == pytest.approx(metrics.enhanced_alignment(*masks), abs=1e-15)
        assert row["s_measure"] == pytest.approx(metrics.s_measure(*masks), abs=1e-15)
        assert 0.3 < row["jaccard"] < 0.9
        assert row["thresholded_jaccard"] == (row["jaccard"] if row["jaccard"] >= 0.65 else 0)
    blocks = result.summary["per_class"]["a"]
    assert list(blocks)[-len(PIXELS) - 1 : -1] == list(PIXELS)
    assert blocks["s_measure"]["mean"] == result.per_case[0]["s_measure"]
    assert "E-measure" in result.table()
    assert result.summary["overall"]["f2"]["mean_of_class_means"] == pytest.approx(
        np.mean([row["f2"] for row in result.per_case])
    )


def mask(rows: int) -> np.ndarray:
    array = np.zeros((20, 20), np.uint8)
    array[:rows, :10] = 1
    return array


def test_the_official_score_of_isic_2018() -> None:
    """Per image 0 below 0.65, then the mean: 0.6 counts nothing, 0.65 and more count."""
    found = {"a": 12, "b": 13, "c": 20, "d": 0}
    result = evaluate(
        {case: mask(rows) for case, rows in found.items()},
        {case: mask(20) for case in found},
        ["background", "lesion"],
        extra_metrics="thresholded_jaccard",
    )
    assert [row["jaccard"] for row in result.per_case] == [0.6, 0.65, 1, 0]
    assert [row["thresholded_jaccard"] for row in result.per_case] == [0, 0.65, 1, 0]
    assert result.summary["overall"]["thresholded_jaccard"]["mean_of_class_means"] == pytest.approx(1.65 / 4)
    assert "thresholded IoU" in result.table()


def test_missed_false_and_absent_structures() -> None:
    empty = mask(0)
    predictions = {"absent": empty, "missed": empty, "spurious": mask(2)}
    references = {"absent": empty, "missed": mask(2), "spurious": empty}
    rows = evaluate(predictions, references, ["b", "x"], extra_metrics=PIXELS).per_case
    assert all(math.isnan(rows[0][name]) for name in PIXELS)
    assert [row["status"] for row in rows[1:]] == ["missed", "spurious"]
    for row in rows[1:]:
        assert (row["f2"], row["thresholded_jaccard"]) == (0, 0)
        assert row["mean_absolute_error"] == pytest.approx(20 / 400)
    assert rows[2]["e_measure"] == pytest.approx(380 / 399)
    assert rows[2]["s_measure"] == pytest.approx(380 / 400)


def test_centre_lines_of_images_and_volumes() -> None:
    pytest.importorskip("skimage", reason="extra `microscopy` is not installed")
    vessel, half = np.zeros((2, 12, 40), np.uint8)
    vessel[6, 5:25] = half[6, 5:15] = 1
    for shape in ((12, 40), (1, 12, 40)):
        maps = {"half": half.reshape(shape), "none": half.reshape(shape) * 0, "all": vessel.reshape(shape)}
        result = evaluate(maps, dict.fromkeys(maps, vessel.reshape(shape)), ["b", "vessel"], extra_metrics=["cldice"])
        assert [row["cldice"] for row in result.per_case] == pytest.approx([1, 2 / 3, 0])
    absent = evaluate({"a": vessel * 0}, {"a": vessel * 0}, ["b", "vessel"], extra_metrics=["cldice"])
    assert math.isnan(absent.per_case[0]["cldice"])


def test_comparison_and_limits_know_them() -> None:
    prediction, reference = label_maps()
    one, two = (
        evaluate(
            {"x": p, "y": reference}, {"x": reference, "y": reference}, NAMES, extra_metrics=["mean_absolute_error"]
        )
        for p in (prediction, reference)
    )
    found = compare(one, two, ["dice", "mean_absolute_error"])["overall"]["mean_absolute_error"]
    assert found["difference"] == pytest.approx(np.mean([row["mean_absolute_error"] for row in one.per_case]))
    (limit,) = check_limits(one.summary, parse_limits(["mean_absolute_error=0.0001"], lowest=False))
    assert not limit["passed"]
    with pytest.raises(ValueError, match="better when smaller; use --fail-over"):
        parse_limits(["mean_absolute_error=0.1"], lowest=True)
    assert [limit.metric for limit in parse_limits(["cldice=0.8,s_measure=0.7"], lowest=True)] == [
        "cldice",
        "s_measure",
    ]


def test_what_does_not_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    maps: Any = {"v": np.ones((3, 4, 5), np.uint8)}
    with pytest.raises(ValueError, match=r"extra_metrics names \['auc'\], expected some of f2, mean_absolute_error"):
        evaluate(maps, maps, ["b", "x"], extra_metrics=["auc"])
    with pytest.raises(ValueError, match="extra_metrics belongs to the clinical protocol"):
        evaluate(maps, maps, ["b", "x"], "paper", family="volume", extra_metrics=["f2"])
    with pytest.raises(ValueError, match="case v: e_measure, s_measure is defined for images, this is a volume"):
        evaluate(maps, maps, ["b", "x"], extra_metrics=["e_measure", "s_measure"])
    assert evaluate(maps, maps, ["b", "x"], extra_metrics=["f2"]).per_case[0]["f2"] == 1
    monkeypatch.setitem(sys.modules, "skimage.morphology", None)
    with pytest.raises(ImportError, match="cldice"):  # before a file is looked for
        evaluate(tmp_path / "nowhere", tmp_path / "nowhere", ["b", "x"], extra_metrics=list(EXTRA_METRICS))
