# SPDX-License-Identifier: Apache-2.0
"""tools/lib/benchmark_volume.py compares like with like; how fast things are is no matter of a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "lib" / "benchmark_volume.py"


@pytest.mark.integration
def test_report(tmp_path: Path) -> None:
    pytest.importorskip("medpy", reason="the published loop measures with MedPy")
    words = ["--size", "56", "--slices", "6", "--roi-size", "32", "--output", str(tmp_path / "b.json")]
    result = subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "b.json").read_text())
    assert report["volume"] == [56, 56, 6]
    assert report["same_labels"] == 1
    assert 0.2 < report["dice"] < 1
    stages = {"load", "infer", "save", "evaluate", "evaluate arrays", "end to end"}
    assert set(report["ratios"]) == stages
    for seconds in report["seconds"].values():
        assert set(seconds) == stages
        assert all(value > 0 for value in seconds.values())
    assert "| end to end |" in result.stdout
