# SPDX-License-Identifier: Apache-2.0
"""Atrous spatial pyramid pooling of SvANet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks.conv_units import ConvUnit

__all__ = ["ASPP", "DilatedUnit"]


class DilatedUnit(ConvUnit):
    """3x3 :class:`ConvUnit` of large dilation that leaves out the taps which meet nothing but padding.

    On a side not longer than the dilation, of three taps only the middle one does. Scripted, traced and exported graphs
    are for all sizes and keep all taps, as ``forward`` does.
    """

    def __call__(self, x: torch.Tensor) -> Any:
        """Convolve, normalise, rectify."""
        if torch.jit.is_tracing() or torch.compiler.is_compiling():
            return super().__call__(x)
        weight, d = self.conv.weight, self.conv.dilation[0]
        pad_y = pad_x = d
        if x.shape[2] <= d:
            weight, pad_y = weight[:, :, 1:2], 0
        if x.shape[3] <= d:
            weight, pad_x = weight[:, :, :, 1:2], 0
        return self.activation(self.norm(F.conv2d(x, weight, None, 1, (pad_y, pad_x), d)))


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: one pixel, three dilations and the whole image, joined.

    Shape:
        ``(B, in_channels, H, W)`` -> ``(B, out_channels, H, W)``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, rates: Sequence[int], dropout: float, norm_eps: float
    ) -> None:
        super().__init__()
        self.point = ConvUnit(in_channels, out_channels, 1, norm_eps=norm_eps)
        self.dilated = nn.ModuleList(
            DilatedUnit(in_channels, out_channels, 3, dilation=rate, norm_eps=norm_eps) for rate in rates
        )
        self.pool = ConvUnit(in_channels, out_channels, 1, norm_eps=norm_eps)
        self.project = ConvUnit((len(rates) + 2) * out_channels, out_channels, 1, norm_eps=norm_eps)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Context of the map ``x``."""
        maps = [self.point(x)]
        for unit in self.dilated:
            maps.append(unit(x))
        pooled = self.pool(x.mean((2, 3), keepdim=True))
        maps.append(pooled.expand(-1, -1, x.shape[2], x.shape[3]))
        return self.dropout(self.project(torch.cat(maps, dim=1)))
