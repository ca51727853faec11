# SPDX-License-Identifier: Apache-2.0
"""How many slices go through the network together: a number, or as many as the memory of the device has room for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from sa2_monai.slices.transfer import free_memory

__all__ = ["AUTO", "SliceBatches"]

logger = logging.getLogger(__name__)

#: In place of a number: what fits.
AUTO = "auto"
_FIRST = 8  # slices of the first batch, at which the memory of one is measured, and of all batches on a CPU
_MOST = 128  # no GPU gains by more
_SHARE = 0.8  # of the free memory; the rest is for what is cut into pieces that do not fit

T = TypeVar("T")


class SliceBatches:
    """Cut the slices of a volume into batches, smaller ones from when the memory of the device has not sufficed.

    Args:
        wanted: slices of a batch. ``"auto"``: on an accelerator the first batch of a volume has 8, the others as many
            as fit into the free memory by what the first one took, 128 at most; 8 on a CPU.

    Attributes:
        size: slices of the present batch, and windows of one call of the network.
    """

    def __init__(self, wanted: int | str) -> None:
        self.auto = wanted == AUTO
        self._most = _MOST if self.auto else int(wanted)
        self._told = False
        self.size = self._first

    @property
    def _first(self) -> int:
        return min(_FIRST, self._most) if self.auto else self._most

    def run(self, count: int, device: torch.device, work: Callable[[int, int], T]) -> Iterator[tuple[int, T]]:
        """Yield the first slice of each batch and what ``work`` makes of the batch.

        Args:
            count: of all slices.
            device: where ``work`` needs memory.
            work: called with the first slice of a batch and the one behind its last; again, with fewer slices, when it
                raises ``torch.OutOfMemoryError``, so it must leave nothing behind.

        Raises:
            torch.OutOfMemoryError: there is not even room for one slice.
        """
        start, self.size = 0, self._first
        measured = not self.auto or free_memory(device) is None
        while start < count:
            stop = min(start + self.size, count)
            before = None if measured else _begin_measuring(device)
            try:
                found = work(start, stop)
            except torch.OutOfMemoryError as error:
                if self.size == 1:
                    raise torch.OutOfMemoryError(
                        f"there is no room for one slice in the memory of {device} ({error}). Free memory there, "
                        "choose a smaller roi_size, or run on the CPU (--device cpu)."
                    ) from error
            else:
                yield start, found
                if before is not None:
                    self.size, measured = self._fitting(device, before, stop - start), True
                start = stop
                continue
            # Here, behind the handler, nothing holds the tensors of the attempt any more.
            self._halve(device)

    def _fitting(self, device: torch.device, before: int, slices: int) -> int:
        each = (torch.get_device_module(device).max_memory_allocated(device) - before) / slices
        free = free_memory(device)
        assert free is not None
        return max(1, min(self._most, int(_SHARE * free / max(each, 1.0))))

    def _halve(self, device: torch.device) -> None:
        tried, self.size = self.size, self.size // 2
        self._most = self.size
        if device.type != "cpu":
            torch.get_device_module(device).empty_cache()
        if not self._told:
            self._told = True
            logger.warning(
                "a batch of %d does not fit into the memory of %s: half of it from now on, and again where that is too "
                "much. batch_size: %d spares the attempt.",
                *(tried, device, self.size),
            )


def _begin_measuring(device: torch.device) -> int:
    """Bytes in use; from now on the device counts how many there are at most."""
    module = torch.get_device_module(device)
    module.reset_peak_memory_stats(device)
    return module.memory_allocated(device)
