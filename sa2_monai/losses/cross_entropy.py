# SPDX-License-Identifier: Apache-2.0
"""Cross entropy that leaves out pixels without a label, the loss with which SvANet was trained."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from sa2_monai.losses.checks import CheckedLoss

__all__ = ["IgnoreIndexCELoss", "one_hot_cross_entropy"]


class IgnoreIndexCELoss(CheckedLoss):
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

    ignore_index: int
    weight: torch.Tensor | None

    def __init__(self, ignore_index: int = 255, weight: torch.Tensor | None = None) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        self.register_buffer("weight", weight, persistent=False)

    def check_form(self, logits: torch.Tensor, target: torch.Tensor) -> None:
        """Two channels at least, and a target of the size of the logits."""
        super().check_form(logits, target)
        if logits.shape[1] < 2:
            raise ValueError(
                f"{type(self).__name__}: logits must have a channel per class, 2 at least, got {logits.shape[1]}."
            )

    def compute(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of a batch that has been checked."""
        ignored = (target == self.ignore_index).squeeze(1)
        logits = logits if logits.dtype == torch.float64 else logits.float()
        labels = target.long().squeeze(1)
        weight = None if self.weight is None else self.weight.to(logits)
        if torch.are_deterministic_algorithms_enabled():
            total, size = one_hot_cross_entropy(logits, labels.masked_fill(ignored, -1), weight)
            return total / size.clamp(min=1e-12)
        total = F.cross_entropy(logits, labels, weight, ignore_index=self.ignore_index, reduction="sum")
        if weight is None:
            return total / (~ignored).sum().clamp(min=1)
        if labels.is_cpu:
            return total / weight[labels[~ignored]].sum().clamp(min=1e-12)
        # To take the labelled pixels out of the others, the host would wait for their number.
        return total / weight[labels.masked_fill(ignored, 0)].masked_fill(ignored, 0).sum().clamp(min=1e-12)


def one_hot_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross entropy of sums that have a deterministic kernel on CUDA; that of torch has none for maps.

    Mathematically ``F.cross_entropy(..., reduction="sum")``; it takes the memory of the logits twice more.

    Args:
        logits: ``(B, C, H, W)``, float32 or float64.
        labels: ``(B, H, W)``, class indices; pixels with any other value are left out.
        weight: weights of the classes, ``(C,)``; ``None``: 1 each.

    Returns:
        Weighted sum over the pixels, and the sum of their weights.
    """
    classes = torch.arange(logits.shape[1], device=labels.device).view(1, -1, 1, 1)
    one_hot = labels.unsqueeze(1) == classes
    # Not a product: an impossible class has the logarithm -inf.
    total = -torch.where(one_hot, F.log_softmax(logits, dim=1), 0).sum(dim=(0, 2, 3))
    size = one_hot.sum(dim=(0, 2, 3)).to(logits.dtype)
    return (total.sum(), size.sum()) if weight is None else ((total * weight).sum(), (size * weight).sum())
