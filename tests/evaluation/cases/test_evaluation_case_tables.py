# SPDX-License-Identifier: Apache-2.0
"""The tables that come with the files: classes of a dataset.json, patients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sa2_monai.evaluation.cases.class_names import find_classes, read_classes
from sa2_monai.evaluation.cases.groups import read_groups

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
