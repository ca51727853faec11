# SPDX-License-Identifier: Apache-2.0
"""Attention over positions whose cost is linear in their number."""

from __future__ import annotations

import torch
from torch import nn

from sa2_monai.networks.blocks.linear import Linear, linear
from sa2_monai.networks.blocks.merged_linear import MergedLinear

__all__ = ["EfficientAttention"]


class EfficientAttention(nn.Module):
    """Efficient attention: keys are normalised over positions, queries over channels.

    Source: Shen et al., "Efficient Attention: Attention with Linear Complexities", WACV 2021. Softmax and product
    stand in another order than in scaled dot-product attention, so that one does not apply.

    Args:
        channels: width of input and output.
        heads: the queries' softmax and the context are taken within so many groups of channels.
        fold: multiply the maps of values and output into the small context instead of applying them to each token:
            the same numbers, cheaper where there are more tokens than channels.

    Shape:
        ``(B, H, W, channels)`` -> the same.
    """

    def __init__(self, channels: int, heads: int = 1, fold: bool = True) -> None:
        super().__init__()
        self.channels = channels
        self.heads = heads
        self.fold = fold
        self.qkv = MergedLinear(channels, [channels] * 3)
        self.project = Linear(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend over the positions of ``x``."""
        b, height, width, c = x.shape
        h, d = self.heads, self.channels // self.heads
        wq, wk, wv = self.qkv.weight.chunk(3)  # views
        bq, bk, bv = self.qkv.bias.chunk(3)
        tokens = x.reshape(b, height * width, c)
        queries = linear(tokens, wq, bq, self.training)
        if h == 1:
            queries = queries.softmax(dim=-1)
        else:
            queries = queries.reshape(b, -1, h, d).softmax(dim=-1).reshape(b, -1, c)
        keys = linear(tokens, wk, bk, self.training).softmax(dim=1)  # (B, N, C), sums to 1 over N
        if self.fold:
            # K^T (X Wv^T + 1 bv^T) = (K^T X) Wv^T + 1 bv^T, for the columns of a key sum to 1.
            seen = (keys.transpose(1, 2) @ tokens).reshape(b, h, d, c)
            context = seen @ wv.reshape(h, d, c).transpose(1, 2) + bv.reshape(h, 1, d)  # (B, h, d, d)
        else:
            values = linear(tokens, wv, bv, self.training).reshape(b, -1, h, d).transpose(1, 2)
            context = keys.reshape(b, -1, h, d).permute(0, 2, 3, 1) @ values  # (B, h, d, d)
        wo = self.project.weight.reshape(c, h, d).permute(1, 2, 0)  # (h, d, C)
        if self.fold:
            out = queries @ (context @ wo).reshape(b, c, c) + self.project.bias
        elif h == 1:
            out = self.project(queries @ context[:, 0])
        else:
            out = queries.reshape(b, -1, h, d).transpose(1, 2) @ context  # (B, h, N, d)
            out = self.project(out.transpose(1, 2).reshape(b, -1, c))
        return out.reshape(b, height, width, c)
