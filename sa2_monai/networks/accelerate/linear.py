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
from sa2_monai.networks.accelerate.tracing import is_plain_evaluation

__all__ = ["Linear", "MergedLinear", "PointwiseConv"]

# Multiplications below which the way there and back costs more than it gains.
_SMALL = 8_000_000


class _ByOneDNN(nn.Module):
    """What the layers share: ``__call__`` takes the other way, where it may; ``forward`` stays the plain one."""

    weight: torch.Tensor
    bias: torch.Tensor | None

    def __call__(self, x: torch.Tensor) -> Any:
        """Linear map of ``x``, ``(..., in) -> (..., out)``."""
        if not is_plain_evaluation(self, x) or x.dtype != torch.float32 or x.numel() * self.weight.shape[0] < _SMALL:
            return super().__call__(x)
        bias = None if self.bias is None else self.bias.to_mkldnn()
        return F.linear(x.to_mkldnn(), self.weight.flatten(1).to_mkldnn(), bias).to_dense()


class Linear(_ByOneDNN, nn.Linear):
    """``torch.nn.Linear``."""


class MergedLinear(_ByOneDNN, blocks.MergedLinear):
    """:class:`sa2_monai.networks.blocks.MergedLinear`."""


class PointwiseConv(_ByOneDNN, blocks.PointwiseConv):
    """:class:`sa2_monai.networks.blocks.PointwiseConv`."""
