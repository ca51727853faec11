# SPDX-License-Identifier: Apache-2.0
"""tools/benchmark windows compares label maps before it times; how fast things are is no matter of a test."""

from __future__ import annotations

import importlib.util

import pytest
from benchmark import windows
from benchmark.frame.command import parse

WORDS = ["--network", "svanet", "--size", "48", "--slices", "2", "--roi-size", "32", "--turns", "1"]


def test_report() -> None:
    rows = {row["contestant"]: row for row in windows.run(parse("windows", WORDS)[1])}
    nnunet = ["nnU-Net predictor"] if importlib.util.find_spec("nnunetv2") else []
    assert list(rows) == ["MONAI SliceInferer", *nnunet, "sa2_monai"]
    assert all(row["case"] == "svanet, 48 x 48 x 2, windows of 32 x 32" for row in rows.values())
    assert rows["sa2_monai"]["same_labels"] > 0.99
    assert all(row["median_ms"] > 0 for row in rows.values())


def test_label_maps_that_differ_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "of_ours", lambda *_: lambda volume: windows.torch.full(volume.shape[1:], 7))
    with pytest.raises(SystemExit, match="nothing is timed"):
        list(windows.run(parse("windows", WORDS)[1]))
