# SPDX-License-Identifier: Apache-2.0
"""What stands in the place of parts of SvANet in its variants."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["NoDecoder", "NoGuidance", "OpenGate", "OpenPath", "SourceGate"]


class OpenGate(nn.Module):
    """A gate that lets everything through.

    Shape:
        ``(B, C, H, W)`` -> ``(1, 1, 1, 1)``.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The factor 1."""
        return torch.ones(1, 1, 1, 1, dtype=x.dtype, device=x.device)


class SourceGate(nn.Module):
    """Squeeze-and-excitation by the map that guides, in the place of scale-variant attention.

    Shape:
        maps ``(B, in_channels, H, W)`` and its reductions -> gate in (0, 1), ``(B, out_channels, 1, 1)``.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int, grid: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels[0], out_channels, kernel_size=1)

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """Gate by the first of the ``maps``."""
        return torch.sigmoid(self.squeeze(maps[0].mean((2, 3), keepdim=True)))


class OpenPath(nn.Module):
    """The gate of a guidance path without one.

    Shape:
        maps ``(B, C, H, W)`` -> ``(1, 1, 1, 1)``.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int, grid: int) -> None:
        super().__init__()

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """The factor 1."""
        return torch.ones(1, 1, 1, 1, dtype=maps[0].dtype, device=maps[0].device)


class NoGuidance(nn.Module):
    """The maps as they are, in the place of cross-scale guidance."""

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Pass the ``maps`` on."""
        return maps


class NoDecoder(nn.Module):
    """The skip map alone, in the place of a level of the decoder."""

    def forward(self, deep: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Pass ``skip`` on."""
        return skip
