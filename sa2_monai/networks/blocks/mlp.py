# SPDX-License-Identifier: Apache-2.0
"""Plain feed-forward part of a transformer block."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

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
        self.expand = nn.Linear(channels, hidden_channels)
        self.reduce = nn.Linear(hidden_channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform ``x``."""
        return self.reduce(F.gelu(self.expand(x)))
