# SPDX-License-Identifier: Apache-2.0
"""Parts of a cross-validation: values on a command line, the end of a process, scores, table; the whole: tests/cli."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fire.parser import DefaultParseValue

from sa2_monai.bundle.crossval.process import run_process
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


def test_a_process(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_process([sys.executable, "-c", "print('said'); raise SystemExit(3)"]) == 3
    command, said = capfd.readouterr().out.splitlines()
    assert said == "said"
    assert command == f"{sys.executable} -c 'print('\"'\"'said'\"'\"'); raise SystemExit(3)'"


CHILD = """
import pathlib, sys, time
began, ended = map(pathlib.Path, sys.argv[1:])
try:
    began.touch()
    time.sleep(60)
except KeyboardInterrupt:
    ended.touch()
"""
PARENT = "import sys; from sa2_monai.bundle.crossval.process import run_process; run_process(sys.argv[1:])"
# As shells start such jobs, however the tests themselves were started.
IN_BACKGROUND = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
IN_FOREGROUND = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
ENDS = {
    "terminated": (PARENT, signal.SIGTERM, 143),
    "terminated in the background": (IN_BACKGROUND + PARENT, signal.SIGTERM, 143),
    "interrupted": (IN_FOREGROUND + PARENT, signal.SIGINT, -signal.SIGINT),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_ends_a_cross_validation_ends_its_run(name: str, tmp_path: Path) -> None:
    program, number, code = ENDS[name]
    began, ended = tmp_path / "began", tmp_path / "ended"
    child = [sys.executable, "-c", CHILD, str(began), str(ended)]
    with subprocess.Popen([sys.executable, "-c", program, *child], stderr=subprocess.DEVNULL) as parent:
        while not began.exists() and parent.poll() is None:
            time.sleep(0.01)
        parent.send_signal(number)
        assert parent.wait(timeout=60) == code
    assert ended.exists()


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
