# SPDX-License-Identifier: Apache-2.0
"""What the overlay ``debug`` adds: the trace of the profiler, and the check that one case is learned by heart."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from training_setup import Run

from sa2_monai.training import debug
from sa2_monai.training.debugging.overfit import OverfitError


def run(folder: Path, best: float) -> None:
    made = Run(folder, 2, scores={1: best / 2, 2: best})
    debug(made.trainer, made.evaluator, folder / "eval", at_least=0.8)
    made.run()


def test_a_case_that_is_known(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run(tmp_path, 0.9)
    assert "the case is known by heart, Dice 0.900" in caplog.text
    events = json.loads((tmp_path / "eval" / "trace.json").read_text())["traceEvents"]
    assert any("conv2d" in str(event.get("name")) for event in events)
    assert "aten::convolution" in (tmp_path / "eval" / "profile.txt").read_text()


def test_a_case_that_is_not(tmp_path: Path) -> None:
    with pytest.raises(OverfitError, match=r"2 epochs on one case its Dice is 0\.300, expected at least 0\.8"):
        run(tmp_path, 0.3)
    assert (tmp_path / "model.pt").is_file()
