# SPDX-License-Identifier: Apache-2.0
"""How long a training step takes on this machine: a few real ones, on random numbers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

__all__ = ["seconds_per_step"]

_STEPS = 4  # of which the fastest counts: others may be slowed down by other programs
_ENOUGH = 4.0  # seconds after which no further step begins


def seconds_per_step(config: Mapping[str, Any]) -> float:
    """Time of one training step: forward, loss, backward, update.

    Args:
        config: a merged training configuration.

    Returns:
        Seconds; the fastest of up to four steps behind a first one.

    Raises:
        RuntimeError: the step does not fit into memory, or the network refuses the size.
    """
    import torch
    from monai.bundle import ConfigParser

    parser = ConfigParser(dict(config))
    network, loss = parser.get_parsed_content("network"), parser.get_parsed_content("loss")
    device = parser.get_parsed_content("device")
    batch, channels = parser.get_parsed_content("batch_size"), parser.get_parsed_content("in_channels")
    size, classes = parser.get_parsed_content("roi_size"), len(parser.get_parsed_content("class_names"))
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        images = torch.rand(batch, channels, *size, device=device)
        labels = torch.randint(0, classes, (batch, 1, *size), device=device).float()
    network.train()
    times = []
    for _ in range(_STEPS + 1):
        started = time.perf_counter()
        optimizer.zero_grad()
        loss(network(images), labels).backward()
        optimizer.step()
        if images.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
        if len(times) > 1 and sum(times) > _ENOUGH:
            break
    return min(times[1:])
