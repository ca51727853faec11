# SPDX-License-Identifier: Apache-2.0
"""Whether it is right: logits and labels against the CPU in each precision, gradients, and where the host waits."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.accelerator.limit import Limit
from benchmark.accelerator.subject import PRECISIONS, Subject, figures, float_switches
from benchmark.frame.rows import Row

__all__ = ["rows"]


def rows(subject: Subject, _: Any, limit: Limit) -> Iterator[Row]:
    """Evaluation and one training step in each precision."""
    with float_switches(fast=False):
        yield from evaluation(subject)
        if limit.left > 30:
            yield from gradients(subject)


def evaluation(subject: Subject) -> Iterator[Row]:
    network, images = subject.network().eval(), subject.images(2)
    with torch.inference_mode():
        expected = copy.deepcopy(network).cpu()(images.cpu())
        for precision in PRECISIONS:
            with subject.autocast(precision):
                found = network(images).float().cpu()
            yield figures(
                f"{subject.title(2)}: evaluation",
                precision,
                error=float((found - expected).square().mean().sqrt() / expected.std()),
                same_labels=float((subject.labels(found) == subject.labels(expected)).float().mean()),
                note="" if torch.isfinite(found).all() else "values that are not finite",
            )
        if subject.device.type == "cuda":
            note = f"the host waits {waits(network, images)} times"
            yield figures(f"{subject.title(2)}: evaluation", "synchronisations", note=note)


def waits(network: nn.Module, images: Tensor) -> int:
    """How often the host waits in a forward pass."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            network(images)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(one.message) for one in told)


def gradients(subject: Subject) -> Iterator[Row]:
    network, images, loss = subject.network().train(), subject.images(2), subject.loss()
    target = subject.target(images)
    single: Tensor | None = None
    for precision in PRECISIONS:
        torch.manual_seed(0)
        network.zero_grad(set_to_none=True)
        with subject.autocast(precision):
            value = loss(network(images), target)
        scale = 2.0**16 if precision == "fp16" else 1.0  # as GradScaler begins
        (value * scale).backward()
        found = {name: parameter.grad for name, parameter in network.named_parameters()}
        missing = sum(one is None for one in found.values())
        there = [one for one in found.values() if one is not None]
        broken = sum(not torch.isfinite(one).all() for one in there)
        every = torch.cat([one.flatten() for one in there]) / scale
        single = every if single is None else single
        yield figures(
            f"{subject.title(2)}: gradients",
            precision,
            error=float((every - single).norm() / single.norm()),
            note=f"loss {value.item():.4f}; gradients: {missing} missing, {broken} not finite",
        )
