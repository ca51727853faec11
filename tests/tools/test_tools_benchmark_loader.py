# SPDX-License-Identifier: Apache-2.0
"""tools/lib/benchmark_loader.py compares like with like; how fast things are is no matter of a test."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "tools" / "lib"


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the memory of processes is told by Linux")
def test_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each contestant in this process instead of one of its own."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import benchmark_loader

    words = ["--size", "48", "--slices", "9", "--volumes", "2", "--batch", "8", "--batches", "3", "--workers", "1"]
    words += ["--output", str(tmp_path / "b.json")]
    monkeypatch.setattr(sys, "argv", ["benchmark_loader.py", *words])
    args = benchmark_loader.parse_arguments()

    def here(name: str, folder: str) -> dict[str, Any]:
        return benchmark_loader.measure(name, Path(folder), args)

    monkeypatch.setattr(benchmark_loader, "in_fresh_process", here)
    assert benchmark_loader.main() == 0
    report = json.loads((tmp_path / "b.json").read_text())
    assert (report["volumes"], report["shape"], report["batch"]) == (2, [48, 48, 9], 8)
    assert list(report["rows"]) == ["RandSliced", "SliceDataset"]
    for values in report["rows"].values():
        assert set(values) == {"first batch", "slices/s", "PSS of all, MB", "RSS of a worker, MB"}
        assert all(value > 0 for value in values.values())
    assert "| SliceDataset |" in capsys.readouterr().out
