# SPDX-License-Identifier: Apache-2.0
"""One loss over all outputs of a deeply supervised network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.losses import DeepSupervisionLoss as MonaiDeepSupervisionLoss
from torch import nn

from sa2_monai.losses.checks import CheckedLoss, check_shapes, check_target

__all__ = ["DeepSupervisionLoss"]


class DeepSupervisionLoss(MonaiDeepSupervisionLoss):
    """Sum of a loss over the outputs of a network, all at the size of the target.

    As MONAI's class of the same name; it casts the logits to float32, so that ``loss`` is safe in half precision. Here
    the default is the published plain sum (MONAI's halves the weight with each level), a list of weights must fit the
    number of outputs (MONAI's falls back to its default in silence), what does not fit is refused before the wrapped
    loss meets it (MONAI's resizes targets), and the values of the target are looked at once, not for each output.

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
        check_target(name, target, max(2, outputs[0].shape[1]), getattr(self.loss, "ignore_index", None))
        if isinstance(logits, torch.Tensor):
            return self.get_loss(logits.float(), target)
        weights = self.get_weights(levels=len(outputs))
        first, *others = [w * self.get_loss(o.float(), target) for w, o in zip(weights, outputs, strict=True)]
        return sum(others, first)

    def get_loss(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of one output; the values of the target have been looked at."""
        if not isinstance(self.loss, CheckedLoss):
            loss: torch.Tensor = self.loss(input, target)
            return loss
        self.loss.check_form(input, target)
        return self.loss.compute(input, target)
