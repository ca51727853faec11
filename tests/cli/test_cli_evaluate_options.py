# SPDX-License-Identifier: Apache-2.0
"""The options of the command ``evaluate``: all are passed on, wrong ones refused, nothing heavy is imported."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sa2_monai.cli import evaluate as command
from sa2_monai.cli.evaluate_options import FAMILIES
from sa2_monai.evaluation import FAMILIES as COMPUTED
from sa2_monai.evaluation.paper import FAMILY_NAMES


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten cases whose Dice rises with the number, in the folders ``labels``, ``images`` and ``predictions``."""
    for name in ("labels", "images", "predictions"):
        (tmp_path / name).mkdir()
    for index in range(10):
        label, prediction = np.zeros((2, 40, 40), np.uint8)
        image = np.full((40, 40), 120, np.uint8)
        label[8:30, 8:30], prediction[8 : 12 + 2 * index, 8 : 12 + 2 * index] = 255, 1
        for name, array in (("labels", label), ("images", image), ("predictions", prediction)):
            Image.fromarray(array).save(tmp_path / name / f"case{index}.png")
    return tmp_path


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(list(arguments))


def folders(root: Path) -> list[str]:
    return ["-p", str(root / "predictions"), "-r", str(root / "labels")]


def test_command_prints_the_table_and_writes_the_report(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [
        "--classes",
        "background, nucleus",
        "--images",
        str(data / "images"),
        "--output",
        str(data / "o"),
    ]
    assert command.run(parse(*folders(data), *options)) == 0
    printed = capsys.readouterr().out
    assert (data / "o" / "table.txt").read_text().strip() in printed
    assert "Images:  9 in" in printed
    summary = json.loads((data / "o" / "metrics_summary.json").read_text())
    assert f"Dice, mean of class means: {summary['overall']['dice']['mean_of_class_means']:.4f}" in printed


def test_command_passes_every_option_on(data: Path) -> None:
    common = [*folders(data), "--output", str(data / "o"), "--overlays", "0"]
    command.run(
        parse(
            *common,
            "--spacing",
            "0.5",
            "--unit",
            "mm",
            "--empty",
            "worst",
            "--bootstrap",
            "50",
            "--seed",
            "3",
            "--tolerance",
            "foreground=1.5",
            "--label-values",
            "0:0,255:1",
            "--strict",
        )
    )
    summary = json.loads((data / "o" / "metrics_summary.json").read_text())
    assert summary["protocol"] == {
        "name": "clinical",
        "version": 1,
        "hd95": "directed-maximum",
        "unit": "mm",
        "tolerance": {"foreground": 1.5},
        "empty": "worst",
        "bootstrap": {"samples": 50, "seed": 3, "unit": "case"},
    }
    paper = ["--protocol", "paper", "--family", "image_ensemble", "--plus-one", "--label-values", "nonzero"]
    command.run(parse(*common, *paper, "--grid", "40"))
    summary = json.loads((data / "o" / "metrics_summary.json").read_text())
    assert (summary["protocol"]["grid"], summary["protocol"]["plus_one"]) == ([40, 40], True)
    with pytest.raises(ValueError, match="compares at 40x41"):
        command.run(parse(*common, *paper[:3], "pooled", "--grid", "40", "41"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        command.run(parse("-p", str(data / "nowhere"), "-r", str(data / "labels")))


@pytest.mark.parametrize(
    "option",
    [["--tolerance", "x"], ["--tolerance", "a=b"], ["--label-values", "255"], ["--spacing", "1,x"], ["--unit", "in"]],
)
def test_command_refuses_wrong_use(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse("-p", "p", "-r", "r", *option)
    assert stopped.value.code == 2
    assert option[0] in capsys.readouterr().err


def test_families_are_the_same_everywhere() -> None:
    assert tuple(COMPUTED) == FAMILY_NAMES == FAMILIES


def test_neither_command_nor_evaluation_imports_torch() -> None:
    code = (
        "import sys, sa2_monai.cli.evaluate\n"
        "assert not {'torch', 'monai', 'numpy'} & set(sys.modules)\n"
        "import sa2_monai.evaluation\n"
        "assert not {'torch', 'monai', 'ignite'} & set(sys.modules), sorted(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
