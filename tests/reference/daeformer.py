# SPDX-License-Identifier: Apache-2.0
"""DAE-Former in the order of operations of its published code: the yardstick of tests and benchmark.

Written after the project's own description of the network, not after the published source. It has the parameters of
:class:`sa2_monai.networks.DAEFormer` and the same numbers (a test compares them), but does as the published forward
does: tokens and maps turned into each other again and again, 1x1 convolutions on maps, the first feed-forward map
calculated twice, heads in a Python loop, nothing multiplied ahead, normalisation and classifier of the output at full
resolution. The tensors that never reach an output are left out, which favours the published side.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks import (
    ChannelAttention,
    CrossAttentionSkip,
    DualAttentionBlock,
    DualAttentionDecoderStage,
    DualAttentionUNet,
    EfficientAttention,
    MixFFN,
    OverlapPatchEmbed,
    PatchExpand,
    PatchExpandHead,
)
from sa2_monai.networks.daeformer import DAEFormer

__all__ = [
    "PublishedDAEFormer",
    "channel_attention",
    "conv",
    "decoder_stage",
    "head",
    "linear",
    "mix_ffn",
    "patch_expand",
]

Size = tuple[int, int]


def to_map(x: torch.Tensor, size: Size) -> torch.Tensor:
    """Tokens (B, N, C) to a map (B, C, H, W)."""
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], *size)


def to_tokens(x: torch.Tensor) -> torch.Tensor:
    """Map (B, C, H, W) to contiguous tokens (B, N, C)."""
    return x.flatten(2).transpose(1, 2).contiguous()


def linear(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    """Linear map by PyTorch's own routine, whatever the layer's own forward takes."""
    return F.linear(x, layer.weight, layer.bias)


def conv(layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """Convolution of a map, likewise."""
    return F.conv2d(x, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)  # type: ignore[arg-type]


def pointwise(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """1x1 convolution of a map."""
    return F.conv2d(x, weight[:, :, None, None], bias)


def heads_of_efficient_attention(
    keys: torch.Tensor, queries: torch.Tensor, values: torch.Tensor, heads: int
) -> torch.Tensor:
    """Efficient attention of (B, C, N), head by head."""
    attended = []
    for k, q, v in zip(keys.chunk(heads, 1), queries.chunk(heads, 1), values.chunk(heads, 1), strict=True):
        context = F.softmax(k, dim=2) @ v.transpose(1, 2)
        attended.append(context.transpose(1, 2) @ F.softmax(q, dim=1))
    return torch.cat(attended, dim=1)


def efficient_attention(block: EfficientAttention, x: torch.Tensor, size: Size) -> torch.Tensor:
    """Attention over positions, on maps."""
    y = to_map(x, size)
    parts = zip(block.qkv.weight.chunk(3), block.qkv.bias.chunk(3), strict=True)
    queries, keys, values = (pointwise(y, w, b).flatten(2) for w, b in parts)
    out = heads_of_efficient_attention(keys, queries, values, block.heads)
    return to_tokens(pointwise(out.reshape(y.shape), block.project.weight, block.project.bias))


def channel_attention(block: ChannelAttention, x: torch.Tensor) -> torch.Tensor:
    """Attention over channels, all heads at once, tokens to tokens."""
    b, n, c = x.shape
    qkv = linear(block.qkv, x).reshape(b, n, 3, block.heads, c // block.heads).permute(2, 0, 3, 4, 1)
    q, k, v = qkv[0], qkv[1], qkv[2]
    attention = (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)) * block.temperature
    return linear(block.project, (attention.softmax(dim=-1) @ v).permute(0, 3, 1, 2).reshape(b, n, c))


def mix_ffn(block: MixFFN, x: torch.Tensor, size: Size) -> torch.Tensor:
    """Feed-forward part that expands its input twice."""
    mixed = to_tokens(block.depthwise(to_map(linear(block.expand, x), size)))
    return linear(block.reduce, F.gelu(block.norm(mixed + linear(block.expand, x))))


def dual_block(block: DualAttentionBlock, x: torch.Tensor, size: Size) -> torch.Tensor:
    """Both attentions with their feed-forward parts."""
    assert isinstance(block.spatial, EfficientAttention)
    assert isinstance(block.ffn1, MixFFN)
    assert isinstance(block.ffn2, MixFFN)
    x = x + efficient_attention(block.spatial, block.norm1(x), size)
    x = x + mix_ffn(block.ffn1, block.norm2(x), size)
    x = x + channel_attention(block.channel, block.norm3(x))
    return x + mix_ffn(block.ffn2, block.norm4(x), size)


def fusion(block: CrossAttentionSkip, low: torch.Tensor, skip: torch.Tensor, size: Size) -> torch.Tensor:
    """Cross-attention of the skip connection."""
    values = block.norm1(low).transpose(1, 2)
    source = block.norm1(skip).transpose(1, 2)
    attended = heads_of_efficient_attention(source, source, values, block.heads)
    attended = attended.reshape(*attended.shape[:2], *size)
    attended = block.project_norm(to_tokens(pointwise(attended, block.project.weight, block.project.bias)))
    x = torch.cat((low, skip), dim=2) + attended
    return x + mix_ffn(block.ffn, block.norm2(x), size)


def rearrange(y: torch.Tensor, size: Size, scale: int, channels: int) -> torch.Tensor:
    """Channels of (B, N, scale * scale * C) to neighbouring tokens."""
    y = y.reshape(y.shape[0], *size, scale, scale, channels).permute(0, 1, 3, 2, 4, 5)
    return y.reshape(y.shape[0], -1, channels)


def patch_expand(block: PatchExpand, x: torch.Tensor, size: Size) -> torch.Tensor:
    """Expansion of tokens, normalised after the rearrangement."""
    return block.norm(rearrange(linear(block.expand, x), size, block.scale, block.out_channels).clone())


def head(block: PatchExpandHead, x: torch.Tensor, size: Size) -> torch.Tensor:
    """Expansion to full resolution, then the classifier on the map."""
    x = block.norm(rearrange(linear(block.expand, x), size, block.scale, block.in_channels).clone())
    full = (block.scale * size[0], block.scale * size[1])
    return pointwise(to_map(x, full).contiguous(), block.classify.weight, block.classify.bias)


def embed(block: OverlapPatchEmbed, x: torch.Tensor) -> tuple[torch.Tensor, Size]:
    """Map to tokens, and the size of their map."""
    y = conv(block.conv, x)
    return block.norm(to_tokens(y)), (y.shape[2], y.shape[3])


def decoder_stage(
    stage: DualAttentionDecoderStage, low: torch.Tensor, skip: torch.Tensor, size: Size, block: object = dual_block
) -> torch.Tensor:
    """Decoder stage without its expansion; ``block`` calculates a dual block."""
    x = linear(stage.reduce, fusion(stage.fusion, linear(stage.project, low), skip, size))
    for part in stage.blocks:
        x = block(part, x, size)  # type: ignore[operator]
    return x


def u_shape(n: DualAttentionUNet, x: torch.Tensor, embed: object, block: object) -> torch.Tensor:
    """The whole network; ``embed`` calculates a patch embedding, ``block`` a dual block."""
    if x.shape[1] == 1:
        x = x.repeat(1, 3, 1, 1)
    features = []
    for stage in (n.stage1, n.stage2, n.stage3):
        tokens, size = embed(stage.embed, x)  # type: ignore[operator]
        for part in stage.blocks:
            tokens = block(part, tokens, size)  # type: ignore[operator]
        x = to_map(stage.norm(tokens), size).contiguous()
        features.append(x)
    e1, e2, e3 = features
    size1, size2, size3 = ((e.shape[2], e.shape[3]) for e in features)
    d3 = patch_expand(n.expand3, to_tokens(e3), size3)
    d2 = decoder_stage(n.decoder2, d3, to_tokens(e2), size2, block)
    d1 = decoder_stage(n.decoder1, patch_expand(n.expand2, d2, size2), to_tokens(e1), size1, block)
    return head(n.head, d1, size1)


class PublishedDAEFormer(nn.Module):
    """The published order of operations on the parameters of ``network``; returns logits like it."""

    def __init__(self, network: DAEFormer) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return u_shape(self.network, x, embed, dual_block)
