# SPDX-License-Identifier: Apache-2.0
"""A cache of their own, a small network, and a runtime that calculates what it is told to."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.inference.told_runtime import Told, stand_in


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SA2_MONAI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "runtimes"


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1))
    nn.init.normal_(layers[3].weight)
    return layers.eval().requires_grad_(False)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return stand_in(monkeypatch)
