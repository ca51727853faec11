# SPDX-License-Identifier: Apache-2.0
"""tools/benchmark measures what it says; how fast things are is no matter of a test."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from programs import run_untraced

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
        "--work",
        "training",
        "--output",
        str(tmp_path / "b.json"),
    ]
    result = run_untraced([sys.executable, str(SCRIPT), *words])
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "b.json").read_text())
    rows = {(row["work"], row["contestant"]): row for row in report["rows"]}
    assert set(rows) == {("training", name) for name in ("published", "published, channels_last", "sa2_monai")}
    assert all(row["seconds"] > 0 and row["batch"] == 2 and row["size"] == 32 for row in rows.values())
    assert all(row["peak_mb"] > 0 for row in rows.values())
    assert rows["training", "published"]["ratio"] == 1.0
    assert result.stdout.count("| sa2net | 32 | training |") == 3
