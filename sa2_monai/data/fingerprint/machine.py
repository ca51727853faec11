# SPDX-License-Identifier: Apache-2.0
"""The machine that a training will run on."""

from __future__ import annotations

import re

from sa2_monai.data.fingerprint.facts import Machine
from sa2_monai.io.processors import free_memory, usable_processors

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
    return Machine("cpu", f"{processors} processors", free_memory() / _GIB, processors)
