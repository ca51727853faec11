# SPDX-License-Identifier: Apache-2.0
"""Scale-aware attention of SA2-Net: local attention on each level, global attention over all four."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks import ChannelLayerNorm

__all__ = ["ConvMLP", "LocalScaleAttention", "ScaleAwareAttention"]


class LocalScaleAttention(nn.Module):
    """Local scale attention: a 3x3 view of the map gated by a 5x5 view of it.

    The gate is a sigmoid of a ReLU, so it lies in [0.5, 1).

    Shape:
        ``(B, C, H, W)`` -> ``(B, C, H, W)``.
    """

    def __init__(self, channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.project_in = nn.Conv2d(channels, hidden_channels, kernel_size=1)
        self.depthwise3 = nn.Conv2d(hidden_channels, hidden_channels, 3, padding=1, groups=hidden_channels)
        self.depthwise5 = nn.Conv2d(hidden_channels, hidden_channels, 5, padding=2, groups=hidden_channels)
        self.project_out = nn.Conv2d(hidden_channels, channels, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter ``x``."""
        x = self.project_in(x)
        gate = torch.sigmoid(F.relu(self.depthwise5(x), inplace=True))
        return self.project_out(F.relu(self.depthwise3(x), inplace=True) * gate)


class ConvMLP(nn.Module):
    """Pixel-wise MLP with a depthwise position term on the normalised map and a residual on the raw one.

    Shape:
        ``(B, C, H, W)`` -> ``(B, C, H, W)``.
    """

    def __init__(self, channels: int, mlp_ratio: int, norm_eps: float) -> None:
        super().__init__()
        self.norm = ChannelLayerNorm(channels, norm_eps)
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.expand = nn.Conv2d(channels, mlp_ratio * channels, kernel_size=1)
        self.reduce = nn.Conv2d(mlp_ratio * channels, channels, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform ``x``."""
        y = self.norm(x)
        y = F.gelu(self.position(y)).add_(y)
        return self.reduce(F.gelu(self.expand(y))).add_(x)


class ScaleAwareAttention(nn.Module):
    """Scale-aware attention: four levels are compared at a quarter of the input's resolution (paper, section 3.2).

    Each level is filtered by its own local attention; a fusion of all four gives one shared query and one scalar
    gate per level, which multiply the level before it returns to its own resolution.

    Shape:
        levels of C channels at H, H/2, H/4, H/8 -> C, 2C, 4C, 8C channels at the same sizes.
    """

    def __init__(self, channels: int, local_expansion: int, mlp_ratio: int, norm_eps: float) -> None:
        super().__init__()
        self.channels = channels
        hidden = 2 * local_expansion * channels
        self.local = nn.ModuleList(LocalScaleAttention(channels, hidden) for _ in range(4))
        # Normalisation stands in front of a zero-padded convolution, so it cannot be folded into it.
        self.fusion_norm = nn.BatchNorm2d(4 * channels)
        self.fusion = nn.Conv2d(4 * channels, channels + 4, kernel_size=3, padding=1)
        self.query = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.mlp = nn.ModuleList(ConvMLP(channels, mlp_ratio, norm_eps) for _ in range(4))
        self.project = nn.ModuleList(nn.Conv2d(channels, channels * 2**k, 3, padding=1) for k in range(4))

    def forward(
        self, x1: torch.Tensor, x2: torch.Tensor, x3: torch.Tensor, x4: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Attend over the four levels, finest first."""
        # To H/4. Bilinear reduction by 4 without antialiasing is the mean of the central 2x2 of each 4x4 block,
        # by 2 it is 2x2 average pooling.
        local1 = self.local[0](F.avg_pool2d(x1[:, :, 1:-1, 1:-1], kernel_size=2, stride=4))
        local2 = self.local[1](F.avg_pool2d(x2, kernel_size=2))
        local3 = self.local[2](x3)
        local4 = self.local[3](F.interpolate(x4, size=x3.shape[-2:], mode="bilinear", align_corners=False))
        y1, y2, y3, y4 = self.compare(local1, local2, local3, local4)
        # Back to each level's own size, with the unfiltered map as residual.
        y1 = F.interpolate(y1, size=x1.shape[-2:], mode="bilinear", align_corners=False).add_(x1)
        y2 = F.interpolate(y2, size=x2.shape[-2:], mode="bilinear", align_corners=False).add_(x2)
        y3 = y3 + x3
        y4 = F.avg_pool2d(y4, kernel_size=2).add_(x4)
        return (
            self.project[0](self.mlp[0](y1)),
            self.project[1](self.mlp[1](y2)),
            self.project[2](self.mlp[2](y3)),
            self.project[3](self.mlp[3](y4)),
        )

    def compare(
        self, local1: torch.Tensor, local2: torch.Tensor, local3: torch.Tensor, local4: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Global scale attention: multiply each level by its gate and the shared query."""
        mixed = F.gelu(self.fusion(self.fusion_norm(torch.cat((local1, local2, local3, local4), dim=1))))
        shared, gates = mixed[:, : self.channels], mixed[:, self.channels :]  # (B, C, H/4, W/4), (B, 4, H/4, W/4)
        query = F.gelu(self.query(shared))
        return (
            local1 * gates[:, 0:1] * query,
            local2 * gates[:, 1:2] * query,
            local3 * gates[:, 2:3] * query,
            local4 * gates[:, 3:4] * query,
        )
