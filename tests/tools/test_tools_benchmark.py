# SPDX-License-Identifier: Apache-2.0
"""tools/benchmark measures what it says; how fast things are is no matter of a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "lib" / "benchmark.py"


@pytest.mark.integration
def test_report(tmp_path: Path) -> None:
    words = [
        "--size",
        "32",
        "--network",
        "sa2net",
        "--memory",
        "--turns",
        "2",
        "--batch",
        "2",
        "--output",
        str(tmp_path / "b.json"),
    ]
    # Six processes that import torch: their lines are measured by other tests, in half of the time.
    environment = {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_START"}
    command = [sys.executable, str(SCRIPT), *words]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "b.json").read_text())
    rows = {(row["work"], row["contestant"]): row for row in report["rows"]}
    assert set(rows) == {
        (work, name)
        for work in ("inference", "training")
        for name in ("published", "published, channels_last", "sa2_monai")
    }
    assert all(row["seconds"] > 0 and row["batch"] == 2 and row["size"] == 32 for row in rows.values())
    assert all(row["peak_mb"] > 0 for row in rows.values())
    assert rows["inference", "published"]["ratio"] == 1.0
    assert result.stdout.count("| sa2net | 32 | training |") == 3
