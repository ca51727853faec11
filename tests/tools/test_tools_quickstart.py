# SPDX-License-Identifier: Apache-2.0
"""tools/quickstart after its installation: it trains, evaluates, predicts, and a second run reuses what is there."""

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
    pytest.importorskip("skimage", reason="extra `microscopy` is not installed")
    words = ("--data", str(sample_dir), "--output", "out", "--steps", "4")
    first = quickstart(*words, cwd=tmp_path)
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    out = tmp_path / "out"
    summary = json.loads((out / "results" / "metrics_summary.json").read_text())
    dice = summary["overall"]["dice"]["mean_of_class_means"]
    assert summary["cases"] == 4
    assert f"Dice, mean of class means: {dice:.4f}" in first.stdout
    assert json.loads((out / "models" / "model.json").read_text())["class_names"] == ["background", "nucleus"]
    assert {p.name for p in (out / "real_images_result" / "overlays").iterdir()} == {
        "cell.png",
        "immunohistochemistry.png",
    }
    for path in ("results/metrics_per_case.csv", "models/model.pt"):
        assert str(out / path) in first.stdout

    weights = (out / "models" / "model.pt").read_bytes()
    second = quickstart(*words, cwd=tmp_path)
    assert second.returncode == 0, second.stderr[-3000:]
    assert "reused:" in second.stdout
    assert (out / "models" / "model.pt").read_bytes() == weights
    assert f"Dice, mean of class means: {dice:.4f}" in second.stdout

    other = quickstart(*words[:-1], "40", cwd=tmp_path)
    assert other.returncode == 1
    assert "holds a training with other data or settings" in other.stderr
    assert (out / "models" / "model.pt").read_bytes() == weights


@pytest.mark.integration
def test_volumes(tmp_path: Path) -> None:
    make_sample_volumes(tmp_path / "data", seed=1, num_training=2, num_validation=1, num_test=1)
    done = quickstart("--data", "data", "--output", "out", "--steps", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    results = tmp_path / "out" / "results"
    summary = json.loads((results / "metrics_summary.json").read_text())
    assert summary["cases"] == 1
    assert list(summary["per_class"]) == ["liver", "spleen", "left kidney", "right kidney"]
    assert f"Dice, mean of class means: {summary['overall']['dice']['mean_of_class_means']:.4f}" in done.stdout
    assert [path.name for path in (results / "predictions").iterdir()] == ["test_000.nii.gz"]
    assert str(results / "report.html") in done.stdout
    assert (results / "report.html").is_file()
    assert list((results / "overlays").iterdir())
    # What the generated organs have in common is not true of own data: no piece is too small, or one too many.
    sidecar = json.loads((tmp_path / "out" / "models" / "model.json").read_text())
    assert (sidecar["min_volume"], sidecar["largest_component"]) == (False, False)
    commands = [line for line in done.stdout.splitlines() if line.startswith("$ python -m monai.bundle")]
    assert len(commands) == 2
    assert not [command for command in commands if " None" in command], "MONAI drops it"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--data", "nowhere"), 1, "nowhere: no such folder"),
        (("--steps", "0"), 2, "--steps must be at least 1"),
        (("--data", ".", "--download", "bbbc038"), 2, "not allowed with argument"),
        (("--volumes", "--download", "bbbc038"), 2, "--volumes does not go together with --download"),
        (("--volumes", "--data", "nowhere"), 1, "nowhere: no such folder"),
    ],
)
def test_wrong_use(words: tuple[str, ...], status: int, message: str, tmp_path: Path) -> None:
    result = quickstart(*words, cwd=tmp_path)
    assert result.returncode == status
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []
