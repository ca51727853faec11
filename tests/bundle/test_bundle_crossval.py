# SPDX-License-Identifier: Apache-2.0
"""Parts of a cross-validation: values on a command line, scores, table; the whole: tests/cli."""

from __future__ import annotations

from typing import Any

import pytest
from fire.parser import DefaultParseValue

from sa2_monai.bundle.crossval.scores import crossval_table, summarize
from sa2_monai.bundle.run.shell import command_line_value
from sa2_monai.bundle.switches.text import override_word
from sa2_monai.cli.common import read_override

VALUES = [
    *("/tmp/a b", "cpu", "1e-3", "a,b", "a#b", "None", "$len(@x)", "-x", 3, 0.5, 1e-5, None, True, [32, 32]),
    *({"a": "b"}, [0.5, 1e-5], "null", "true", "", " a: b", {0: 1, "x": ["a, b", None]}),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_survive_the_command_line(value: Any) -> None:
    assert DefaultParseValue(command_line_value(value)) == value
    assert read_override(override_word("name", value)) == ("name", value)


def test_undefined_scores() -> None:
    assert summarize([{"dice": 0.5, "iou": None}]) == {
        "dice": {"mean": 0.5, "std": None},
        "iou": {"mean": None, "std": None},
    }
    assert summarize([])["dice"] == {"mean": None, "std": None}
    state = {
        "configuration": {"paper": True},
        "folds": {"10": {"dice": 0.5, "iou": None}, "9": {"dice": 0.25, "iou": None}},
        "summary": summarize([{"dice": 0.5, "iou": None}, {"dice": 0.25, "iou": None}]),
        "ensemble": {"dice": 0.75, "iou": None, "cases": 3},
        "out_of_fold": {
            **{"dice": 0.625, "iou": 0.5, "dice_ci95": [0.5, 0.75], "unit": "group", "cases": 8, "warnings": ["doubt"]},
            "folds": [{"dice": 0.5, "iou": None}, {"dice": 0.75, "iou": None}],
        },
    }
    lines = crossval_table(state).splitlines()
    assert [line.split() for line in lines[2:8]] == [
        ["fold", "9", "0.2500", "-", "0.5000", "-"],
        ["fold", "10", "0.5000", "-", "0.7500", "-"],
        ["mean", "0.3750", "-", "-", "-"],
        ["sd", "0.1768", "-", "-", "-"],
        ["ensemble", "0.7500", "-", "-", "-"],
        ["all", "cases", "-", "-", "0.6250", "0.5000"],
    ]
    assert lines[8].startswith("Out of fold: Dice 0.6250 (95 % interval 0.5000 to 0.7500, drawn by group); each of 8")
    assert lines[9:] == ["doubt", "Test cases: 3; protocol: paper."]
    del state["summary"], state["out_of_fold"]["dice_ci95"][:]
    state["out_of_fold"]["dice_ci95"] = [None, None]
    lines = crossval_table({**state, "ensemble": None}).splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["fold", "fold", "all"]
    assert lines[-1] == "There is no test part; protocol: clinical."
