# SPDX-License-Identifier: Apache-2.0
"""What comes with the files: classes of a dataset.json, patients, limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sa2_monai.evaluation import evaluate
from sa2_monai.evaluation.cases.class_names import find_classes, read_classes
from sa2_monai.evaluation.cases.groups import read_groups
from sa2_monai.evaluation.scores.limits import check_limits, parse_limits

LABELS: dict[str, tuple[Any, dict[int, str] | None]] = {
    "nnU-Net": ({"background": 0, "liver": 1, "spleen": 2}, {0: "background", 1: "liver", 2: "spleen"}),
    "decathlon": ({"0": "background", "2": "b", "1": "a"}, {0: "background", 1: "a", 2: "b"}),
    "ignore": ({"background": 0, "x": 1, "ignore": 2}, {0: "background", 1: "x"}),
    "0 and 255": ({"0": "background", "255": "nucleus"}, {0: "background", 1: "nucleus"}),
    "list": (["background", "x"], {0: "background", 1: "x"}),
    "none": ({}, None),
}


@pytest.mark.parametrize("name", LABELS)
def test_classes_of_a_dataset_json(name: str, tmp_path: Path) -> None:
    labels, expected = LABELS[name]
    (tmp_path / "dataset.json").write_text(json.dumps({"name": "x", "labels": labels}))
    assert read_classes(tmp_path / "dataset.json") == expected


BAD_LABELS: dict[str, tuple[str, str]] = {
    "damaged": ("{", "is no JSON file"),
    "regions": ('{"labels": {"background": 0, "whole": [1, 2]}}', r"'whole' is the region \[1, 2\]"),
    "no number": ('{"labels": {"background": "none"}}', "has no value"),
    "twice": ('{"labels": {"a": 1, "b": 1}}', "two labels have the value 1: 'a' and 'b'"),
    "text": ('{"labels": "liver"}', "expected a table"),
}


@pytest.mark.parametrize("name", BAD_LABELS)
def test_tables_of_classes_that_cannot_be_used(name: str, tmp_path: Path) -> None:
    text, message = BAD_LABELS[name]
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_classes(tmp_path / "dataset.json")


def test_where_the_table_is_looked_for(tmp_path: Path) -> None:
    predictions, references = tmp_path / "out", tmp_path / "raw" / "labelsTr"
    predictions.mkdir()
    references.mkdir(parents=True)
    assert find_classes(str(predictions), str(references)) is None
    for folder, name in ((references.parent, "above"), (references, "beside"), (predictions, "own")):
        (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, name: 1}}))
        assert find_classes(str(predictions), str(references)) == {0: "background", 1: name}
    assert find_classes([predictions], references) == {0: "background", 1: "beside"}


def test_patients_of_cases(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("\ufeffpatient, case ,age\np1,a,3\np1,b,4\np2,c,5\n", encoding="utf-8")
    assert read_groups(path) == {"a": "p1", "b": "p1", "c": "p2"}
    path.write_text("case,group\na,g\n")
    assert read_groups(path) == {"a": "g"}


BAD_GROUPS = {
    "columns": ("name,patient\na,b\n", "has the columns name, patient, expected case and patient"),
    "nothing": ("", r"has the columns \(none\)"),
    "no lines": ("case,patient\n", "holds no cases"),
    "empty field": ("case,patient\na,\n", "line 2: the case or the patient is empty"),
    "short line": ("case,patient\na\n", "line 2: the case or the patient is empty"),
    "two patients": ("case,patient\na,p\na,q\n", "line 3: the case a already belongs to p"),
}


@pytest.mark.parametrize("name", BAD_GROUPS)
def test_tables_of_patients_that_cannot_be_used(name: str, tmp_path: Path) -> None:
    text, message = BAD_GROUPS[name]
    (tmp_path / "groups.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_groups(tmp_path / "groups.csv")


def test_binary_tables_are_named(tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match="cannot be read as a CSV table"):
        read_groups(tmp_path / "groups.csv")


def result() -> Any:
    reference, prediction = np.zeros((2, 20, 20), np.uint8)
    reference[2:12, 2:12], prediction[2:12, 2:10] = 1, 1  # Dice 8/9, HD95 2
    reference[15, 15] = 2  # missed
    return evaluate({"a": prediction}, {"a": reference}, ["background", "x", "y"], empty="worst")


LIMITS = [
    ("dice=0.4", True, True),
    ("dice=0.5", True, False),
    ("dice:x=0.88", True, True),
    ("dice:x=0.89", True, False),
    ("nsd:y=0", True, True),
    ("hd95=2", False, True),
    ("hd95:x=1.9", False, False),
    ("hd95:y=100", False, False),  # there is no distance to a structure that was missed
    ("hd95_worst:y=29", False, True),
    ("hd95_worst:y=28", False, False),
]


@pytest.mark.parametrize(("text", "lowest", "passed"), LIMITS)
def test_limits(text: str, lowest: bool, passed: bool) -> None:
    found = check_limits(result().summary, parse_limits([text], lowest))
    assert [item["passed"] for item in found] == [passed]
    assert found[0]["limit"] == text.replace("=", " >= " if lowest else " <= ")


def test_several_limits_at_once() -> None:
    limits = parse_limits(["dice=0.1, nsd:x=0.5", "jaccard=0.2"], lowest=True)
    assert [str(limit) for limit in limits] == ["dice >= 0.1", "nsd:x >= 0.5", "jaccard >= 0.2"]


BAD_LIMITS = [
    ("dice", True, "expected METRIC=NUMBER or METRIC:CLASS=NUMBER"),
    ("dice=high", True, "expected METRIC=NUMBER"),
    ("dice=nan", True, "expected METRIC=NUMBER"),
    ("=1", True, "expected METRIC=NUMBER"),
    ("hd95=10", True, "hd95 is better when smaller; use --fail-over"),
    ("dice=0.9", False, "dice is better when larger; use --fail-under"),
    ("beauty=1", True, "unknown metric beauty, expected one of dice, jaccard"),
]


@pytest.mark.parametrize(("text", "lowest", "message"), BAD_LIMITS)
def test_limits_that_are_none(text: str, lowest: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_limits([text], lowest)


def test_limits_of_what_does_not_exist() -> None:
    summary = result().summary
    with pytest.raises(ValueError, match="there is no class 'z', expected one of x, y"):
        check_limits(summary, parse_limits(["dice:z=1"], lowest=True))
    with pytest.raises(ValueError, match="this evaluation has no panoptic_quality, only dice"):
        check_limits(summary, parse_limits(["panoptic_quality=1"], lowest=True))


def test_limits_of_pooled_paper_values() -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[2:9, 2:9] = 1
    pooled = evaluate({"a": mask}, {"a": mask}, ["b", "x"], "paper", family="pooled", paper={"grid": 16})
    assert check_limits(pooled.summary, parse_limits(["dice=0.9"], lowest=True))[0]["passed"]
