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
    }
    lines = crossval_table(state).splitlines()
    assert [line.split() for line in lines[1:6]] == [
        ["fold", "9", "0.2500", "-"],
        ["fold", "10", "0.5000", "-"],
        ["mean", "0.3750", "-"],
        ["sd", "0.1768", "-"],
        ["ensemble", "0.7500", "-"],
    ]
    assert lines[6] == "Test cases: 3; protocol: paper."
