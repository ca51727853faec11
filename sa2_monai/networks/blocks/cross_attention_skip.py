# SPDX-License-Identifier: Apache-2.0
"""Fusion of a decoder map and an encoder map by efficient cross-attention."""

from __future__ import annotations

import torch
from torch import nn

from sa2_monai.networks.blocks.feed_forward import MixFFN
from sa2_monai.networks.blocks.linear import Linear

__all__ = ["ConcatSkip", "CrossAttentionSkip"]


class ConcatSkip(nn.Module):
    """Skip connection as a U-Net has it, in the place of a :class:`CrossAttentionSkip`.

    Shape:
        ``low`` (decoder) and ``skip`` (encoder), both ``(B, H, W, channels)`` -> ``(B, H, W, 2 * channels)``.
    """

    def forward(self, low: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Concatenate ``low`` and ``skip``."""
        return torch.cat((low, skip), dim=-1)


class CrossAttentionSkip(nn.Module):
    """Skip connection cross-attention: queries and keys come from the encoder, values from the decoder.

    Source: Azad et al., "DAE-Former", 2022, section 2.3, as its published code does it: one layer normalisation serves
    both inputs, and nothing is projected in front of the attention.

    Args:
        channels: width of each input.
        hidden_channels: hidden width of the feed-forward part.
        heads: number of heads; must divide ``channels``.

    Shape:
        ``low`` (decoder) and ``skip`` (encoder), both ``(B, H, W, channels)`` -> ``(B, H, W, 2 * channels)``.
    """

    def __init__(self, channels: int, hidden_channels: int, heads: int = 1) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(channels)
        self.project = Linear(channels, 2 * channels)
        self.project_norm = nn.LayerNorm(2 * channels)
        self.norm2 = nn.LayerNorm(2 * channels)
        self.ffn = MixFFN(2 * channels, hidden_channels)

    def forward(self, low: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Fuse ``low`` with ``skip``."""
        b, height, width, c = low.shape
        h, d = self.heads, c // self.heads
        values = self.norm1(low).reshape(b, height * width, h, d).transpose(1, 2)  # (B, h, N, d)
        source = self.norm1(skip).reshape(b, height * width, c)
        keys = source.softmax(dim=1).reshape(b, -1, h, d).permute(0, 2, 3, 1)  # (B, h, d, N)
        queries = source.reshape(b, -1, h, d).softmax(dim=-1).reshape(b, -1, c)
        # Context and projection are both linear maps of a token's channels: multiply the small ones first.
        wo = self.project.weight.reshape(2 * c, h, d).permute(1, 2, 0)  # (h, d, 2C)
        context = ((keys @ values) @ wo).reshape(b, c, 2 * c)
        attended = queries @ context + self.project.bias
        x = self.project_norm(attended).reshape(b, height, width, 2 * c) + torch.cat((low, skip), dim=-1)
        return x + self.ffn(self.norm2(x))
