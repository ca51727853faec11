# SPDX-License-Identifier: Apache-2.0
"""Memory of a process and the workers of its data loader, as Linux tells it."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["memory_is_told", "memory_of_processes"]


def memory_is_told() -> bool:
    """Whether this machine can say it."""
    return Path("/proc/self/smaps_rollup").exists()


def memory_of_processes() -> dict[str, float]:
    """Megabytes of this process and its workers."""
    own = os.getpid()
    children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    pss = [_entry(Path(f"/proc/{process}/smaps_rollup"), "Pss") for process in (own, *children)]
    rss = [_entry(Path(f"/proc/{process}/status"), "VmRSS") for process in children] or [0.0]
    return {"pss_of_all_mb": sum(pss), "rss_of_a_worker_mb": max(rss)}


def _entry(path: Path, key: str) -> float:
    lines = path.read_text().splitlines()
    return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith(f"{key}:"))
