# SPDX-License-Identifier: Apache-2.0
"""Large-kernel attention on maps whose last axis is the channel.

Guo et al.: "Visual Attention Network", Computational Visual Media 2023, https://arxiv.org/abs/2202.09741.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks.channels_last import ChannelsLastConv, PointwiseConv
from sa2_monai.networks.blocks.checkpointing import Checkpointed

__all__ = ["DilatedDepthwiseConv", "LargeKernelBlock"]


class DilatedDepthwiseConv(nn.Conv2d):
    """Depthwise convolution with dilation that keeps the size.

    Pixels that lie ``dilation`` apart never meet the others: they are gathered to ``dilation**2`` small maps, on which
    the convolution has no dilation. CPUs have no fast kernel with dilation. Traced and exported graphs, which are for
    all sizes, and GPUs have the one convolution.

    Shape:
        ``(B, H, W, C)`` -> the same.
    """

    def __init__(self, channels: int, kernel_size: int, dilation: int) -> None:
        super().__init__(
            channels,
            channels,
            kernel_size,
            padding=dilation * (kernel_size // 2),
            dilation=dilation,
            groups=channels,
        )
        self.step = dilation
        self.size = kernel_size

    def __call__(self, x: torch.Tensor) -> Any:
        """Filter ``x``."""
        if x.is_cpu and not torch.jit.is_tracing() and not torch.compiler.is_compiling():
            return super().__call__(x)
        return self._conv_forward(x.permute(0, 3, 1, 2), self.weight, self.bias).permute(0, 2, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter ``x``."""
        d, pad = self.step, self.size // 2
        b, h, w, c = x.shape
        rows, columns = (h + d - 1) // d, (w + d - 1) // d
        x = F.pad(x, [0, 0, 0, columns * d - w, 0, rows * d - h])
        x = x.reshape(b, rows, d, columns, d, c).permute(0, 2, 4, 1, 3, 5).reshape(b * d * d, rows, columns, c)
        x = F.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, padding=pad, groups=c).permute(0, 2, 3, 1)
        x = x.reshape(b, d, d, rows, columns, c).permute(0, 3, 1, 4, 2, 5).reshape(b, rows * d, columns * d, c)
        return x[:, :h, :w]


class LargeKernelBlock(Checkpointed):
    """Transformer block with large-kernel attention and a convolutional MLP.

    The attention's own residual adds the *normalised* map, as published.

    Args:
        channels: width C.
        mlp_ratio: hidden width of the MLP over C.
        layer_scale: initial factor of the two branches.
        dropout: probability of dropping a value in the MLP.
        use_checkpoint: keep only the block's input in training and calculate the rest again in the backward pass.

    Shape:
        ``(B, H, W, C)`` -> the same.
    """

    def __init__(
        self,
        channels: int,
        mlp_ratio: int = 4,
        layer_scale: float = 1e-2,
        dropout: float = 0.0,
        use_checkpoint: bool = False,
    ) -> None:
        super().__init__()
        self.use_checkpoint = use_checkpoint
        hidden = mlp_ratio * channels
        self.norm1 = nn.LayerNorm(channels)
        self.project_in = PointwiseConv(channels, channels)
        self.depthwise = ChannelsLastConv(channels, channels, 5, padding=2, groups=channels)
        self.dilated = DilatedDepthwiseConv(channels, 7, dilation=3)
        self.mix = PointwiseConv(channels, channels)
        self.project_out = PointwiseConv(channels, channels)
        self.scale1 = nn.Parameter(torch.full((channels,), layer_scale))
        self.norm2 = nn.LayerNorm(channels)
        self.expand = PointwiseConv(channels, hidden)
        self.mlp_depthwise = ChannelsLastConv(hidden, hidden, 3, padding=1, groups=hidden)
        self.reduce = PointwiseConv(hidden, channels)
        self.scale2 = nn.Parameter(torch.full((channels,), layer_scale))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend and transform ``x``."""
        n = self.norm1(x)
        u = F.gelu(self.project_in(n))
        v = self.dilated(self.depthwise(u))
        x = torch.addcmul(x, self.scale1, self.project_out(u * self.mix(v)) + n)
        y = self.expand(self.norm2(x))
        y = self.dropout(F.gelu(self.mlp_depthwise(y)))
        return torch.addcmul(x, self.scale2, self.dropout(self.reduce(y)))
