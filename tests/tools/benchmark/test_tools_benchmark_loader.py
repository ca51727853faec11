# SPDX-License-Identifier: Apache-2.0
"""tools/benchmark loader compares like with like; how fast things are is no matter of a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmark import loader
from benchmark.frame.command import parse


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the memory of processes is told by Linux")
def test_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each contestant in this process instead of one of its own."""

    def here(module: str, function: str, *arguments: Any) -> dict[str, float]:
        assert (module, function) == ("benchmark.loader", "measure")
        return loader.measure(*arguments)

    monkeypatch.setattr(loader, "in_fresh_process", here)
    words = ["--size", "48", "--slices", "9", "--volumes", "2", "--batch", "8", "--batches", "3", "--workers", "1"]
    rows = loader.run(parse("loader", words)[1])
    assert [row["contestant"] for row in rows] == ["RandSliced", "SliceDataset"]
    for row in rows:
        assert row["case"] == "2 volumes 48 x 48 x 9, batch 8, 1 workers"
        assert all(
            row[key] > 0 for key in ("first_batch_s", "slices_per_second", "pss_of_all_mb", "rss_of_a_worker_mb")
        )
