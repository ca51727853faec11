# SPDX-License-Identifier: Apache-2.0
"""Feed-forward parts of transformer blocks: plain, and with a depthwise convolution that mixes neighbouring tokens."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks.linear import Linear

__all__ = ["MLP", "MixFFN"]


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
        return self.reduce(F.gelu(self.expand(x)))


class MixFFN(nn.Module):
    """Mix-FFN: linear, depthwise 3x3 convolution, GELU, linear.

    Sources: Xie et al., "SegFormer", NeurIPS 2021, equation 3; with ``skip``, Huang et al., "MISSFormer", 2021: the
    expanded tokens are added to the convolution's output and the sum is normalised.

    Args:
        channels: width of input and output.
        hidden_channels: width between the two linear maps.
        skip: the form with inner shortcut and layer normalisation (DAE-Former, HSA-UNet); without it, the plain form
            (MSA2-Net).

    Shape:
        ``(B, H, W, channels)`` -> the same.
    """

    def __init__(self, channels: int, hidden_channels: int, skip: bool = True) -> None:
        super().__init__()
        self.skip = skip
        self.expand = Linear(channels, hidden_channels)
        self.depthwise = nn.Conv2d(hidden_channels, hidden_channels, 3, padding=1, groups=hidden_channels)
        self.norm = nn.LayerNorm(hidden_channels) if skip else nn.Identity()
        self.reduce = Linear(hidden_channels, channels)
        identity = torch.zeros(1, 1, 3, 3)
        identity[:, :, 1, 1] = 1.0
        self.register_buffer("identity", identity, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform ``x``."""
        weight = self.depthwise.weight
        if self.skip:
            # The shortcut is a one in the centre of the kernel: one pass over the widest map less, same gradients.
            weight = weight + self.identity  # type: ignore[operator]
        u = self.expand(x).permute(0, 3, 1, 2)  # a view in channels_last memory
        u = F.conv2d(u, weight, self.depthwise.bias, padding=1, groups=weight.shape[0]).permute(0, 2, 3, 1)
        return self.reduce(F.gelu(self.norm(u)))
