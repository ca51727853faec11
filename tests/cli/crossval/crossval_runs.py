# SPDX-License-Identifier: Apache-2.0
"""In the place of the processes that ``sa2-monai crossval`` starts: the same work in this one, or a record of it."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import monai.bundle
import pytest
from fire.parser import DefaultParseValue

from sa2_monai.bundle import find_bundle
from sa2_monai.bundle.successive import THEN
from sa2_monai.cli.common import read_override
from sa2_monai.cli.main import main
from sa2_monai.evaluation import EvaluationResult
from tests.support.measuring import paused

__all__ = ["Ended", "Recorded", "Runs", "no_scores", "write"]


def parse_command(command: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """What a program does, in short (``train``, ``evaluate-ensemble``), and its options and values by name.

    Of an evaluation that is several runs of MONAI's, each of them.
    """
    assert command[:2] == [sys.executable, "-m"]
    if command[2:4] == ["sa2_monai", "train"]:
        words, values = command[4:], {"config": [], "data": None, "resume": False, "no-plan": False}
        while words:
            word = words.pop(0)
            if word in ("--resume", "--no-plan"):
                values[word[2:]] = True
            elif word == "--config":
                values["config"].append(Path(words.pop(0)).stem)
            elif word.startswith("--"):
                values[word[2:]] = words.pop(0)
            elif "=" in word:
                values |= [read_override(word)]
            else:
                values["data"] = word
        return [("train", values)]
    if command[2] == "sa2_monai.bundle.successive":
        place = command.index(THEN)
        return [evaluation(command[3:place]), evaluation(command[place + 1 :])]
    assert command[2:4] == ["monai.bundle", "run"]
    return [evaluation(command[4:])]


def evaluation(options: list[str]) -> tuple[str, dict[str, Any]]:
    names = [word.removeprefix("--") for word in options[::2]]
    values = dict(zip(names, map(DefaultParseValue, options[1::2]), strict=True))
    first, *later = map(Path, values["config_file"])
    assert first.name == "train.json"
    return "-".join(file.stem for file in later), values


class Ended:
    """In the place of a process: a program that has ended at once."""

    def __init__(self, code: int) -> None:
        self.code = code

    def wait(self, _: float) -> int:
        return self.code


class Runs:
    """Does in this process what a command would do in another; counts."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, dict[str, Any]]] = []
        self.fail_at: int | None = None

    def __call__(self, command: list[str], *_: Any) -> Ended:
        print(shlex.join(command))
        for step, values in parse_command(command):
            self.steps.append((step, values))
            if self.fail_at == len(self.steps):
                return Ended(1)
            with paused():
                if step == "train":
                    return Ended(main(command[3:]))
                # MONAI has no parameter that would keep this quiet: it warns of every file that it was given.
                with pytest.warns(UserWarning, match="parsing config_file"):
                    monai.bundle.run(**values, logging_file=False)
        return Ended(0)


class Recorded:
    """In the place of the runs: writes what they would, as far as the command reads it."""

    def __init__(self) -> None:
        self.values: list[dict[str, Any]] = []

    def __call__(self, command: list[str], *_: Any) -> Ended:
        for step, values in parse_command(command):
            self.values.append({**values, "step": step, "files": values.get("config_file", [])})
            if step == "train":
                self.train(values)
            else:
                self.evaluate(step, values)
        return Ended(0)

    def train(self, values: dict[str, Any]) -> None:
        folder = Path(values["output"])
        bundle = find_bundle(values["network"])
        configs = {name: {} for name in ("evaluate", "evaluate_paper", "ensemble")}
        configs["evaluate"] = {"validate#handlers": [{"_target_": "sa2_monai.evaluation.ReportHandler"}]}
        train = {"model_info": {"network": bundle.name}}
        for name, content in {**configs, "train": train}.items():
            write(folder / "configs" / f"{name}.json", content)
        write(folder / "eval" / "run.json", {"status": "completed"})
        write(folder / "models" / "model.pt", {})

    def evaluate(self, step: str, values: dict[str, Any]) -> None:
        folder = Path(values.get("output_dir", Path(values["bundle_root"]) / "eval"))
        score = {"mean_of_class_means": 0.5}
        summary: dict[str, Any] = {"overall": {"dice": score, "jaccard": score}, "cases": 1}
        if "paper" in step:
            summary["paper"] = {"dice": 0.25, "hd95": 3.0}
        write(folder / "metrics_summary.json", summary)


def no_scores(*_: Any) -> EvaluationResult:
    """In the place of the scores out of fold, where nothing was predicted."""
    score = {"mean_of_class_means": 0.5, "ci95_low": None, "ci95_high": None}
    summary = {
        "overall": {"dice": score, "jaccard": score},
        "protocol": {"bootstrap": {"unit": "case"}},
        "cases": 1,
        "warnings": [],
    }
    rows = [{"case": str(fold), "class_value": 1, "fold": fold, "dice": 0.5, "jaccard": 0.5} for fold in range(2)]
    return EvaluationResult(rows, summary, lambda _: pytest.fail("no case"))


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
