# SPDX-License-Identifier: Apache-2.0
"""The machine that a training will run on."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sa2_monai.data.fingerprint.facts import Machine
from sa2_monai.io.processors import usable_processors

__all__ = ["measure_machine"]

_GIB = 2.0**30


def measure_machine(device: str | None = None) -> Machine:
    """Device, free memory and processors.

    Args:
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``; ``None`` takes a GPU where there is one.

    Raises:
        ValueError: another device, or a GPU where there is none.
    """
    if device is not None and re.fullmatch(r"cpu|cuda(:\d+)?", device) is None:
        raise ValueError(f"device is {device!r}, expected 'cpu', 'cuda' or 'cuda:N'")
    processors = usable_processors()
    if device != "cpu":
        import torch

        if torch.cuda.is_available():
            chosen = torch.device(device or "cuda:0")
            free, _ = torch.cuda.mem_get_info(chosen)
            return Machine(str(chosen), torch.cuda.get_device_name(chosen), free / _GIB, processors)
        if device is not None:
            raise ValueError(
                f"device is {device!r}, but PyTorch finds no GPU here; leave the device out, or give 'cpu'"
            )
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
