# SPDX-License-Identifier: Apache-2.0
"""A training step with the optimizer: the published order of operations against ours."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmark.accelerator.limit import Limit
from benchmark.accelerator.speed import channels_last
from benchmark.accelerator.subject import Subject, figures, float_switches, module_of, peak_mb
from benchmark.frame.rows import Row
from benchmark.frame.turns import compared, take_turns

__all__ = ["rows"]

#: network, precision, the step of the optimizer as one kernel, TF32 and cuDNN's search
WAYS: dict[str, tuple[str, str, bool, bool]] = {
    "published fp32": ("published", "fp32", False, False),
    "published fp16": ("published", "fp16", False, False),
    "sa2_monai fp32": ("ours", "fp32", False, False),
    "sa2_monai fp16": ("ours", "fp16", False, False),
    "fused fp16": ("ours", "fp16", True, False),
    "fused bf16": ("ours", "bf16", True, False),
    "fused, channels_last fp16": ("last", "fp16", True, False),
    "fused, TF32, cudnn.benchmark": ("ours", "fp32", True, True),
    "fused, channels_last fp16, cudnn.benchmark": ("last", "fp16", True, True),
}


def rows(subject: Subject, args: argparse.Namespace, _: Limit) -> Iterator[Row]:
    """Rows of all ways."""
    network = subject.network()
    networks = {"published": subject.published(network), "last": channels_last(network), "ours": network}
    images = subject.images(subject.large)
    steps = {title: step(subject, networks[one], images, *way) for title, (one, *way) in WAYS.items()}
    seconds = take_turns(steps, args.turns, warm=3, synchronise=module_of(subject.device).synchronize)
    for contestant, row in compared(seconds).items():
        yield figures(
            f"{subject.title(subject.large)}: training step",
            contestant,
            **row,
            peak_mb=peak_mb(steps[contestant], subject.device),
        )


def step(
    subject: Subject, network: nn.Module, images: Tensor, precision: str, fused: bool, fast: bool
) -> Callable[[], None]:
    """One step, as the trainer of the bundles does it."""
    network.train()
    target, loss = subject.target(images), subject.loss()
    scaler = torch.amp.GradScaler(subject.device.type, enabled=precision == "fp16")
    optimizer: torch.optim.Optimizer | None = None

    def work() -> None:
        nonlocal optimizer
        if optimizer is None:  # its state takes memory, too
            optimizer = torch.optim.AdamW(network.parameters(), lr=1e-6, fused=fused or None)
        optimizer.zero_grad(set_to_none=True)
        with float_switches(fast):
            with subject.autocast(precision):
                value = loss(network(images), target)
            scaler.scale(value).backward()
            scaler.step(optimizer)
        scaler.update()

    return work
