# SPDX-License-Identifier: Apache-2.0
"""Plain feed-forward part of a transformer block."""

from __future__ import annotations

import torch
from torch import nn

from sa2_monai.networks.blocks.linear import Linear, linear

__all__ = ["MLP"]


class MLP(nn.Module):
    """Linear, GELU, linear.

    Args:
        channels: width of input and output.
        hidden_channels: width between the two linear maps.

    Shape:
        ``(..., channels)`` -> the same.
    """

    def __init__(self, channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.expand = Linear(channels, hidden_channels)
        self.reduce = Linear(hidden_channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform ``x``."""
        return self.reduce(linear(x, self.expand.weight, self.expand.bias, "gelu"))
