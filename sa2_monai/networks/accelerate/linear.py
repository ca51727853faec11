# SPDX-License-Identifier: Apache-2.0
"""Linear maps by oneDNN, see :mod:`sa2_monai.networks.blocks.linear`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sa2_monai.networks import blocks
from sa2_monai.networks.accelerate.bfloat16 import multiplied
from sa2_monai.networks.accelerate.tracing import is_plain_evaluation
from sa2_monai.networks.blocks.linear import SMALL, by_onednn

__all__ = ["Linear", "MergedLinear", "PlainLinear", "PointwiseConv"]


def gains(layer: nn.Linear | nn.Conv2d, x: torch.Tensor) -> bool:
    """Whether :func:`by_onednn` may stand for the layer, and is faster than it."""
    return is_plain_evaluation(layer, x) and x.dtype == torch.float32 and x.numel() * layer.weight.shape[0] >= SMALL


class _ByOneDNN:
    """The layer that this stands in front of, by oneDNN; under autocast with weights in bfloat16."""

    def __call__(self, x: torch.Tensor) -> Any:
        """Transform ``x``, ``(..., in) -> (..., out)``."""
        found = multiplied(self, x)  # type: ignore[arg-type]
        if found is not None:
            return found
        if gains(self, x):  # type: ignore[arg-type]
            return by_onednn(x, self.weight.flatten(1), self.bias)  # type: ignore[attr-defined]
        return super().__call__(x)  # type: ignore[misc]


class PlainLinear(_ByOneDNN, nn.Linear):
    """``torch.nn.Linear``."""


class Linear(_ByOneDNN, blocks.Linear):
    """:class:`sa2_monai.networks.blocks.Linear`."""


class MergedLinear(_ByOneDNN, blocks.MergedLinear):
    """:class:`sa2_monai.networks.blocks.MergedLinear`."""


class PointwiseConv(_ByOneDNN, blocks.PointwiseConv):
    """:class:`sa2_monai.networks.blocks.PointwiseConv`."""
