# SPDX-License-Identifier: Apache-2.0
"""A cache of their own, a small network, and a runtime that calculates what it is told to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from sa2_monai.inference.runtimes import RUNTIMES
from sa2_monai.inference.runtimes.contract import Built, Job, Runtime


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


class Told:
    """A runtime that changes the network's answer; ``jobs`` has what it was asked for."""

    def __init__(self, change: Callable[[torch.Tensor], torch.Tensor] = lambda logits: logits) -> None:
        self.change = change
        self.cached = False
        self.jobs: list[Job] = []
        self.called: list[int] = []

    def build(self, job: Job) -> Built:
        self.jobs.append(job)

        def run(images: torch.Tensor) -> torch.Tensor:
            self.called.append(len(images))
            return self.change(job.network(images))

        return Built(run, self.cached and not job.renew)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    runtime = Told()
    monkeypatch.setitem(RUNTIMES, "openvino", Runtime((), lambda device, precision: None, runtime.build))
    return runtime
