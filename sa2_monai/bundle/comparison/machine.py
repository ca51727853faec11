# SPDX-License-Identifier: Apache-2.0
"""The machine that times and memory are of."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

__all__ = ["device_name", "machine_facts", "peak_memory"]

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def device_name(device: str) -> str:
    """What the vendor calls a GPU or the processor.

    Args:
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    """
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def machine_facts(device: str) -> dict[str, Any]:
    """Device, threads and the version of PyTorch.

    Args:
        device: see :func:`device_name`.
    """
    return {"device": device_name(device), "threads": torch.get_num_threads(), "torch": torch.__version__}


def peak_memory(work: Callable[[], Any], device: str) -> float | None:
    """MiB that some work needs at most, above what the process held before it; of a GPU, its memory.

    On the CPU it is exact only in a fresh process in which glibc gives freed blocks back at once (``mallopt``, or
    ``MALLOC_MMAP_THRESHOLD_=131072``): else holes of the heap count, which differ from run to run.

    Args:
        work: is done once.
        device: where.

    Returns:
        ``None`` where the system does not tell: on the CPU it has to be Linux.
    """
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    try:
        # The peak that getrusage tells is that of the parent process, too. This one belongs to this process and can be
        # set back.
        _RESET.write_text("5")
    except OSError:
        return None
    resident = _mebibytes("VmRSS")
    work()
    return _mebibytes("VmHWM") - resident


def _mebibytes(key: str) -> float:
    """An entry of the process's status."""
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith(f"{key}:"))
