# SPDX-License-Identifier: Apache-2.0
"""Boundary difference over union, the loss with which MSA2-Net and HSA-UNet were trained."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from sa2_monai.losses.checks import CheckedLoss

__all__ = ["BoundaryDoULoss"]


class BoundaryDoULoss(CheckedLoss):
    """Difference over union whose intersection weighs less the more a region consists of its boundary, on logits.

    Sun, Luo, Li: "Boundary Difference Over Union Loss for Medical Image Segmentation", MICCAI 2023,
    https://arxiv.org/abs/2308.00220, in the form of the published code of MSA2-Net and HSA-UNet. With the sums over all
    pixels of the batch, for each class::

        alpha = min(2 (1 - (C + s) / (S + s)) - 1, 0.8)
        loss = (sum(p^2) + S - 2 sum(p y) + s) / (sum(p^2) + S - (1 + alpha) sum(p y) + s)

    S is the number of pixels of the class, C the number of those with a 4-neighbour of another class or outside of the
    image. The mean over classes, background included, is the result. ``alpha`` has no gradient. A class that is absent
    from the batch adds the constant 1: its false positives are felt through the other classes only, so that a small
    batch of rare classes wants another loss beside this one.

    Args:
        max_alpha: upper limit of alpha; published: 0.8.
        smooth: s; published: 1e-5.

    Shape:
        - logits ``(B, C, H, W)``, any floating point type; the work is done in float32 at least. One channel is
          the foreground of a sigmoid, several are classes of a softmax (published).
        - target ``(B, 1, H, W)``, class indices, any numeric type.
        - output: scalar, float32 (float64 for float64 logits), in [0, 1].

    Raises:
        ValueError: for limits outside of [0, 1), a negative ``smooth``, other shapes and other target values.
    """

    def __init__(self, max_alpha: float = 0.8, smooth: float = 1e-5) -> None:
        super().__init__()
        if not 0.0 <= max_alpha < 1.0:
            raise ValueError(f"BoundaryDoULoss: max_alpha must lie in [0, 1), got {max_alpha}.")
        if not smooth > 0.0:
            raise ValueError(f"BoundaryDoULoss: smooth must be positive, got {smooth}.")
        self.max_alpha = max_alpha
        self.smooth = smooth

    def compute(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of a batch that has been checked."""
        channels = logits.shape[1]
        # Sums over pixels overflow in float16.
        logits = logits if logits.dtype == torch.float64 else logits.float()
        probability = torch.sigmoid(logits) if channels == 1 else torch.softmax(logits, dim=1)
        labels = target.long()
        first = 1 if channels == 1 else 0  # class of the first channel
        classes = torch.arange(first, first + channels, device=labels.device).view(1, -1, 1, 1)
        one_hot = labels == classes  # (B, C, H, W)
        axes = (0, 2, 3)

        # Inside a class all four neighbours have its label; the frame of -1 is in no class.
        framed = F.pad(labels, (1, 1, 1, 1), value=-1)
        around = (framed[..., :-2, 1:-1], framed[..., 2:, 1:-1], framed[..., 1:-1, :-2], framed[..., 1:-1, 2:])
        edge = torch.stack([labels != neighbour for neighbour in around]).any(dim=0)  # (B, 1, H, W)
        size = one_hot.sum(axes).to(logits.dtype)
        boundary = (one_hot & edge).sum(axes).to(logits.dtype)
        alpha = (2 * (1 - (boundary + self.smooth) / (size + self.smooth)) - 1).clamp(max=self.max_alpha)

        both = (probability * one_hot).sum(axes)
        total = probability.square().sum(axes) + size
        return ((total - 2 * both + self.smooth) / (total - (1 + alpha) * both + self.smooth)).mean()
