# SPDX-License-Identifier: Apache-2.0
"""A runtime that calculates what it is told to, in place of one whose package need not be there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sa2_monai.inference.runtimes import RUNTIMES
from sa2_monai.inference.runtimes.contract import Built, Job, Runtime


class Told:
    """Changes the network's answer.

    Attributes:
        change: what becomes of the logits.
        cached: says that it comes from the cache.
        jobs: what it was asked for.
        called: number of images of each call.
    """

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


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str = "openvino") -> Told:
    """Let one stand for a runtime during a test."""
    told = Told()
    monkeypatch.setitem(RUNTIMES, name, Runtime((), lambda device, precision: None, told.build))
    return told
