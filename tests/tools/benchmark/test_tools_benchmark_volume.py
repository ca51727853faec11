# SPDX-License-Identifier: Apache-2.0
"""tools/benchmark volume compares like with like; how fast things are is no matter of a test."""

from __future__ import annotations

import pytest
from benchmark import volume
from benchmark.frame.command import parse
from benchmark.frame.rows import Skipped

WORDS = ["--size", "56", "--slices", "6", "--roi-size", "32", "--turns", "1"]


@pytest.mark.integration
def test_report() -> None:
    pytest.importorskip("medpy", reason="the published loop measures with MedPy")
    rows = list(volume.run(parse("volume", WORDS)[1]))
    stages = ("load", "infer", "save", "evaluate", "evaluate arrays", "end to end")
    found = {(row["case"].rpartition(": ")[2], row["contestant"]): row for row in rows}
    assert set(found) == {(stage, name) for stage in stages for name in ("published", "sa2_monai")}
    assert all(row["median_ms"] > 0 and row["same_labels"] == 1 for row in rows)


def test_without_medpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume, "has_medpy", False)
    with pytest.raises(Skipped, match="pip install medpy"):
        list(volume.run(parse("volume", WORDS)[1]))
