# SPDX-License-Identifier: Apache-2.0
"""Dual attention transformer blocks and the stages that are made of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from sa2_monai.networks.blocks.channel_attention import ChannelAttention
from sa2_monai.networks.blocks.checkpointing import Checkpointed
from sa2_monai.networks.blocks.linear import Linear

__all__ = ["DualAttentionBlock", "DualAttentionDecoderStage", "DualAttentionStage", "SingleAttentionBlock"]


class DualAttentionBlock(Checkpointed):
    """Transformer block that attends twice, over positions and over channels; pre-norm.

    Source: Azad et al., "DAE-Former", 2022, section 2.2.

    Args:
        channels: width C.
        spatial: attention over positions, ``(B, H, W, C)`` -> the same.
        feed_forward: makes a feed-forward part of that form; called twice.
        channel_heads: heads of the channel attention.
        fold: see :class:`ChannelAttention`.
        use_checkpoint: keep only the block's input in training and calculate the rest again in the backward pass.

    Shape:
        ``(B, H, W, C)`` -> the same.
    """

    def __init__(
        self,
        channels: int,
        spatial: nn.Module,
        feed_forward: Callable[[], nn.Module],
        channel_heads: int = 8,
        fold: bool = True,
        use_checkpoint: bool = False,
    ) -> None:
        super().__init__()
        self.use_checkpoint = use_checkpoint
        self.norm1 = nn.LayerNorm(channels)
        self.spatial = spatial
        self.norm2 = nn.LayerNorm(channels)
        self.ffn1 = feed_forward()
        self.norm3 = nn.LayerNorm(channels)
        self.channel = ChannelAttention(channels, channel_heads, fold)
        self.norm4 = nn.LayerNorm(channels)
        self.ffn2 = feed_forward()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend twice and transform ``x``."""
        # Not in place: under autocast the sum keeps the precision of x.
        x = x + self.spatial(self.norm1(x))
        x = x + self.ffn1(self.norm2(x))
        x = x + self.channel(self.norm3(x))
        return x + self.ffn2(self.norm4(x))


class SingleAttentionBlock(Checkpointed):
    """Half of a :class:`DualAttentionBlock`: one attention and the feed-forward part behind it.

    Args:
        channels: width C.
        attention: over positions or over channels, ``(B, H, W, C)`` -> the same.
        feed_forward: of that form.
        use_checkpoint: as there.

    Shape:
        ``(B, H, W, C)`` -> the same.
    """

    def __init__(
        self, channels: int, attention: nn.Module, feed_forward: nn.Module, use_checkpoint: bool = False
    ) -> None:
        super().__init__()
        self.use_checkpoint = use_checkpoint
        self.norm1 = nn.LayerNorm(channels)
        self.attention = attention
        self.norm2 = nn.LayerNorm(channels)
        self.ffn = feed_forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend once and transform ``x``."""
        x = x + self.attention(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class DualAttentionStage(nn.Module):
    """Encoder stage: patch embedding, blocks, layer normalisation.

    Args:
        embed: patch embedding, from the map before.
        blocks: the blocks, width ``channels``.
        channels: width of the stage.

    Shape:
        ``(B, H, W, C')`` -> ``(B, H / s, W / s, channels)``, s being the stride of the embedding.
    """

    def __init__(self, embed: nn.Module, blocks: list[nn.Module], channels: int) -> None:
        super().__init__()
        self.embed = embed
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Embed and transform ``x``."""
        return self.norm(self.blocks(self.embed(x)))


class DualAttentionDecoderStage(nn.Module):
    """Decoder stage: fusion with the encoder's map of the same size, reduction of channels, blocks.

    Args:
        in_channels: width of the map from below.
        channels: width of the encoder's map and of the output.
        fusion: the fusion, width ``channels`` to twice as much.
        blocks: the blocks, width ``channels``.

    Shape:
        ``low`` ``(B, H, W, in_channels)``, ``skip`` ``(B, H, W, channels)`` -> ``(B, H, W, channels)``.
    """

    def __init__(self, in_channels: int, channels: int, fusion: nn.Module, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.project = Linear(in_channels, channels)
        self.fusion = fusion
        self.reduce = Linear(2 * channels, channels)
        self.blocks = nn.Sequential(*blocks)

    def forward(self, low: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Decode ``low`` with the help of ``skip``."""
        return self.blocks(self.reduce(self.fusion(self.project(low), skip)))
