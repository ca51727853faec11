# SPDX-License-Identifier: Apache-2.0
"""Cross entropy that leaves out pixels without a label, the loss with which SvANet was trained."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.losses.checks import check_shapes, check_target

__all__ = ["IgnoreIndexCELoss"]


class IgnoreIndexCELoss(nn.Module):
    """Mean cross entropy over the pixels that have a label, on logits.

    MONAI's cross entropies know no pixels to leave out; those that an augmentation brings in from outside the image
    have no label (SvANet, arXiv 2407.07720, marks them with 255). A batch without any label gives 0 with gradient 0,
    not NaN.

    Args:
        ignore_index: value of the target at pixels to leave out.
        weight: weights of the classes, ``(C,)``; the mean is that of the weighted pixels. ``None``: 1 each.

    Shape:
        - logits ``(B, C, H, W)``, C at least 2, any floating point type; the work is done in float32 at least.
        - target ``(B, 1, H, W)``, class indices or ``ignore_index``, any numeric type.
        - output: scalar, float32 (float64 for float64 logits).

    Raises:
        ValueError: for a single channel, other shapes and other target values.
    """

    weight: torch.Tensor | None

    def __init__(self, ignore_index: int = 255, weight: torch.Tensor | None = None) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of the batch."""
        name = type(self).__name__
        check_shapes(name, logits, target)
        classes = logits.shape[1]
        if classes < 2:
            raise ValueError(f"{name}: logits must have a channel per class, 2 at least, got {classes}.")
        ignored = target == self.ignore_index
        check_target(name, target.masked_fill(ignored, 0), classes)
        logits = logits if logits.dtype == torch.float64 else logits.float()
        labels = target.long().squeeze(1)
        weight = None if self.weight is None else self.weight.to(logits)
        total = F.cross_entropy(logits, labels, weight, ignore_index=self.ignore_index, reduction="sum")
        if weight is None:
            return total / (~ignored).sum().clamp(min=1)
        return total / weight[labels[labels != self.ignore_index]].sum().clamp(min=1e-12)
