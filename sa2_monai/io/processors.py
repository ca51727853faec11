# SPDX-License-Identifier: Apache-2.0
"""What a program may use of the machine: processors, memory, and threads that let other programs calculate."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

__all__ = ["THREADS", "free_memory", "limit_threads", "set_threads", "usable_processors", "without_own_limits"]

#: Of the libraries that calculate on the CPU: OpenMP (PyTorch, ONNX Runtime), MKL, OpenBLAS (NumPy).
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# A thread that has finished its part waits for the others in a loop: in GNU OpenMP 300,000 times round, which is
# milliseconds, since it knows of its own threads only. Where two programs share the cores, it so keeps from the core
# the thread that it waits for. This many times round are a fraction of a millisecond: more than there is between two
# operations of a network, so that a program that is alone loses nothing. Intel's and LLVM's OpenMP wait 200 ms.
_WAITING = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "1"}
_POLICY = "OMP_WAIT_POLICY"
# What this module has put into the environment, and nobody asked for.
_own: dict[str, str] = {}


def usable_processors(root: Path = Path("/")) -> int:
    """Processors that this process may use: not more than its affinity and the limits of its container allow.

    Args:
        root: of the file system, where Linux tells the limits of control groups.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(count, _quota(root))))


def limit_threads(environment: MutableMapping[str, str] = os.environ) -> None:
    """Put into the environment, before PyTorch is imported, what lets programs run side by side.

    Where a container may use fewer processors than it sees, as many threads are started as it may use; threads do not
    wait long in loops. What the environment says already stays.

    Args:
        environment: of this process.
    """
    defaults = {} if _POLICY in environment else dict(_WAITING)
    usable = usable_processors()
    if usable < (os.cpu_count() or 1):
        defaults |= dict.fromkeys(THREADS, str(usable))
    for name, value in defaults.items():
        if name not in environment:
            environment[name] = _own[name] = value


def without_own_limits(environment: MutableMapping[str, str]) -> dict[str, str]:
    """An environment without the numbers of threads of :func:`limit_threads`, for programs that share the processors.

    Args:
        environment: that a program would inherit.
    """
    return {name: value for name, value in environment.items() if name not in THREADS or _own.get(name) != value}


def set_threads(count: int, environment: MutableMapping[str, str] = os.environ) -> None:
    """Let this process, and those that it starts, calculate with so many threads each.

    Args:
        count: number of threads.
        environment: of this process.
    """
    for name in THREADS:
        _own.pop(name, None)
        environment[name] = str(count)
    if "torch" in sys.modules:  # else it reads the environment
        import torch

        torch.set_num_threads(count)


def free_memory(root: Path = Path("/")) -> float:
    """Bytes: on Linux what can be had without swapping, elsewhere half of the memory; 4 GiB where nobody tells it.

    Args:
        root: of the file system, where Linux tells it.
    """
    meminfo = root / "proc" / "meminfo"
    if meminfo.is_file():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2
    return 4 * 2.0**30


def _quota(root: Path) -> float:
    """Processors of the control groups that this process is in; infinite where there is no limit."""
    limits = [math.inf]
    for folder in _groups(root):
        limits.append(_limit(folder / "cpu.max"))
        period = _numbers(folder / "cpu.cfs_period_us")
        quota = _numbers(folder / "cpu.cfs_quota_us")
        if quota and period and quota[0] > 0:
            limits.append(quota[0] / period[0])
    return min(limits)


def _limit(file: Path) -> float:
    found = _numbers(file)
    return found[0] / found[1] if len(found) == 2 and found[1] > 0 else math.inf


def _groups(root: Path) -> list[Path]:
    """Folders of the control groups of this process, with those above it: version 2 and 1."""
    base = root / "sys" / "fs" / "cgroup"
    folders = [base, base / "cpu", base / "cpu,cpuacct"]
    try:
        lines = (root / "proc" / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return folders
    for line in lines:
        _, names, path = line.split(":", 2)
        if names and "cpu" not in names.split(","):
            continue
        place = base / names if names else base
        folders += [place / part for part in [path.strip("/"), *map(str, Path(path.strip("/")).parents)]]
    return folders


def _numbers(file: Path) -> list[float]:
    try:
        return [float(word) for word in file.read_text().split()]
    except (OSError, ValueError):  # "max 100000": no limit
        return []
