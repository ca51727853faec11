# SPDX-License-Identifier: Apache-2.0
"""Linear maps by oneDNN.

PyTorch gives single-precision matrix products to MKL, which on processors that are not Intel's does without their
widest instructions. oneDNN, by which PyTorch convolves, uses them; tensors in its layout go there.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks import blocks
from sa2_monai.networks.accelerate.bfloat16 import multiplied
from sa2_monai.networks.accelerate.tracing import is_plain_evaluation

__all__ = ["Linear", "MergedLinear", "PointwiseConv"]

# Multiplications below which the way there and back costs more than it gains.
_SMALL = 8_000_000


def gains(layer: nn.Linear | nn.Conv2d, x: torch.Tensor) -> bool:
    """Whether :func:`by_onednn` may stand for the layer, and is faster than it."""
    return is_plain_evaluation(layer, x) and x.dtype == torch.float32 and x.numel() * layer.weight.shape[0] >= _SMALL


def by_onednn(layer: nn.Linear | nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """Linear map of the last axis, ``(..., in) -> (..., out)``."""
    return F.linear(x.to_mkldnn(), layer.weight.flatten(1), layer.bias).to_dense()


class Linear(nn.Linear):
    """``torch.nn.Linear``."""

    def __call__(self, x: torch.Tensor) -> Any:
        """Transform ``x``."""
        found = multiplied(self, x)
        if found is not None:
            return found
        return by_onednn(self, x) if gains(self, x) else super().__call__(x)


class MergedLinear(blocks.MergedLinear):
    """:class:`sa2_monai.networks.blocks.MergedLinear`."""

    def __call__(self, x: torch.Tensor) -> Any:
        """Transform ``x``."""
        found = multiplied(self, x)
        if found is not None:
            return found
        return by_onednn(self, x) if gains(self, x) else super().__call__(x)


class PointwiseConv(blocks.PointwiseConv):
    """:class:`sa2_monai.networks.blocks.PointwiseConv`."""

    def __call__(self, x: torch.Tensor) -> Any:
        """Mix the channels of ``x``."""
        found = multiplied(self, x)
        if found is not None:
            return found
        return by_onednn(self, x) if gains(self, x) else super().__call__(x)
