# SPDX-License-Identifier: Apache-2.0
"""The machine that a training will run on."""

from __future__ import annotations

import os
from pathlib import Path

from sa2_monai.data.fingerprint.facts import Machine

__all__ = ["measure_machine"]

_GIB = 2.0**30


def measure_machine(device: str | None = None) -> Machine:
    """Device, free memory and processors.

    Args:
        device: ``"cpu"`` or ``"cuda"``; ``None`` takes a GPU where there is one, as the configurations do.

    Raises:
        ValueError: another device, or ``"cuda"`` where there is none.
    """
    if device not in (None, "cpu", "cuda"):
        raise ValueError(f"device is {device!r}, expected 'cpu' or 'cuda'")
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if device != "cpu":
        import torch

        if torch.cuda.is_available():
            free, _ = torch.cuda.mem_get_info()
            return Machine("cuda", torch.cuda.get_device_name(), free / _GIB, processors)
        if device == "cuda":
            raise ValueError("device is 'cuda', but PyTorch finds no GPU here; leave the device out, or give 'cpu'")
    return Machine("cpu", f"{processors} processors", _free_memory() / _GIB, processors)


def _free_memory() -> float:
    """Bytes; of Linux what can be had without swapping, elsewhere half of the memory, where that is known."""
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2
    return 4 * _GIB
