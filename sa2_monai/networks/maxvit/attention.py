# SPDX-License-Identifier: Apache-2.0
"""Attention of MaxViT: within windows, or within grids of pixels that lie apart."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks.checkpointing import Checkpointed
from sa2_monai.networks.blocks.linear import Linear
from sa2_monai.networks.maxvit.stochastic_depth import StochasticDepth

__all__ = ["Attention", "AttentionBlock", "position_offsets"]


def position_offsets(p: int, q: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Logarithmic offsets between the pixels of a window, and where each pair of pixels finds its own.

    Args:
        p: rows of the window.
        q: columns of the window.
        device: of the result.

    Returns:
        offsets ``((2p - 1)(2q - 1), 2)`` as ``sign(d) log(1 + |d|)`` of (rows, columns), float32 as in the published
        code; index ``(T * T,)`` into them, T = p q, query times T plus key.
    """
    rows = torch.arange(1 - p, p, device=device).to(torch.float32)
    columns = torch.arange(1 - q, q, device=device).to(torch.float32)
    offsets = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).reshape(-1, 2)
    y, x = torch.arange(p, device=device), torch.arange(q, device=device)
    row = (y[:, None] - y[None, :] + (p - 1)) * (2 * q - 1)  # (p, p)
    column = x[:, None] - x[None, :] + (q - 1)  # (q, q)
    index = (row[:, None, :, None] + column[None, :, None, :]).reshape(-1)
    return torch.sign(offsets) * torch.log1p(torch.abs(offsets)), index


class PositionMLP(nn.Module):
    """Parameters of the two linear layers between which are a rectifier and dropout; a :class:`Stage` applies them.

    Args:
        heads: number of outputs.
        hidden: width in between.
    """

    def __init__(self, heads: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(2, hidden)
        self.fc2 = nn.Linear(hidden, heads)


class RelativePosition(nn.Module):
    """Holds the position MLP of an attention, under timm's name for it."""

    def __init__(self, heads: int, hidden: int) -> None:
        super().__init__()
        self.mlp = PositionMLP(heads, hidden)


class Attention(nn.Module):
    """Multi-head self-attention; queries, keys and values are packed head by head.

    Shape:
        ``(windows, T, C)`` and the bias of the scores ``(1, heads, T, T)`` -> ``(windows, T, C)``.
    """

    def __init__(self, channels: int, head_dim: int, rel_pos_hidden: int) -> None:
        super().__init__()
        self.heads = channels // head_dim
        self.qkv = Linear(channels, 3 * channels)
        self.rel_pos = RelativePosition(self.heads, rel_pos_hidden)
        self.proj = Linear(channels, channels)

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Attend within each window of ``x``."""
        windows, tokens, channels = x.shape
        packed = self.qkv(x).reshape(windows, tokens, self.heads, 3 * channels // self.heads).transpose(1, 2)
        q, k, v = packed.chunk(3, dim=-1)  # (windows, heads, T, head_dim)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        # A copy, as the product may lie in memory in another order where an exported graph runs.
        y = y.transpose(1, 2).clone(memory_format=torch.contiguous_format)
        return self.proj(y.reshape(windows, tokens, channels))


class MLP(nn.Module):
    """Two linear layers with an exact GELU in between.

    Shape:
        ``(..., C)`` -> the same.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(channels, hidden)
        self.fc2 = Linear(hidden, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform ``x``."""
        return self.fc2(F.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    """Residual sum with a learned factor per channel on the branch.

    Shape:
        ``(..., C)`` and ``(..., C)`` -> the same.
    """

    def __init__(self, channels: int, value: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), value))

    def forward(self, x: torch.Tensor, branch: torch.Tensor) -> torch.Tensor:
        """``x + gamma * branch`` in one pass."""
        return torch.addcmul(x, self.gamma, branch)


class AttentionBlock(Checkpointed):
    """Attention within windows or dilated grids, then an MLP (paper, section 3.2).

    A map of ``count * p`` by ``count * q`` pixels has ``count**2`` contiguous windows of p x q pixels, or as many grids
    of p x q pixels that lie ``count`` apart.

    Shape:
        ``(B, H, W, C)`` and the bias of the scores ``(1, heads, T, T)`` -> ``(B, H, W, C)``.
    """

    def __init__(
        self,
        channels: int,
        count: int,
        grid: bool,
        head_dim: int,
        expand_ratio: int,
        rel_pos_hidden: int,
        layer_scale: float,
        drop_path: float,
        use_checkpoint: bool = False,
    ) -> None:
        super().__init__()
        self.use_checkpoint = use_checkpoint
        self.count = count
        self.grid = grid
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.attn = Attention(channels, head_dim, rel_pos_hidden)
        self.ls1 = LayerScale(channels, layer_scale)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = MLP(channels, expand_ratio * channels)
        self.ls2 = LayerScale(channels, layer_scale)
        self.drop_path = StochasticDepth(drop_path)

    def _attend(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        n = self.count
        b, h, w, c = x.shape
        p, q = h // n, w // n
        # Where a map is divided the sum is taken on the divided view, so that no map has to be put together again.
        if n == 1:
            y = self.attn(self.norm1(x).reshape(b, p * q, c), bias)
            return self.ls1(x, self.drop_path(y.reshape(b, p, q, c)))
        if self.grid:
            x = x.reshape(b, p, n, q, n, c)
            y = self.norm1(x).permute(0, 2, 4, 1, 3, 5)  # (B, n, n, p, q, C)
        else:
            x = x.reshape(b, n, p, n, q, c)
            y = self.norm1(x).permute(0, 1, 3, 2, 4, 5)
        y = self.attn(y.reshape(b * n * n, p * q, c), bias).reshape(b, n, n, p, q, c)
        y = y.permute(0, 3, 1, 4, 2, 5) if self.grid else y.permute(0, 1, 3, 2, 4, 5)
        return self.ls1(x, self.drop_path(y)).reshape(b, h, w, c)

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Attend and transform ``x``."""
        x = self._attend(x, bias)
        return self.ls2(x, self.drop_path(self.mlp(self.norm2(x))))
