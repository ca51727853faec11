# SPDX-License-Identifier: Apache-2.0
"""The device of a program: by its environment, so that a command is the same on every device and machine."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from sa2_monai.io.processors import THREADS, usable_processors, without_own_limits

__all__ = ["check_devices", "environment_of"]

_CUDA = "CUDA_VISIBLE_DEVICES"


def check_devices(devices: Sequence[str]) -> None:
    """Refuse names that are no devices.

    Args:
        devices: ``"cpu"``, ``"cuda"``, ``"cuda:1"``.

    Raises:
        ValueError: naming what is none, or a GPU that is there twice.
    """
    if not devices:
        raise ValueError("--devices is empty, expected devices such as cuda:0,cuda:1")
    for device in devices:
        if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
            raise ValueError(f"--devices has {device!r}, expected cpu, cuda or cuda:N, as in cuda:0,cuda:1")
        if device != "cpu" and devices.count(device) > 1:
            raise ValueError(f"--devices has {device} twice; a GPU runs one job at a time")


def environment_of(device: str | None, side_by_side: int = 1, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment in which a program finds one device.

    Args:
        device: of the program; ``None`` leaves the choice to it.
        side_by_side: programs that share the processors; each gets its part of them, unless the environment says how
            many threads there shall be.
        base: environment of this process by default.
    """
    environment = without_own_limits(dict(os.environ if base is None else base))
    if device == "cpu":
        environment[_CUDA] = ""
    elif device is not None and ":" in device:
        number = int(device.partition(":")[2])
        seen = [name for name in environment.get(_CUDA, "").split(",") if name]
        environment[_CUDA] = seen[number] if number < len(seen) else str(number)
    if side_by_side > 1:
        threads = str(max(1, usable_processors() // side_by_side))
        for name in THREADS:
            environment.setdefault(name, threads)
    return environment
