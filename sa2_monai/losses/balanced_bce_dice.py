# SPDX-License-Identifier: Apache-2.0
"""Class-balanced cross entropy and Dice, the loss with which SA2-Net was trained on MoNuSeg and GlaS."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from monai.losses import DiceLoss

from sa2_monai.losses.checks import CheckedLoss, check_one_channel

__all__ = ["BalancedBCEDiceLoss"]


class BalancedBCEDiceLoss(CheckedLoss):
    """Weighted sum of squared soft Dice and class-balanced binary cross entropy, on logits.

    As in the code of UCTransNet and SA2-Net (Fiaz et al., BMVC 2023) for MoNuSeg and GlaS:

    - Dice: mean over images of ``1 - (2 sum(p y) + s) / (sum(p^2) + sum(y^2) + s)``, ``s = 4e-5`` (published as
      1e-5 beside sums that carry a factor of 0.25);
    - cross entropy: half of the mean over all foreground pixels of the batch plus half of the mean over all
      background pixels. A class that is absent from the batch adds nothing.

    The published cross entropy clamps each logarithm at -100; here it comes from the logits, exact and without a
    clamp, so that a saturated wrong pixel still has a gradient.

    Args:
        lambda_dice: weight of the Dice part.
        lambda_bce: weight of the cross entropy.
        ignore_index: value of the target at pixels without a label, which are in neither part; ``None``: there are
            none.

    Shape:
        - logits ``(B, 1, H, W)``, any floating point type; the work is done in float32 at least.
        - target ``(B, 1, H, W)``, 0, 1 or ``ignore_index``, any numeric type.
        - output: scalar, float32 (float64 for float64 logits).

    Raises:
        ValueError: for negative weights, other shapes and other target values.
    """

    def __init__(self, lambda_dice: float = 0.5, lambda_bce: float = 0.5, ignore_index: int | None = None) -> None:
        super().__init__()
        if lambda_dice < 0 or lambda_bce < 0:
            raise ValueError(f"BalancedBCEDiceLoss: weights must be >= 0, got {lambda_dice} and {lambda_bce}.")
        self.lambda_dice = lambda_dice
        self.lambda_bce = lambda_bce
        self.ignore_index = ignore_index
        self.dice = DiceLoss(sigmoid=True, squared_pred=True, smooth_nr=4e-5, smooth_dr=4e-5)

    def check_form(self, logits: torch.Tensor, target: torch.Tensor) -> None:
        """One logit map per image, and a target of its size."""
        super().check_form(logits, target)
        check_one_channel(type(self).__name__, logits)

    def compute(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of a batch that has been checked."""
        ignored = None if self.ignore_index is None else target == self.ignore_index
        # Sums over pixels overflow in float16.
        logits = logits if logits.dtype == torch.float64 else logits.float()
        target = target.to(logits.dtype)
        if ignored is not None:
            # Background that is predicted with certainty adds 0 to every sum of the Dice part, and has no gradient.
            target, logits = target.masked_fill(ignored, 0), logits.masked_fill(ignored, -1e4)
        bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        foreground, background = target, 1 - target
        if ignored is not None:
            background = background.masked_fill(ignored, 0)
        balanced = 0.5 * (bce * foreground).sum() / (foreground.sum() + 1e-12)
        balanced = balanced + 0.5 * (bce * background).sum() / (background.sum() + 1e-12)
        return self.lambda_dice * self.dice(logits, target) + self.lambda_bce * balanced
