# SPDX-License-Identifier: Apache-2.0
"""Dice and focal loss, over the pixels that have a label."""

from __future__ import annotations

import torch
from monai.losses import DiceLoss, FocalLoss
from torch import nn

from sa2_monai.losses.checks import CheckedLoss

__all__ = ["DiceFocalLoss"]


class DiceFocalLoss(CheckedLoss):
    """Sum of MONAI's soft Dice of a batch and its focal loss, on logits.

    ``monai.losses.DiceFocalLoss`` knows no pixels to leave out; its two parts do. The focal loss (Lin et al., "Focal
    Loss for Dense Object Detection", https://arxiv.org/abs/1708.02002) is the mean over the labelled pixels of
    ``(1 - p)^gamma`` times the cross-entropy.

    Args:
        gamma: how little pixels count that are nearly right.
        weight: weights of the classes, ``(C,)``; ``None``: 1 each. Of several channels only.
        ignore_index: value of the target at pixels to leave out.

    Shape:
        - logits ``(B, C, H, W)``, any floating point type; the work is done in float32. One channel is the foreground
          of a sigmoid, several are classes of a softmax.
        - target ``(B, 1, H, W)``, class indices or ``ignore_index``, any numeric type.
        - output: scalar, float32.

    Raises:
        ValueError: for other shapes and other target values.
    """

    def __init__(self, gamma: float = 2.0, weight: torch.Tensor | None = None, ignore_index: int = 255) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        several = {"softmax": True, "to_onehot_y": True, "weight": weight}
        self.dice = nn.ModuleList(
            DiceLoss(batch=True, ignore_index=ignore_index, **options) for options in ({"sigmoid": True}, several)
        )
        several = {"use_softmax": True, "to_onehot_y": True, "weight": weight}
        self.focal = nn.ModuleList(
            FocalLoss(gamma=gamma, ignore_index=ignore_index, **options) for options in ({}, several)
        )

    def compute(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of a batch that has been checked."""
        logits, several = logits.float(), int(logits.shape[1] > 1)
        total: torch.Tensor = self.dice[several](logits, target) + self.focal[several](logits, target)
        return total
