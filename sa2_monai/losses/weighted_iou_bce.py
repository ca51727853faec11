# SPDX-License-Identifier: Apache-2.0
"""Boundary-weighted IoU and cross entropy."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from sa2_monai.losses.checks import CheckedLoss, check_one_channel

__all__ = ["WeightedIoUBCELoss"]


class WeightedIoUBCELoss(CheckedLoss):
    """Soft IoU with large weights near boundaries, plus binary cross entropy, on logits.

    The loss that the description of SA2-Net names ("weighted IoU and BCE"); its code trains with
    :class:`BalancedBCEDiceLoss`. As in PraNet (Fan et al., MICCAI 2020) and CASCADE (Rahman and Marculescu,
    WACV 2023)::

        w = 1 + 5 |mean of y in a 31 x 31 window - y|
        iou = 1 - (sum(w p y) + 1) / (sum(w (p + y)) - sum(w p y) + 1)

    per image; zeros outside the image count in the window.

    Args:
        weighted_bce: ``False`` for the plain mean of the cross entropy, which is what the published code computes in
            effect (a wrongly passed argument reduces it before it is weighted); ``True`` for ``sum(w b) / sum(w)`` per
            image, which it was meant to compute.

    Shape:
        - logits ``(B, 1, H, W)``, any floating point type; the work is done in float32 at least.
        - target ``(B, 1, H, W)``, 0 or 1, any numeric type.
        - output: scalar, float32 (float64 for float64 logits).

    Raises:
        ValueError: for other shapes and other target values.
    """

    def __init__(self, weighted_bce: bool = False) -> None:
        super().__init__()
        self.weighted_bce = weighted_bce

    def check_form(self, logits: torch.Tensor, target: torch.Tensor) -> None:
        """One logit map per image, and a target of its size."""
        super().check_form(logits, target)
        check_one_channel(type(self).__name__, logits)

    def compute(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of a batch that has been checked."""
        # Sums over pixels overflow in float16.
        logits = logits if logits.dtype == torch.float64 else logits.float()
        target = target.to(logits.dtype)
        # A square mean is a mean along one axis and then along the other: 62 additions per pixel instead of 961.
        mean = F.avg_pool2d(target, kernel_size=(31, 1), stride=1, padding=(15, 0))
        mean = F.avg_pool2d(mean, kernel_size=(1, 31), stride=1, padding=(0, 15))
        weight = 1 + 5 * (mean - target).abs()  # (B, 1, H, W)

        bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        axes = (1, 2, 3)
        if self.weighted_bce:
            bce = (weight * bce).sum(axes) / weight.sum(axes)
        probability = torch.sigmoid(logits)
        intersection = (weight * probability * target).sum(axes)
        total = (weight * (probability + target)).sum(axes)
        iou = 1 - (intersection + 1) / (total - intersection + 1)
        return bce.mean() + iou.mean()
