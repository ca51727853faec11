# SPDX-License-Identifier: Apache-2.0
"""How long a training step takes on this machine: a few real ones, on random numbers, their slices included."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["seconds_per_step"]

_STEPS = 4  # of which the fastest counts: others may be slowed down by other programs
_ENOUGH = 4.0  # seconds after which no further step begins
_SLICES = 12  # that are made ready; the first is slower
# What is not timed of a slice: its way out of the cache and into a batch, checks after the step. Hippocampus, 16 slices
# in a step, two cores: 0.141 s in the training, 0.11 s timed.
_REST = 0.002


def seconds_per_step(config: Mapping[str, Any], slice_size: Sequence[int]) -> float:
    """Time of one training step: forward, loss, backward, update, and its slices, unless other processes make them.

    Args:
        config: a merged training configuration.
        slice_size: rows and columns of a slice as the files have it, in pixels.

    Returns:
        Seconds; the fastest of up to four steps behind a first one.

    Raises:
        RuntimeError: the step does not fit into memory, or the network refuses the size.
    """
    import torch
    from monai.bundle import ConfigParser

    with torch.random.fork_rng():  # what is trained afterwards starts as it would without the timing
        torch.manual_seed(0)
        parser = ConfigParser(dict(config))
        network, loss, device = (parser.get_parsed_content(name) for name in ("network", "loss", "device"))
        batch, channels, size = (parser.get_parsed_content(name) for name in ("batch_size", "in_channels", "roi_size"))
        images = torch.rand(batch, channels, *size, device=device)
        labels = torch.randint(
            0, len(parser.get_parsed_content("class_names")), (batch, 1, *size), device=device
        ).float()
        optimizer = parser.get_parsed_content("optimizer")
        network.train()

        def step() -> float:
            started = time.perf_counter()
            optimizer.zero_grad()
            loss(network(images), labels).backward()
            optimizer.step()
            if images.is_cuda:
                torch.cuda.synchronize()
            return time.perf_counter() - started

        first, times = step(), [step()]
        while len(times) < _STEPS and first + sum(times) < _ENOUGH:
            times.append(step())
        slices = 0.0 if parser.get_parsed_content("num_workers") else batch * _seconds_per_slice(parser, slice_size)
    return min(times) + slices


def _seconds_per_slice(parser: Any, size: Sequence[int]) -> float:
    """Time of one slice on its way into a batch: its random steps (median), and the rest."""
    import torch
    from monai.data import MetaTensor
    from monai.transforms import Compose

    steps = Compose(parser.get_parsed_content("train#random_transforms"))
    channels = parser.get_parsed_content("in_channels")
    times = []
    for _ in range(_SLICES):
        sample = {"image": MetaTensor(torch.rand(channels, *size)), "label": MetaTensor(torch.zeros(1, *size))}
        started = time.perf_counter()
        steps(sample)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:]) + _REST
