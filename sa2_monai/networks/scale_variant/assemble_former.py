# SPDX-License-Identifier: Apache-2.0
"""AssembleFormer: a 3x3 convolution beside attention of linear cost over patches, after MobileViT v2 and v3.

Dai et al.: "Exploiting Scale-Variant Attention for Segmenting Small Medical Objects", https://arxiv.org/abs/2407.07720;
the attention: Mehta and Rastegari, "Separable Self-attention for Mobile Vision Transformers", TMLR 2023.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks.conv_units import ConvUnit
from sa2_monai.networks.scale_variant.pooling import weighted_sum

__all__ = ["AssembleFormer", "NormConv", "SeparableAttention"]


class NormConv(nn.Module):
    """Batch normalisation, then a 1x1 convolution with bias: what both halves of a transformer block begin with.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.

    Shape:
        ``(B, in_channels, H, W)`` -> ``(B, out_channels, H, W)``.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise and convolve."""
        return self.conv(self.norm(x))


class SeparableAttention(nn.Module):
    """Attention with one query channel, in groups of the pixels that stand at the same place of their patches.

    In each group, every pixel's values are multiplied by one vector: the mean of the keys, weighted by the softmax of
    the queries. As these weights sum to one, the mean is taken of the input and one vector per group is projected to
    keys, in place of a map.

    Args:
        channels: channels d of input and output.
        patch: side of the patches; there are ``patch ** 2`` groups.

    Shape:
        ``(B, d, H, W)``, sides multiples of ``patch`` -> the same.
    """

    def __init__(self, channels: int, patch: int = 2) -> None:
        super().__init__()
        self.channels = channels
        self.patch = patch
        self.qkv = NormConv(channels, 1 + 2 * channels)  # query first, then keys, then values
        self.project = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend."""
        d, p = self.channels, self.patch
        weight, bias = self.qkv.conv.weight, self.qkv.conv.bias
        assert bias is not None
        z = self.qkv.norm(x)
        b, h, w = z.shape[0], z.shape[2], z.shape[3]
        row, column = torch.arange(h, device=z.device) % p, torch.arange(w, device=z.device) % p

        # Softmax in each group, in single precision at least. It does not see the bias of the query.
        query = F.conv2d(z, weight[:1])  # (B, 1, H, W)
        if query.dtype != torch.float64:
            query = query.float()
        group = torch.arange(p * p, device=z.device)[:, None, None]
        others = (row[:, None] * p + column) != group  # (groups, H, W)
        a = torch.softmax(query.masked_fill(others, float("-inf")).flatten(2), dim=2)  # (B, groups, H W)

        mean = weighted_sum(z, a)  # (B, groups, d)
        context = F.linear(mean, weight[1 : d + 1].flatten(1), bias[1 : d + 1]).transpose(1, 2).reshape(b, d, p, p)
        value = F.relu(F.conv2d(z, weight[d + 1 :], bias[d + 1 :]), inplace=True)  # (B, d, H, W)
        if not torch.jit.is_scripting() and torch.compiler.is_compiling():
            # Splitting axes of unknown size makes export slow.
            value = value * context.index_select(2, row).index_select(3, column)
        else:
            value = value.view(b, d, h // p, p, w // p, p) * context[:, :, None, :, None]
        return self.project(value.view(b, d, h, w))


class FormerBlock(nn.Module):
    """Attention and a pixel-wise MLP, each on the normalised map and added to it.

    Args:
        channels: channels d of input and output.
        hidden_channels: width of the MLP.
        patch: side of the patches.

    Shape:
        ``(B, d, H, W)`` -> the same.
    """

    def __init__(self, channels: int, hidden_channels: int, patch: int) -> None:
        super().__init__()
        self.attention = SeparableAttention(channels, patch)
        self.expand = NormConv(channels, hidden_channels)
        self.reduce = nn.Conv2d(hidden_channels, channels, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform ``x``."""
        x = self.attention(x).add_(x)
        return self.reduce(F.silu(self.expand(x))).add_(x)


class AssembleFormer(nn.Module):
    """Local features by a convolution and global ones by attention, joined and added to the input.

    Args:
        channels: channels C of input and output; even.
        depth: number of transformer blocks.
        ratio: hidden width of their MLPs in units of C / 2.
        patch: side of their patches.
        norm_eps: epsilon of the normalisations behind convolutions; those of the transformer have 1e-5.

    Shape:
        ``(B, C, H, W)``, sides multiples of ``patch`` -> the same.
    """

    def __init__(
        self, channels: int, depth: int = 2, ratio: float = 2.0, patch: int = 2, norm_eps: float = 1e-5
    ) -> None:
        super().__init__()
        d = channels // 2
        hidden = max(16, round(ratio * d / 16) * 16)
        self.local = ConvUnit(channels, channels, 3, activation="silu", norm_eps=norm_eps)
        self.reduce = nn.Conv2d(channels, d, kernel_size=1, bias=False)
        self.blocks = nn.Sequential(*(FormerBlock(d, hidden, patch) for _ in range(depth)))
        self.norm = nn.BatchNorm2d(d)
        self.project = ConvUnit(2 * d, channels, 1, activation="none", norm_eps=norm_eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform ``x``."""
        local = self.reduce(self.local(x))  # (B, C / 2, H, W)
        y = torch.cat((self.norm(self.blocks(local)), local), dim=1)
        return self.project(y).add_(x)
