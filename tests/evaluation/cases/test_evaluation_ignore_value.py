# SPDX-License-Identifier: Apache-2.0
"""Pixels of the references that count nowhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sa2_monai.cli import main
from sa2_monai.evaluation import compare, evaluate, write_overlays

GOLDENS = Path(__file__).parents[2] / "goldens"
SET = json.loads((GOLDENS / "metrics.json").read_text())["image_sets"][0]
ARRAYS = dict(np.load(GOLDENS / "metrics.npz"))
TWO = ["background", "object"]


def maps() -> tuple[np.ndarray, np.ndarray]:
    """Columns 20 and after are ignored; there the prediction is wrong."""
    prediction, reference = np.zeros((2, 20, 30), np.uint8)
    reference[5:15, 5:20] = 1
    prediction[5:15, 5:28] = 1
    prediction[0:4, 22:26] = 1
    reference[:, 20:] = 255
    return prediction, reference


def test_ignored_pixels_are_left_out_of_everything() -> None:
    prediction, reference = maps()
    extra = ["f2", "mean_absolute_error", "e_measure", "s_measure"]
    result = evaluate({"a": prediction}, {"a": reference}, TWO, ignore_value=255, extra_metrics=extra, instances="auto")
    row = result.per_case[0]
    assert (row["voxels_pred"], row["voxels_ref"], row["voxels_both"]) == (150, 150, 150)
    for name in ("dice", "jaccard", "precision", "sensitivity", "specificity", "nsd", "f2", "s_measure"):
        assert row[name] == pytest.approx(1)
    assert (row["hd95"], row["mean_absolute_error"]) == (0, 0)
    assert row["e_measure"] == pytest.approx(400 / 399, abs=1e-6)  # of the 400 pixels that count
    assert result.objects[0].match[:3] == (1, 0, 0)
    assert result.summary["protocol"]["ignore_value"] == 255
    assert result.summary["protocol"]["ignored_pixels"] == {"a": 200}
    shown, drawn = result.load("a")
    assert shown is not None
    assert shown.max() == drawn.max() == 1
    assert not shown[:, 20:].any()


def test_true_negatives_are_those_of_the_pixels_that_count() -> None:
    prediction, reference = maps()
    prediction[19, :20] = 1
    row = evaluate({"a": prediction}, {"a": reference}, TWO, ignore_value=255).per_case[0]
    cut = evaluate({"a": prediction[:, :20]}, {"a": reference[:, :20]}, TWO).per_case[0]
    assert row["specificity"] == cut["specificity"] == pytest.approx(230 / 250)
    for name in ("dice", "jaccard", "precision", "sensitivity", "hd95", "assd", "nsd"):
        assert row[name] == cut[name]


def test_pixels_equal_the_pooled_goldens() -> None:
    names = ["background", "a", "b"]
    predictions = {str(i): p for i, p in enumerate(ARRAYS["image_set.pred"])}
    references = {str(i): r for i, r in enumerate(ARRAYS["image_set.ref"])}
    rows = evaluate(predictions, references, names, ignore_value=255, bootstrap_samples=5).per_case
    golden = SET["pooled_classes"]
    for value in (1, 2):
        mine = [row for row in rows if row["class_value"] == value]
        assert sum(row["voxels_both"] for row in mine) == golden["intersection"][value]
        assert sum(row["voxels_pred"] for row in mine) == golden["pred_area"][value]
        assert sum(row["voxels_ref"] for row in mine) == golden["ref_area"][value]


@pytest.mark.parametrize("label_values", [None, {0: 0, 1: 1}, {1: 1, 0: 0, 255: 0}, "nonzero"])
def test_any_table_of_the_other_values(label_values: Any) -> None:
    prediction, reference = maps()
    found = evaluate({"a": prediction}, {"a": reference}, TWO, ignore_value=255, label_values=label_values)
    assert found.per_case[0]["voxels_ref"] == 150


def test_an_unknown_value_is_an_error_as_before() -> None:
    prediction, reference = maps()
    with pytest.raises(ValueError, match="holds the values 255"):
        evaluate({"a": prediction}, {"a": reference}, ["background", "x", "y"])
    # of two classes 255 can be the foreground, but not beside 1, unless a table says so
    with pytest.raises(ValueError, match=r"reference of case a: holds the values 0, 1, 255: .*set ignore_value to 255"):
        evaluate({"a": prediction}, {"a": reference}, TWO)
    with pytest.raises(ValueError, match=r"prediction of case a: holds the values 0, 1, 255: "):
        evaluate({"a": reference}, {"a": prediction}, TWO)
    table = {0: 0, 1: 1, 255: 1}
    assert evaluate({"a": prediction}, {"a": reference}, TWO, label_values=table).per_case[0]["voxels_ref"] == 350
    assert evaluate({"a": prediction}, {"a": reference}, TWO, ignore_value=255).per_case[0]["voxels_ref"] < 350
    plain = evaluate({"a": prediction}, {"a": reference % 255}, TWO)
    with pytest.raises(ValueError, match="the protocols differ"):
        compare(plain, evaluate({"a": prediction}, {"a": reference}, TWO, ignore_value=255))
    # an option that finds nothing changes nothing
    same = evaluate({"a": prediction}, {"a": reference % 255}, TWO, ignore_value=255)
    assert str(same.per_case) == str(plain.per_case)


def test_a_missing_prediction_and_a_resampled_one(tmp_path: Path) -> None:
    prediction, reference = maps()
    result = evaluate({"b": prediction}, {"a": reference, "b": reference}, TWO, ignore_value=255)
    assert [row["status"] for row in result.per_case] == ["missed", "ok"]
    assert write_overlays(result, tmp_path)
    with pytest.raises(ValueError, match="shape"):
        evaluate({"a": prediction[:9]}, {"a": reference}, TWO, ignore_value=255)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "class": ({"ignore_value": 1}, "ignore_value is 1, but that value of the references stands for a class"),
    "background": ({"ignore_value": 0}, "ignore_value is 0"),
    "table": ({"ignore_value": 255, "label_values": {0: 0, 255: 1}}, "ignore_value is 255, but that value"),
    "family": ({"ignore_value": 255, "protocol": "paper", "family": "pooled"}, "not to 'pooled'"),
}


@pytest.mark.parametrize("name", BAD)
def test_options_that_do_not_fit(name: str) -> None:
    options, message = BAD[name]
    prediction, reference = maps()
    with pytest.raises(ValueError, match=message):
        evaluate({"a": prediction}, {"a": reference}, TWO, **options)


def test_masks_of_0_and_255_are_not_ignored_in_silence() -> None:
    reference = maps()[1] // 255 * 255
    prediction = maps()[0]
    with pytest.raises(ValueError, match=r"no reference holds an object beside the value 255.*label_values .0:0,255:1"):
        evaluate({"a": prediction}, {"a": reference}, TWO, ignore_value=255)
    options: dict[str, Any] = {"family": "size_range", "paper": {"grid": [20, 30]}}
    with pytest.raises(ValueError, match="no reference holds an object beside the value 255"):
        evaluate({"a": prediction}, {"a": reference}, TWO, "paper", ignore_value=255, **options)
    for table in ({0: 0, 255: 1}, "nonzero", None):
        found = evaluate({"a": prediction}, {"a": reference}, TWO, "paper", label_values=table, **options)
        assert found.per_case[0]["voxels_ref"] == 200
        assert found.summary["protocol"]["ignore_value"] is None


def test_the_command_and_the_family_size_range(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prediction, reference = maps()
    reference[reference == 255] = 9
    for folder, array in (("p", prediction), ("r", reference)):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "a.png")
    words = [
        "evaluate",
        "-p",
        str(tmp_path / "p"),
        "-r",
        str(tmp_path / "r"),
        "--bootstrap",
        "5",
        "--ignore-value",
        "9",
    ]
    assert main(words) == 0
    assert "Dice, mean of class means: 1.0000" in capsys.readouterr().out
    assert main([*words, "--protocol", "paper", "--family", "size_range", "--grid", "20", "30"]) == 0
    out = capsys.readouterr().out
    assert "dice: 1.0000" in out
    assert "mDice" in out
