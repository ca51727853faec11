# SPDX-License-Identifier: Apache-2.0
"""Normalisation layers that the networks share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["ChannelLayerNorm"]


class ChannelLayerNorm(nn.Module):
    """Layer normalisation over the channel axis at each pixel (biased variance).

    Args:
        channels: number of channels.
        eps: added to the variance.

    Shape:
        ``(B, channels, H, W)`` -> the same. In ``channels_last`` memory the permutation is a view.
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.channels = channels
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise ``x`` over its channels."""
        y = F.layer_norm(x.permute(0, 2, 3, 1), [self.channels], self.weight, self.bias, self.eps)
        return y.permute(0, 3, 1, 2)
