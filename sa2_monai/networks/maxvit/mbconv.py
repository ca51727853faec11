# SPDX-License-Identifier: Apache-2.0
"""Convolutions of MaxViT: the stem, and inverted residuals with squeeze and excitation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks.channels_last import PointwiseConv
from sa2_monai.networks.maxvit.stochastic_depth import StochasticDepth

__all__ = ["MBConv", "Stem"]


class Stem(nn.Module):
    """Two 3x3 convolutions, the first with stride 2.

    Args:
        in_channels: channels of the image; with 1, the first convolution has 3, all fed with the image.
        hidden_channels: width in between.
        out_channels: width of the output.

    Shape:
        ``(B, in_channels, H, W)`` -> ``(B, out_channels, H/2, W/2)``.
    """

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int) -> None:
        super().__init__()
        self.grey = in_channels == 1
        in_channels = 3 if self.grey else in_channels
        self.conv1 = nn.Conv2d(in_channels, hidden_channels, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(hidden_channels)
        self.conv2 = nn.Conv2d(hidden_channels, out_channels, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reduce the image ``x``."""
        weight = self.conv1.weight
        if self.grey:
            weight = weight.sum(1, keepdim=True)  # the same as repeating the channel, at a fraction of the work
        return self.conv2(F.silu(self.norm1(F.conv2d(x, weight, stride=2, padding=1))))


class SqueezeExcite(nn.Module):
    """Gate of each channel from the means of all channels.

    Shape:
        ``(B, H, W, C)`` -> ``(B, 1, 1, C)``, values in (0, 1).
    """

    def __init__(self, channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.fc1 = PointwiseConv(channels, hidden_channels)
        self.fc2 = PointwiseConv(hidden_channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Gates for the map ``x``."""
        return torch.sigmoid(self.fc2(F.silu(self.fc1(x.mean((1, 2), keepdim=True)))))


class Shortcut(nn.Module):
    """2x2 average pooling and a 1x1 convolution: the residual path where size and width change.

    Shape:
        ``(B, H, W, C)`` -> ``(B, H/2, W/2, D)``.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.expand = PointwiseConv(in_channels, out_channels, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pool and widen ``x``."""
        return self.expand(F.avg_pool2d(x.permute(0, 3, 1, 2), kernel_size=2).permute(0, 2, 3, 1))


class MBConv(nn.Module):
    """Inverted residual with squeeze and excitation, normalised in front.

    Shape:
        ``(B, H, W, C)`` -> ``(B, H/stride, W/stride, D)``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, expand_ratio: int, se_ratio: float, drop_path: float
    ) -> None:
        super().__init__()
        hidden = expand_ratio * in_channels
        self.stride = stride
        self.shortcut = Shortcut(in_channels, out_channels) if stride == 2 else nn.Identity()
        self.pre_norm = nn.BatchNorm2d(in_channels)
        self.conv1_1x1 = PointwiseConv(in_channels, hidden, bias=False)
        self.norm1 = nn.BatchNorm2d(hidden)
        self.conv2_kxk = nn.Conv2d(hidden, hidden, 3, stride=stride, padding=1, groups=hidden, bias=False)
        self.norm2 = nn.BatchNorm2d(hidden)
        self.se = SqueezeExcite(hidden, max(1, round(se_ratio * hidden)))
        self.conv3_1x1 = PointwiseConv(hidden, out_channels, bias=False)
        self.drop_path = StochasticDepth(drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform ``x``."""
        y = self.conv1_1x1(self.pre_norm(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        y = F.silu(self.norm1(y.permute(0, 3, 1, 2)))  # (B, hidden, H, W), a view with the channel last in memory
        y = F.silu(self.norm2(self.conv2_kxk(y))).permute(0, 2, 3, 1)  # (B, H/stride, W/stride, hidden)
        y = self.conv3_1x1(y * self.se(y))
        return self.drop_path(y) + self.shortcut(x)
