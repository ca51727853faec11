# SPDX-License-Identifier: Apache-2.0
"""tools/quickstart after its installation: it trains, evaluates, and a second run reuses what is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sa2_monai.data import make_sample_volumes
from tests.support.programs import run_program

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "lib" / "quickstart.py"


def quickstart(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run_program([sys.executable, str(SCRIPT), *words], cwd)


@pytest.mark.integration
def test_own_data_then_again(sample_dir: Path, tmp_path: Path) -> None:
    words = ("--data", str(sample_dir), "--output", "out", "--epochs", "1")
    first = quickstart(*words, cwd=tmp_path)
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    run = tmp_path / "out" / "run"
    summary = json.loads((run / "eval" / "metrics_summary.json").read_text())
    dice = summary["overall"]["dice"]["mean_of_class_means"]
    assert summary["cases"] == 4
    assert f"Dice, mean of class means: {dice:.4f}" in first.stdout
    assert "base_channels" in first.stdout, "the plan is shown"
    assert [line for line in first.stdout.splitlines() if line.startswith("epoch 1/1")], "and each epoch"
    assert json.loads((run / "models" / "model.json").read_text())["class_names"] == ["background", "nucleus"]
    assert str(run / "eval" / "report.html") in first.stdout
    # The masks are those of the user's own test cases, and of nothing else.
    assert len(list((run / "eval" / "predictions").iterdir())) == 4

    weights = (run / "models" / "model.pt").read_bytes()
    second = quickstart(*words, cwd=tmp_path)
    assert second.returncode == 0, second.stderr[-3000:]
    assert "reused:" in second.stdout
    assert (run / "models" / "model.pt").read_bytes() == weights
    assert f"Dice, mean of class means: {dice:.4f}" in second.stdout

    other = quickstart(*words[:-1], "2", cwd=tmp_path)
    assert other.returncode == 1
    assert "was begun with other data or settings" in other.stderr
    assert (run / "models" / "model.pt").read_bytes() == weights


@pytest.mark.integration
def test_volumes(tmp_path: Path) -> None:
    make_sample_volumes(tmp_path / "data", seed=1, num_training=2, num_validation=1, num_test=1)
    done = quickstart("--data", "data", "--output", "out", "--epochs", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    results = tmp_path / "out" / "run" / "eval"
    summary = json.loads((results / "metrics_summary.json").read_text())
    assert summary["cases"] == 1
    assert list(summary["per_class"]) == ["liver", "spleen", "left kidney", "right kidney"]
    assert f"Dice, mean of class means: {summary['overall']['dice']['mean_of_class_means']:.4f}" in done.stdout
    assert [path.name for path in (results / "predictions").iterdir()] == ["test_000.nii.gz"]
    assert str(results / "report.html") in done.stdout
    assert (results / "report.html").is_file()
    again = quickstart("--data", "data", "--output", "out", "--epochs", "1", "--fresh", cwd=tmp_path)
    assert again.returncode == 0, again.stderr[-3000:]
    assert (tmp_path / "out" / "run-1" / "models" / "model.pt").is_file(), "the earlier run is kept"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--data", "nowhere"), 1, "nowhere: no such folder"),
        (("--epochs", "0"), 2, "--epochs must be at least 1"),
        (("--epochs", "1", "--time", "1"), 2, "--time and --epochs do not go together"),
        (("--data", ".", "--download", "bbbc038"), 2, "not allowed with argument"),
        (("--volumes", "--download", "bbbc038"), 2, "not allowed with argument"),
    ],
)
def test_wrong_use(words: tuple[str, ...], status: int, message: str, tmp_path: Path) -> None:
    result = quickstart(*words, cwd=tmp_path)
    assert result.returncode == status
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []
