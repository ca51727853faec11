# SPDX-License-Identifier: Apache-2.0
"""Dice and cross entropy, with the sums that deterministic algorithms want."""

from __future__ import annotations

import monai.losses
import torch

from sa2_monai.losses.cross_entropy import one_hot_cross_entropy

__all__ = ["DiceCELoss"]


class DiceCELoss(monai.losses.DiceCELoss):
    """``monai.losses.DiceCELoss``, and the same in another form where deterministic algorithms are asked for.

    Under ``torch.use_deterministic_algorithms(True)`` torch's cross entropy of maps raises an error on CUDA. There, the
    mean over class indices is calculated by :func:`~sa2_monai.losses.cross_entropy.one_hot_cross_entropy`; otherwise
    nothing differs, to the last bit.
    """

    def ce(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Cross entropy of logits ``(B, C, H, W)`` and class indices ``(B, 1, H, W)``."""
        plain = self.cross_entropy.reduction == "mean" and self.cross_entropy.label_smoothing == 0
        indices = target.shape[1] == 1 < input.shape[1]
        if not (torch.are_deterministic_algorithms_enabled() and plain and indices):
            return super().ce(input, target)
        total, size = one_hot_cross_entropy(input, target.long().squeeze(1), self.cross_entropy.weight)
        return total / size
