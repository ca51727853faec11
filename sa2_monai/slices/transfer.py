# SPDX-License-Identifier: Apache-2.0
"""From the memory of the host to that of an accelerator, and how much of it is free."""

from __future__ import annotations

import torch

__all__ = ["free_memory", "to_device", "waits"]


def waits(device: torch.device) -> bool:
    """Whether reading a value of a tensor on a device makes the host wait until the device has done all its work."""
    return device.type != "cpu"


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Bring a tensor to a device as it is stored, without waiting for it where the device can fetch it by itself.

    Args:
        tensor: any; of the host, of the device already, or of another one.
        device: where it goes.

    Returns:
        The tensor there, contiguous.
    """
    if tensor.device.type != "cpu" or device.type in ("cpu", "mps"):
        return tensor.contiguous().to(device)
    # Page-locked memory, which torch keeps and gives out again when the device has read it.
    staged = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor)
    return staged.to(device, non_blocking=True)


def free_memory(device: torch.device) -> int | None:
    """Bytes that a device has left for new tensors; ``None`` where nobody tells, as for CPUs.

    Args:
        device: any.
    """
    module = torch.get_device_module(device)
    if not hasattr(module, "mem_get_info"):
        return None
    free: int = module.mem_get_info(device)[0]
    # What torch holds back of tensors that are gone counts as free.
    kept: int = module.memory_reserved(device) - module.memory_allocated(device)
    return free + kept
