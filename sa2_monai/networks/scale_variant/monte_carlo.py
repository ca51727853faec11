# SPDX-License-Identifier: Apache-2.0
"""Monte Carlo attention of SvANet: a channel gate that sees random parts of the map in training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks.conv_units import ConvUnit
from sa2_monai.networks.scale_variant.pooling import weighted_sum

__all__ = ["MonteCarloBottleneck", "MonteCarloGate"]


class MonteCarloGate(nn.Module):
    """Squeeze-and-excitation that, in training, looks at a random part of the map in place of all of it.

    The part has the size of a cell of an adaptive pooling to 1, 2 or 3 cells a side, all equally likely, and is a
    random set of pixels (``shuffle``) or that cell itself; one draw per call, from torch's generator, without a
    synchronisation with the host.

    Args:
        channels: channels C of the map.
        reduced_channels: inner width of the gate.
        pool_sizes: cells a side.
        shuffle: pixels from everywhere instead of a cell.

    Shape:
        ``(B, C, H, W)`` -> gate in (0, 1), ``(B, C, 1, 1)``.
    """

    def __init__(self, channels: int, reduced_channels: int, pool_sizes: Sequence[int], shuffle: bool) -> None:
        super().__init__()
        self.shuffle = shuffle
        self.pool_sizes = list(pool_sizes)
        self.reduce = nn.Conv2d(channels, reduced_channels, kernel_size=1)
        self.expand = nn.Conv2d(reduced_channels, channels, kernel_size=1)

    def draw(self, x: torch.Tensor) -> torch.Tensor:
        """Weights of the pixels of ``x``, ``(H, W)``: 1 / m for the m pixels that are looked at, else 0."""
        height, width, device = x.shape[2], x.shape[3], x.device
        drawn = torch.randint(len(self.pool_sizes), (1,), device=device)
        k = torch.zeros_like(drawn)
        for i, size in enumerate(self.pool_sizes):
            k = torch.where(drawn == i, size, k)
        cell = (torch.rand(2, device=device) * k).long()
        row, column = torch.arange(height, device=device), torch.arange(width, device=device)
        # row >= floor(i height / k) and row < ceil((i + 1) height / k), in whole numbers
        rows = ((row + 1) * k > cell[0] * height) & (row * k < (cell[0] + 1) * height)
        columns = ((column + 1) * k > cell[1] * width) & (column * k < (cell[1] + 1) * width)
        count = rows.sum() * columns.sum()
        if self.shuffle:
            keep = (torch.randperm(height * width, device=device) < count).view(height, width)
        else:
            keep = rows[:, None] & columns
        return keep.to(torch.float64 if x.dtype == torch.float64 else torch.float32) / count

    def forward(self, x: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Gate of the map ``x``; ``weights`` take the place of those drawn in training."""
        if self.training or weights is not None:
            if weights is None:
                weights = self.draw(x)
            v = weighted_sum(x, weights.flatten()[None, None]).transpose(1, 2)[..., None]  # (B, C, 1, 1)
        else:
            v = x.mean((2, 3), keepdim=True)
        return torch.sigmoid(self.expand(F.relu(self.reduce(v), inplace=True)))


class MonteCarloBottleneck(nn.Module):
    """Inverted residual bottleneck with a :class:`MonteCarloGate`; no activation after the sum.

    Shape:
        ``(B, C, H, W)`` -> the same.
    """

    def __init__(
        self,
        channels: int,
        expansion: int,
        reduction: int,
        pool_sizes: Sequence[int],
        shuffle: bool,
        norm_eps: float,
    ) -> None:
        super().__init__()
        hidden = expansion * channels
        self.expand = ConvUnit(channels, hidden, 1, norm_eps=norm_eps)
        self.conv = ConvUnit(hidden, hidden, 3, norm_eps=norm_eps)
        self.gate: nn.Module = MonteCarloGate(hidden, max(hidden // reduction, 32), pool_sizes, shuffle)
        self.project = ConvUnit(hidden, channels, 1, activation="none", norm_eps=norm_eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform ``x``."""
        y = self.conv(self.expand(x))
        return self.project(y * self.gate(y)).add_(x)
