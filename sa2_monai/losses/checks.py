# SPDX-License-Identifier: Apache-2.0
"""Checks that all losses share."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["CheckedLoss", "check_one_channel", "check_shapes", "check_target"]


class CheckedLoss(nn.Module):
    """A loss on logits that looks at what it gets before it computes.

    Shapes cost nothing. Whether all values of a target are legal is the one question for whose answer the host waits
    for a GPU: who has asked it for several losses on one target goes on with :meth:`check_form` and :meth:`compute`.
    """

    #: Value of the target at pixels without a label; ``None``: there are none.
    ignore_index: int | None = None

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of the batch."""
        self.check_form(logits, target)
        check_target(type(self).__name__, target, max(2, logits.shape[1]), self.ignore_index)
        return self.compute(logits, target)

    def check_form(self, logits: torch.Tensor, target: torch.Tensor) -> None:
        """Refuse other shapes and types than the loss is for."""
        check_shapes(type(self).__name__, logits, target)

    def compute(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of a batch that has been checked."""
        raise NotImplementedError


def check_shapes(name: str, logits: torch.Tensor, target: torch.Tensor) -> None:
    """Refuse logits and targets that do not belong together.

    Args:
        name: who asks, for the message.
        logits: ``(B, C, H, W)``.
        target: ``(B, 1, H, W)``.

    Raises:
        ValueError: for any other pair of shapes, or integer logits.
    """
    if logits.ndim != 4 or not logits.is_floating_point():
        raise ValueError(
            f"{name}: logits must be floating point of shape (B, C, H, W), got {logits.dtype} {list(logits.shape)}."
        )
    expected = [logits.shape[0], 1, *logits.shape[2:]]
    if list(target.shape) != expected:
        raise ValueError(
            f"{name}: for logits of shape {list(logits.shape)} the target must have shape {expected} (class indices, "
            f"not one-hot), got {list(target.shape)}."
        )


def check_target(name: str, target: torch.Tensor, num_classes: int, ignore_index: int | None = None) -> None:
    """Refuse target values that are not one of the class indices. On a GPU the host waits for it, once.

    Args:
        name: who asks, for the message.
        target: label map of any numeric type.
        num_classes: legal values are 0 to ``num_classes - 1``.
        ignore_index: one more legal value.

    Raises:
        ValueError: when there is another value, with the range found.
    """
    if torch.compiler.is_compiling():  # a value-dependent branch would cut the graph
        return
    if ignore_index is not None:
        target = target.masked_fill(target == ignore_index, 0)
    # On CUDA an index out of range ends in a device-side assertion that only a new process gets over: ask before.
    wrong = (target < 0) | (target >= num_classes)
    if target.is_floating_point():
        wrong = wrong | (target != target.round())  # also true for NaN
    if bool(wrong.any()):
        found = f"{target.min().item():g} to {target.max().item():g}"
        raise ValueError(
            f"{name}: target values must be whole numbers from 0 to {num_classes - 1}, got values from {found}. "
            "Map the labels to class indices first (masks stored as 0/255 need '> 0'), or raise out_channels."
        )


def check_one_channel(name: str, logits: torch.Tensor) -> None:
    """Refuse everything but one logit map per image.

    Raises:
        ValueError: for more than one channel.
    """
    if logits.shape[1] != 1:
        raise ValueError(
            f"{name}: logits must have 1 channel, got {logits.shape[1]}; "
            "for several classes use monai.losses.DiceCELoss."
        )
