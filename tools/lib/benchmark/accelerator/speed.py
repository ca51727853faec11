# SPDX-License-Identifier: Apache-2.0
"""How fast a network evaluates, and in how much memory: precisions, layouts, CUDA graphs, torch.compile."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmark.accelerator.limit import Limit
from benchmark.accelerator.subject import Subject, figures, float_switches, module_of, peak_mb
from benchmark.frame.rows import Row
from benchmark.frame.turns import compared, take_turns

__all__ = ["large_batches", "single_images"]

#: The first is what the others are compared with.
PUBLISHED = "published fp32"
OURS = "sa2_monai fp32"


def single_images(subject: Subject, args: argparse.Namespace, limit: Limit) -> Iterator[Row]:
    """Rows of batch 1."""
    return rows(subject, 1, args, limit, compiled=limit.left > 240)


def large_batches(subject: Subject, args: argparse.Namespace, limit: Limit) -> Iterator[Row]:
    """Rows of the large batch."""
    return rows(subject, subject.large, args, limit, compiled=False)


def rows(subject: Subject, batch: int, args: argparse.Namespace, limit: Limit, compiled: bool) -> Iterator[Row]:
    images = subject.images(batch)
    calls, failed = contestants(subject, images, compiled)
    with torch.inference_mode():
        expected = calls[OURS]().float()
        seconds = take_turns(calls, args.turns, warm=3, synchronise=module_of(subject.device).synchronize)
        for contestant, row in compared(seconds, PUBLISHED).items():
            found = calls[contestant]().float()
            yield figures(
                subject.title(batch),
                contestant,
                **row,
                peak_mb=peak_mb(calls[contestant], subject.device),
                error=float((found - expected).square().mean().sqrt() / expected.std()),
                same_labels=float((subject.labels(found) == subject.labels(expected)).float().mean()),
            )
    for contestant, reason in failed.items():
        yield figures(subject.title(batch), contestant, note=reason)


def contestants(
    subject: Subject, images: Tensor, compiled: bool
) -> tuple[dict[str, Callable[[], Tensor]], dict[str, str]]:
    """What is timed, and why some of it cannot be."""
    network = subject.network().eval()
    published, last = subject.published(network).eval(), channels_last(network)
    images_last = images.contiguous(memory_format=torch.channels_last)
    calls = {
        PUBLISHED: partial(call, subject, published, images, "fp32"),
        "published fp16": partial(call, subject, published, images, "fp16"),
        OURS: partial(call, subject, network, images, "fp32"),
        "sa2_monai fp16": partial(call, subject, network, images, "fp16"),
        "sa2_monai bf16": partial(call, subject, network, images, "bf16"),
        "channels_last fp32": partial(call, subject, last, images_last, "fp32"),
        "channels_last fp16": partial(call, subject, last, images_last, "fp16"),
        "TF32, cudnn.benchmark": partial(call, subject, network, images, "fp32", fast=True),
        "channels_last fp16, cudnn.benchmark": partial(call, subject, last, images_last, "fp16", fast=True),
    }
    later: dict[str, Callable[[], Callable[[], Tensor]]] = {}
    if subject.device.type == "cuda":
        later["CUDA graph fp16"] = lambda: graph(subject, last, images_last)
    if compiled:
        later["torch.compile fp16"] = lambda: partial(
            call, subject, torch.compile(copy.deepcopy(network)), images, "fp16"
        )
    failed = {}
    for contestant, make in later.items():
        try:
            made = make()
            with torch.inference_mode():
                made()
            calls[contestant] = made
        except Exception as error:  # the others are worth measuring
            failed[contestant] = f"failed: {type(error).__name__}: {str(error).splitlines()[0][:200]}"
    return calls, failed


def channels_last(network: nn.Module) -> nn.Module:
    """A copy with the channels of its kernels last in memory."""
    return copy.deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def call(
    subject: Subject, network: Callable[[Tensor], Tensor], images: Tensor, precision: str, fast: bool = False
) -> Tensor:
    """A forward pass."""
    with float_switches(fast), subject.autocast(precision):
        return network(images)


def graph(subject: Subject, network: nn.Module, images: Tensor) -> Callable[[], Tensor]:
    """A forward pass as one CUDA graph: the kernels are launched together, on the memory of the capture."""
    static = images.clone()
    # The cache of autocast would hold weights that were cast within the capture, whose memory belongs to the graph.
    half = partial(subject.autocast, "fp16", cache_enabled=False)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side), torch.inference_mode(), half():
        for _ in range(3):
            network(static)
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    captured = torch.cuda.CUDAGraph()
    with torch.inference_mode(), half(), torch.cuda.graph(captured):
        logits = network(static)

    def replay() -> Tensor:
        static.copy_(images)
        captured.replay()
        return logits

    return replay
