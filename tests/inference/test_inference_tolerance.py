# SPDX-License-Identifier: Apache-2.0
"""Cases that fail: told at the end, or at once where cases go in batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.data import DataLoader
from torch import nn

from sa2_monai.inference import CaseDataset, CaseEvaluator, FailedCasesError

CASES = [{"case": name, "image": torch.full((1, 4, 4), value)} for name, value in (("a", 1.0), ("b", -1.0), ("c", 2.0))]


def refuse(case: dict[str, Any]) -> dict[str, Any]:
    if case["image"].min() < 0:
        raise ValueError(f"{case['case']} is negative")
    return case


def evaluator(tolerant: bool, batch_size: int, data: list[dict[str, Any]]) -> CaseEvaluator:
    loader = DataLoader(CaseDataset(data, refuse, tolerant=tolerant), batch_size=batch_size)
    return CaseEvaluator(torch.device("cpu"), loader, nn.Identity(), tolerant=tolerant)


def test_the_others_go_on() -> None:
    engine = evaluator(True, 1, CASES)
    with pytest.raises(FailedCasesError) as caught:
        engine.run()
    assert caught.value.failures == {"b": "b is negative"}
    assert engine.cases is not None
    assert [case["status"] for case in engine.cases] == ["ok", "failed", "ok"]


def test_batches_end_with_the_first_error() -> None:
    engine = evaluator(False, 2, CASES)
    with pytest.raises((RuntimeError, ValueError)) as caught:
        engine.run()
    assert "b is negative" in f"{caught.value} {caught.value.__cause__}"
    engine = evaluator(False, 2, [CASES[0], CASES[2]])
    engine.run()
    assert engine.cases is None
    assert engine.state.iteration == 1
