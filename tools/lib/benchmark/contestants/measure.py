# SPDX-License-Identifier: Apache-2.0
"""Forward passes and training steps of all contestants of a network, in turns."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmark.contestants.networks import CONTESTANTS, Function, contestants, image
from benchmark.frame.process import in_fresh_process
from benchmark.frame.rows import Row, Skipped
from benchmark.frame.turns import compared, take_turns
from sa2_monai.bundle.comparison.machine import peak_memory
from sa2_monai.networks.catalogue import CATALOGUE

__all__ = ["add_arguments", "rows"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``forward`` and ``train_step``."""
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--network", nargs="+", choices=list(CATALOGUE), default=list(CATALOGUE), help="default: all")
    parser.add_argument("--size", type=int, help="height and width of the image; default: the published one")
    parser.add_argument("--batch", type=int, nargs="+", default=[1], help="batch sizes")
    parser.add_argument("--turns", type=int, default=7, help="counted turns, after one for warming up")
    parser.add_argument("--more", action="store_true", help="bfloat16 autocast and torch.compile as well")
    parser.add_argument("--memory", action="store_true", help="measure peak memory in fresh processes as well")


def rows(args: argparse.Namespace, work: str) -> Iterator[Row]:
    """Rows of all networks and batch sizes.

    Args:
        args: of :func:`add_arguments`.
        work: ``inference`` or ``training``.
    """
    if args.device == "cuda" and not torch.cuda.is_available():
        raise Skipped("there is no usable CUDA device")
    for name, batch in itertools.product(args.network, args.batch):
        smallest = CATALOGUE[name].smallest_batch if work == "training" else 1
        yield from compare(name, work, max(batch, smallest), args)


def compare(name: str, work: str, batch: int, args: argparse.Namespace) -> Iterator[Row]:
    """Rows of one network."""
    x = image(name, batch, args.size, args.device)
    functions = contestants(name, work, x, args.more)
    same = agreement(functions, x) if work == "inference" else {}
    calls = {title: partial(once, function, x, work) for title, function in functions.items()}
    seconds = take_turns(calls, args.turns, synchronise=torch.cuda.synchronize if x.is_cuda else lambda: None)
    for title, row in compared(seconds).items():
        what = {"case": f"{name} {x.shape[-2]} x {x.shape[-1]}, batch {batch}", "contestant": title}
        process = (name, work, title, tuple(x.shape), args.device)
        memory = in_fresh_process(__name__, "peak", *process) if args.memory else None
        yield {**what, **row, "same_labels": same.get(title), "peak_mb": memory}


def once(function: Function, x: Tensor, work: str) -> None:
    """A forward pass, or a forward and a backward pass."""
    if work == "inference":
        with torch.inference_mode():
            function(x)
    else:
        outputs = function(x)
        sum(y.float().mean() for y in (outputs if isinstance(outputs, list) else [outputs])).backward()


def agreement(functions: dict[str, Function], x: Tensor) -> dict[str, float]:
    """Share of pixels with the label of the published network; an end where outputs differ by more than rounding."""
    same: dict[str, float] = {}
    with torch.inference_mode():
        expected = functions["published"](x)
        for title, function in functions.items():
            found = function(x).float()
            difference = found - expected
            if CONTESTANTS[title].rounded:  # 8 bits: of the logits' spread, which differs between networks
                wrong, limit = float(difference.square().mean().sqrt() / expected.std()), 0.05
            else:
                wrong, limit = float(difference.abs().max()), 1e-3 if x.is_cuda else 1e-4
            if wrong > limit:
                raise SystemExit(f"{title} differs from the published network by {wrong}: nothing is timed")
            same[title] = float((labels(found) == labels(expected)).float().mean())
    return same


def labels(logits: Tensor) -> Tensor:
    """Class of each pixel."""
    return logits.argmax(dim=1) if logits.shape[1] > 1 else logits > 0


def peak(name: str, work: str, title: str, shape: list[int], device: str) -> float | None:
    """Megabytes that the work needs at most, above what a fresh process held before it."""
    x = image(name, shape[0], shape[-1], device)
    function: Any = contestants(name, work, x, more=True)[title]
    return peak_memory(lambda: once(function, x, work), device)
