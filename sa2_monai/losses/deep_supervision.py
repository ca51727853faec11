# SPDX-License-Identifier: Apache-2.0
"""One loss over all outputs of a deeply supervised network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.losses import DeepSupervisionLoss as MonaiDeepSupervisionLoss
from torch import nn

from sa2_monai.losses.checks import check_shapes, check_target

__all__ = ["DeepSupervisionLoss"]


class DeepSupervisionLoss(MonaiDeepSupervisionLoss):
    """Sum of a loss over the outputs of a network, all at the size of the target.

    MONAI's class of the same name does the work; it casts the logits to float32, so that ``loss`` is safe in half
    precision. Here the default is the published plain sum (MONAI's halves the weight with each level), a list of
    weights must fit the number of outputs (MONAI's falls back to its default in silence), and what does not fit is
    refused before the wrapped loss meets it (MONAI's resizes targets).

    Args:
        loss: loss of one output, called with logits ``(B, C, H, W)`` and target ``(B, 1, H, W)``. What its
            ``ignore_index`` names, where it has one, is a legal value of the target.
        weights: one weight per output, finest first; ``None`` for 1 each, as published for SA2-Net. With a single
            tensor (a network in evaluation mode) they do not apply.

    Shape:
        - logits: a list of ``(B, C, H, W)`` (network in training mode) or one such tensor.
        - target ``(B, 1, H, W)``: class indices 0 to C-1; 0 or 1 when C is 1.
        - output: scalar, float32.

    Raises:
        ValueError: for an empty list, another number of outputs than weights, other shapes, other target values.
    """

    def __init__(self, loss: nn.Module, weights: Sequence[float] | None = None) -> None:
        super().__init__(loss, weight_mode="same", weights=None if weights is None else [float(w) for w in weights])

    def forward(self, logits: torch.Tensor | Sequence[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
        """Loss of the batch."""
        name = type(self).__name__
        outputs = [logits] if isinstance(logits, torch.Tensor) else list(logits)
        if not outputs:
            raise ValueError(f"{name}: the network gave no output.")
        if not isinstance(logits, torch.Tensor) and self.weights is not None and len(self.weights) != len(outputs):
            raise ValueError(f"{name}: {len(self.weights)} weights for {len(outputs)} outputs; give one per output.")
        for output in outputs:
            check_shapes(name, output, target)
        ignore_index = getattr(self.loss, "ignore_index", None)
        labelled = target if ignore_index is None else target.masked_fill(target == ignore_index, 0)
        check_target(name, labelled, max(2, outputs[0].shape[1]))
        total: torch.Tensor = super().forward(logits if isinstance(logits, torch.Tensor) else outputs, target)
        return total
