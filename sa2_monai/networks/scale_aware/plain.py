# SPDX-License-Identifier: Apache-2.0
"""What stands in the place of parts of SA2-Net in its variants."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks import double_conv
from sa2_monai.networks.scale_aware.attention import ScaleAwareAttention

__all__ = ["GlobalScaleAttention", "LocalScalesAlone", "PlainSkips", "StandardConvolutions"]


class PlainSkips(nn.Module):
    """Skips as a U-Net has them, brought to the widths of the decoder by one convolution each.

    Shape:
        as :class:`~sa2_monai.networks.scale_aware.ScaleAwareAttention`.
    """

    def __init__(self, channels: int, local_expansion: int, mlp_ratio: int, norm_eps: float) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Conv2d(channels, channels * 2**k, 3, padding=1) for k in range(4))

    def forward(
        self, x1: torch.Tensor, x2: torch.Tensor, x3: torch.Tensor, x4: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pass the four levels on, finest first."""
        return self.project[0](x1), self.project[1](x2), self.project[2](x3), self.project[3](x4)


class LocalScalesAlone(ScaleAwareAttention):
    """Scale-aware attention without its global half: each level is filtered by its own local attention."""

    def __init__(self, channels: int, local_expansion: int, mlp_ratio: int, norm_eps: float) -> None:
        super().__init__(channels, local_expansion, mlp_ratio, norm_eps)
        del self.fusion_norm, self.fusion, self.query

    def compare(
        self, local1: torch.Tensor, local2: torch.Tensor, local3: torch.Tensor, local4: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Compare nothing."""
        return local1, local2, local3, local4


class GlobalScaleAttention(ScaleAwareAttention):
    """Scale-aware attention without its local half: the levels are compared as they are."""

    def __init__(self, channels: int, local_expansion: int, mlp_ratio: int, norm_eps: float) -> None:
        super().__init__(channels, local_expansion, mlp_ratio, norm_eps)
        self.local = nn.ModuleList(nn.Identity() for _ in range(4))


class StandardConvolutions(nn.Module):
    """A level of a U-Net's decoder: the enlarged deeper map and the skip map, concatenated and convolved twice.

    Shape:
        as :class:`~sa2_monai.networks.scale_aware.AdaptiveUpAttention`.
    """

    def __init__(self, channels: int, out_channels: int, gate_kernel: int, norm_eps: float) -> None:
        super().__init__()
        self.convs = double_conv(2 * channels, out_channels)

    def forward(self, deep: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Join ``deep`` and ``skip``."""
        return self.convs(torch.cat((F.interpolate(deep, scale_factor=2.0, mode="nearest"), skip), dim=1))
