# SPDX-License-Identifier: Apache-2.0
"""tools/lib/benchmark_evaluation.py compares before it times; how fast things are is no matter of a test."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "lib" / "benchmark_evaluation.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_evaluation", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_report(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--size", "48", "--slices", "16", "--classes", "3", "--turns", "1", "--contestants", "sa2_monai", "monai"]
    monkeypatch.setattr(sys, "argv", ["x", *words, "--output", str(tmp_path / "b.json")])
    assert tool.main() == 0
    report = json.loads((tmp_path / "b.json").read_text())
    assert report["shape"] == [48, 48, 16]
    assert len(report["voxels_per_class"]) == 3
    rows = {row["contestant"]: row for row in report["rows"]}
    assert set(rows) == {"sa2_monai", "monai"}
    assert rows["sa2_monai"]["ratio"] == 1.0
    assert rows["monai"]["seconds"] > 0
    assert "| monai |" in capsys.readouterr().out


def test_label_maps_are_the_same_for_a_seed(tool: ModuleType) -> None:
    first, second = tool.label_maps((64, 64, 24)), tool.label_maps((64, 64, 24))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    prediction, reference = first
    assert set(np.unique(reference)) == set(range(9))
    sizes = np.bincount(reference.ravel())[1:]
    assert sizes.max() > 20 * sizes.min()
    assert 0.3 < np.mean(prediction[reference > 0] == reference[reference > 0]) < 1


def test_contestants_that_disagree_are_not_timed(tool: ModuleType) -> None:
    def wrong(prediction: np.ndarray, reference: np.ndarray, classes: int) -> list[tuple[float, float]]:
        return [(dice + 1e-3, hd95) for dice, hd95 in tool.ours(prediction, reference, classes)]

    with pytest.raises(SystemExit, match="monai differs from sa2_monai by its own definition: nothing is timed"):
        tool.check_agreement({"monai": wrong})


@pytest.mark.parametrize(
    ("words", "message"), [(["--classes", "9"], "expected 1 to 8"), (["--size", "4"], "at least 8 rows")]
)
def test_wrong_use(
    tool: ModuleType,
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["x", *words])
    with pytest.raises(SystemExit) as stopped:
        tool.main()
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_without_medpy(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(tool.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["x"])
    assert tool.parse_arguments().contestants == ["sa2_monai", "monai"]
    assert "MedPy is not installed and left out (pip install MedPy==0.5.2)" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["x", "--contestants", "medpy"])
    with pytest.raises(SystemExit):
        tool.parse_arguments()
    assert "pip install MedPy==0.5.2" in capsys.readouterr().err
