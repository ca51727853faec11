# SPDX-License-Identifier: Apache-2.0
"""Multi-scale adaptive spatial attention gate of MSA2-Net."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks.channels_last import ConvNorm, PointwiseConv

__all__ = ["SpatialAttentionGate"]


class SpatialAttentionGate(nn.Module):
    """Gate of the encoder's map by the decoder's (MSA2-Net, arXiv 2407.21640, section on MASAG).

    A convolutional view of ``x`` and a pooled view of ``g`` give two competing weights per pixel; both maps are
    weighted, modulate each other, and the result gates ``x``.

    Args:
        channels: width C of both maps.

    Shape:
        ``x`` and ``g`` ``(B, H, W, C)`` -> the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = ConvNorm(channels, channels, 3, groups=channels)
        self.dilated = ConvNorm(channels, channels, 3, dilation=2)
        self.local = PointwiseConv(channels, channels)
        self.local_norm = nn.BatchNorm2d(channels)
        self.pooled = ConvNorm(2, 1)
        self.sum_norm = nn.BatchNorm2d(channels)
        self.select = PointwiseConv(channels, 2)
        self.weigh = ConvNorm(channels, channels)
        self.out = ConvNorm(channels, channels)

    def _preference(self, x: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
        """First selection logit minus the second, ``(B, H, W, 1)``: two-way softmax needs no more."""
        x = self.local_norm(self.local(x).permute(0, 3, 1, 2)) + pooled.permute(0, 3, 1, 2)
        select = self.select.weight[0, :, 0, 0] - self.select.weight[1, :, 0, 0]  # (C,)
        bias = self.select.bias
        assert bias is not None
        return F.linear(self.sum_norm(x).permute(0, 2, 3, 1), select[None]) + (bias[0] - bias[1])

    def forward(self, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """Gate ``x`` by ``g``."""
        pooled = self.pooled(torch.cat((g.mean(-1, keepdim=True), g.amax(-1, keepdim=True)), dim=-1))  # (B, H, W, 1)
        local = F.relu(self.dilated(F.relu(self.depthwise(x))))
        first = torch.sigmoid(self._preference(local, pooled))
        # sigmoid(b) * a times sigmoid(a) * b is silu(a) * silu(b)
        mixed = F.silu(x * (1 + first)) * F.silu(g * (2 - first))
        return self.out(torch.sigmoid(self.weigh(mixed)) * x)
