# SPDX-License-Identifier: Apache-2.0
"""HSA-UNet in the order of operations of its published code: the yardstick of tests and benchmark.

Written after the project's own description of the network, not after the published source. It has the parameters of
:class:`sa2_monai.networks.HSAUNet` and the same numbers (a test compares them), but does as the published forward does:
tokens and maps turned into each other again and again, queries, keys and values from layers of their own, softmax and
products of the attention one by one, and the decoder of the published DAE-Former. The tensors that never reach an
output are left out, which favours the published side.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks import MLP, DualAttentionBlock
from sa2_monai.networks.hsaunet import ConvPatchEmbed, HSAUNet, HybridScaleAttention
from tests.reference.daeformer import Size, channel_attention, conv, linear, to_map, to_tokens, u_shape

__all__ = ["PublishedHSAUNet"]


def _norm(layer: nn.LayerNorm, x: torch.Tensor) -> torch.Tensor:
    """Layer normalisation of a map, by way of tokens."""
    return to_map(layer(to_tokens(x)), (x.shape[2], x.shape[3])).contiguous()


def embed(block: ConvPatchEmbed, x: torch.Tensor) -> tuple[torch.Tensor, Size]:
    """Map to tokens, and the size of their map."""
    x = _norm(block.norm1, F.gelu(block.conv1(x)))
    x = _norm(block.norm2, F.gelu(block.conv2(x)))
    x = _norm(block.norm3, F.gelu(block.conv3(x)))
    x = block.conv4(x)
    return to_tokens(x), (x.shape[2], x.shape[3])


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Softmax attention, step by step."""
    scores = (q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5
    return scores.softmax(dim=-1) @ v


def hybrid_attention(block: HybridScaleAttention, x: torch.Tensor, size: Size) -> torch.Tensor:
    """Global half, local half, and the positions' convolution."""
    b, n, c = x.shape
    h, d, w = block.heads, c // (2 * block.heads), block.window
    position = to_tokens(block.position_conv(to_map(linear(block.position, x), size).contiguous()))

    q = linear(block.global_query, x).reshape(b, n, h, d).permute(0, 2, 1, 3)
    reduced = to_tokens(conv(block.reduce, to_map(x, size).contiguous()))
    reduced = F.gelu(block.reduce_norm(reduced))
    kv = linear(block.global_key_value, reduced).reshape(b, -1, 2, h, d).permute(2, 0, 3, 1, 4)
    x1 = attend(q, kv[0], kv[1]).transpose(1, 2).reshape(b, n, c // 2)

    rows, columns = size[0] // w, size[1] // w
    weight_q, weight_kv = block.local_qkv.weight.split(block.local_qkv.parts)
    q = F.linear(x, weight_q).transpose(1, 2).reshape(b, h, d, rows, w, columns, w)
    q = q.permute(0, 3, 5, 1, 4, 6, 2).contiguous().reshape(b * rows * columns, h, w * w, d)
    kv = F.linear(x, weight_kv).transpose(1, 2).reshape(b, 2, h, d, rows, w, columns, w)
    kv = kv.permute(1, 0, 4, 6, 2, 5, 7, 3).contiguous().reshape(2, b * rows * columns, h, w * w, d)
    x2 = attend(q, kv[0], kv[1]).reshape(b, rows, columns, h, w, w, d)
    x2 = x2.permute(0, 1, 4, 2, 5, 3, 6).reshape(b, n, c // 2)
    return linear(block.project, torch.cat((x1, x2), dim=-1) + position)


def mlp(block: MLP, x: torch.Tensor) -> torch.Tensor:
    """Feed-forward part, step by step."""
    return linear(block.reduce, F.gelu(linear(block.expand, x)))


def dual_block(block: DualAttentionBlock, x: torch.Tensor, size: Size) -> torch.Tensor:
    """Both attentions with their feed-forward parts."""
    assert isinstance(block.spatial, HybridScaleAttention)
    assert isinstance(block.ffn1, MLP)
    assert isinstance(block.ffn2, MLP)
    x = x + hybrid_attention(block.spatial, block.norm1(x), size)
    x = x + mlp(block.ffn1, block.norm2(x))
    x = x + channel_attention(block.channel, block.norm3(x))
    return x + mlp(block.ffn2, block.norm4(x))


class PublishedHSAUNet(nn.Module):
    """The published order of operations on the parameters of ``network``; returns logits like it."""

    def __init__(self, network: HSAUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return u_shape(self.network, x, embed, dual_block)
