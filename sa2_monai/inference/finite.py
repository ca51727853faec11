# SPDX-License-Identifier: Apache-2.0
"""No label map of NaN or infinite values."""

from __future__ import annotations

import torch

from sa2_monai.slices.transfer import waits

__all__ = ["FiniteCheck"]


class FiniteCheck:
    """Look at what a network makes of slices; on a CPU at once, on an accelerator when all of them are through.

    There the host would wait for each batch before it could prepare the next one: the findings stay on the device.

    Args:
        name: of the volume, for messages.
        axis: of the slices.
    """

    def __init__(self, name: str, axis: int) -> None:
        self.name = name
        self.axis = axis
        self._slices: list[tuple[int, int]] = []
        self._findings: list[torch.Tensor] = []

    def look(self, first: int, images: torch.Tensor, logits: torch.Tensor) -> None:
        """Look at one batch.

        Args:
            first: number of its first slice.
            images: what the network saw (B, C, h, w), or what that was made of.
            logits: what it said (B, K, h, w).

        Raises:
            ValueError: on a CPU, for values that are not finite.
        """
        slices = (first, first + len(images) - 1)
        if waits(logits.device):
            self._slices.append(slices)
            fine = torch.isfinite(logits).all(), torch.isfinite(images).all().to(logits.device)
            self._findings.append(torch.stack(fine))
        # The sum tells at once that all is well; a sum that overflows alone is no error.
        elif not torch.isfinite(logits.sum()) and not torch.isfinite(logits).all():
            self._refuse(slices, bool(torch.isfinite(images).all()))

    def finish(self) -> None:
        """Read what was found on an accelerator.

        Raises:
            ValueError: for values that are not finite; the message names the first slices.
        """
        if not self._findings:
            return
        for slices, (fine, fine_input) in zip(self._slices, torch.stack(self._findings).tolist(), strict=True):
            if not fine:
                self._refuse(slices, fine_input)

    def _refuse(self, slices: tuple[int, int], fine_input: bool) -> None:
        raise ValueError(
            f"{self.name}: the network's output for the slices {slices[0]} to {slices[1]} along axis {self.axis} has "
            f"NaN or infinite values; its input is {'finite' if fine_input else 'not finite, too'}. Check the voxels "
            "of the file and the weights; with mixed precision, try single precision."
        )
