# SPDX-License-Identifier: Apache-2.0
"""Adaptive up-attention of SA2-Net."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks import ChannelLayerNorm, double_conv

__all__ = ["AdaptiveUpAttention"]


class AdaptiveUpAttention(nn.Module):
    """Adaptive up-attention: the deeper map gates the skip map, pixel by pixel (paper, section 3.3).

    Shape:
        deep ``(B, C, H/2, W/2)`` and skip ``(B, C, H, W)`` -> ``(B, out_channels, H, W)``.
    """

    def __init__(self, channels: int, out_channels: int, gate_kernel: int, norm_eps: float) -> None:
        super().__init__()
        self.norm = ChannelLayerNorm(channels, norm_eps)
        self.conv = nn.Conv2d(channels, channels, kernel_size=1)
        self.depthwise = nn.Conv2d(channels, channels, gate_kernel, padding=gate_kernel // 2, groups=channels)
        self.skip = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.gate = nn.Conv2d(2 * channels, 1, kernel_size=1)
        self.gate_norm = nn.BatchNorm2d(1)
        self.project = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.convs = double_conv(channels, out_channels)
        self.channels = channels

    def forward(self, deep: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Gate ``skip`` by ``deep`` and convolve."""
        # Normalisation, 1x1 convolution and GELU act per pixel and nearest up-sampling copies pixels:
        # doing them before the up-sampling costs a quarter.
        u = F.gelu(self.conv(self.norm(deep)))  # (B, C, H/2, W/2)
        u = self.depthwise(F.interpolate(u, scale_factor=2.0, mode="nearest"))  # (B, C, H, W)
        t = self.skip(skip)  # (B, C, H, W)
        # A 1x1 convolution of a concatenation is the sum of two: the concatenated map is never built.
        gate = F.conv2d(F.gelu(u), self.gate.weight[:, : self.channels], self.gate.bias)
        gate = gate + F.conv2d(F.gelu(t), self.gate.weight[:, self.channels :])  # (B, 1, H, W)
        y = self.project(torch.sigmoid(self.gate_norm(gate)) * t).add_(skip)
        return self.convs(y)
