# SPDX-License-Identifier: Apache-2.0
"""MSA2-Net in the order of operations of its published code: the yardstick of tests and benchmark.

Written after the project's own description of the network, not after the published source. It has the parameters of
:class:`sa2_monai.networks.MSA2Net` and the same numbers (a test compares them), but does as the published forward does:
grey images repeated to three channels, the channel moved to the front for each convolution and to the back for each
layer normalisation, explicit attention scores with the bias added to them, one position MLP after the other,
normalisations never folded, three separate projections of the efficient attention, a softmax over the gate's two maps,
copies kept for shortcuts, dilated convolutions as they are, normalisation and classifier of the output at full
resolution. The tensors that never reach an output are left out, which favours the published side.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks import DualAttentionBlock, LargeKernelBlock, SpatialAttentionGate
from sa2_monai.networks.blocks.channels_last import ConvNorm
from sa2_monai.networks.maxvit import MaxViT
from sa2_monai.networks.maxvit.attention import Attention, AttentionBlock, position_offsets
from sa2_monai.networks.maxvit.mbconv import MBConv
from sa2_monai.networks.msa2net import DecoderLevel, MSA2Net
from tests.reference.daeformer import (
    channel_attention,
    conv,
    efficient_attention,
    head,
    linear,
    patch_expand,
    to_map,
    to_tokens,
)

__all__ = ["PublishedMSA2Net"]

Size = tuple[int, int]


def layer_norm(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Layer normalisation of a map (B, C, H, W)."""
    y: torch.Tensor = norm(x.permute(0, 2, 3, 1))
    return y.permute(0, 3, 1, 2)


def conv_norm(layer: ConvNorm, x: torch.Tensor) -> torch.Tensor:
    """Convolution, then batch normalisation."""
    return layer.norm(conv(layer.conv, x))


def mbconv(block: MBConv, x: torch.Tensor) -> torch.Tensor:
    """Inverted residual on maps."""
    shortcut = x
    if block.stride == 2:
        shortcut = conv(block.shortcut.expand, F.avg_pool2d(x, 2))  # type: ignore[union-attr,arg-type]
    y = F.silu(block.norm1(conv(block.conv1_1x1, block.pre_norm(x))))
    y = F.silu(block.norm2(conv(block.conv2_kxk, y)))
    gate = conv(block.se.fc2, F.silu(conv(block.se.fc1, y.mean((2, 3), keepdim=True))))
    return conv(block.conv3_1x1, y * torch.sigmoid(gate)) + shortcut


def attention(block: Attention, x: torch.Tensor, offsets: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Attention of windows (windows, T, C) with explicit scores."""
    b, t, c = x.shape
    q, k, v = linear(block.qkv, x).view(b, t, block.heads, -1).transpose(1, 2).chunk(3, dim=3)
    scores = (q * (c // block.heads) ** -0.5) @ k.transpose(-2, -1)
    mlp = block.rel_pos.mlp
    table = mlp.fc2(F.relu(mlp.fc1(offsets.to(x.dtype))))
    scores = scores + table[index].view(t, t, -1).permute(2, 0, 1).unsqueeze(0).contiguous()
    y = scores.softmax(dim=-1) @ v
    return linear(block.proj, y.transpose(1, 2).reshape(b, t, c))


def partition(x: torch.Tensor, size: Size, grid: bool) -> torch.Tensor:
    """Map (B, H, W, C) to windows or grids (B * count, p, q, C)."""
    b, h, w, c = x.shape
    p, q = size
    if grid:
        x = x.view(b, p, h // p, q, w // q, c).permute(0, 2, 4, 1, 3, 5)
    else:
        x = x.view(b, h // p, p, w // q, q, c).permute(0, 1, 3, 2, 4, 5)
    return x.contiguous().view(-1, p, q, c)


def reverse(y: torch.Tensor, size: Size, shape: torch.Size, grid: bool) -> torch.Tensor:
    """The inverse of :func:`partition` for a map of that shape."""
    b, h, w, c = shape
    p, q = size
    y = y.view(b, h // p, w // q, p, q, c)
    y = y.permute(0, 3, 1, 4, 2, 5) if grid else y.permute(0, 1, 3, 2, 4, 5)
    return y.contiguous().view(b, h, w, c)


def attention_block(
    block: AttentionBlock, x: torch.Tensor, size: Size, offsets: torch.Tensor, index: torch.Tensor
) -> torch.Tensor:
    """Attention within windows or grids, then an MLP, on (B, H, W, C)."""
    y = partition(block.norm1(x), size, block.grid)
    y = attention(block.attn, y.view(y.shape[0], -1, y.shape[3]), offsets, index)
    x = x + reverse(y, size, x.shape, block.grid) * block.ls1.gamma
    y = linear(block.mlp.fc2, F.gelu(linear(block.mlp.fc1, block.norm2(x))))
    return x + y * block.ls2.gamma


def encode(encoder: MaxViT, x: torch.Tensor) -> list[torch.Tensor]:
    """Four maps (B, C, H, W), finest first."""
    size = (x.shape[2] // 32, x.shape[3] // 32)
    offsets, index = position_offsets(*size, x.device)
    stem = encoder.stem
    x = conv(stem.conv2, F.silu(stem.norm1(conv(stem.conv1, x))))
    features = []
    for stage in encoder.stages:
        for block in stage.blocks:  # type: ignore[union-attr]
            x = mbconv(block.conv, x).permute(0, 2, 3, 1)
            x = attention_block(block.attn_block, x, size, offsets, index)
            x = attention_block(block.attn_grid, x, size, offsets, index).permute(0, 3, 1, 2)
        features.append(x)
    features[-1] = layer_norm(encoder.norm, x)
    return features


def gate(block: SpatialAttentionGate, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """Gate of the encoder's map ``x`` by the decoder's, both (B, C, H, W)."""
    kept = x.clone()
    local = F.relu(conv_norm(block.depthwise, x))
    local = block.local_norm(conv(block.local, F.relu(conv_norm(block.dilated, local))))
    pooled = torch.cat((g.mean(1, keepdim=True), g.max(1, keepdim=True)[0]), dim=1)
    both = block.sum_norm(local + conv_norm(block.pooled, pooled))
    weights = F.softmax(conv(block.select, both), dim=1)
    x_weight, g_weight = weights[:, :1].expand_as(x), weights[:, 1:].expand_as(g)
    x = x_weight * x + x
    g = g_weight * g + g
    x_weight, g_weight = torch.sigmoid(x), torch.sigmoid(g)
    mixed = (x * g_weight) * (g * x_weight)
    weight = torch.sigmoid(conv_norm(block.weigh, mixed))
    return conv_norm(block.out, weight * kept)


def large_kernel(block: LargeKernelBlock, x: torch.Tensor) -> torch.Tensor:
    """Large-kernel attention and convolutional MLP on maps (B, C, H, W)."""
    y = layer_norm(block.norm1, x)
    shortcut = y.clone()
    u = F.gelu(conv(block.project_in, y))
    u = u.clone() * conv(block.mix, conv(block.dilated, conv(block.depthwise, u)))
    x = x + block.scale1[:, None, None] * (conv(block.project_out, u) + shortcut)
    y = layer_norm(block.norm2, x)
    y = conv(block.reduce, F.gelu(conv(block.mlp_depthwise, conv(block.expand, y))))
    return x + block.scale2[:, None, None] * y


def feed_forward(block: nn.Module, x: torch.Tensor, size: Size) -> torch.Tensor:
    """Feed-forward part on tokens with a depthwise convolution on maps."""
    ffn = block[0]  # type: ignore[index]
    y = to_tokens(ffn.depthwise(to_map(linear(ffn.expand, x), size)))
    return linear(ffn.reduce, F.gelu(y))


def dual_block(block: DualAttentionBlock, x: torch.Tensor, size: Size) -> torch.Tensor:
    """Both attentions with their feed-forward parts, on tokens."""
    x = x + efficient_attention(block.spatial, block.norm1(x), size)  # type: ignore[arg-type]
    x = x + feed_forward(block.ffn1, block.norm2(x), size)
    x = x + channel_attention(block.channel, block.norm3(x))
    return x + feed_forward(block.ffn2, block.norm4(x), size)


def level(block: DecoderLevel, tokens: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
    """Fusion and transformer blocks: tokens and the encoder's map to tokens."""
    b, c, h, w = skip.shape
    x = to_tokens(skip).view(b, c, h, w)  # the memory of tokens read as a map
    g = linear(block.project, tokens).view(b, c, h, w)
    gated = x if block.gate is None else gate(block.gate, x, g)
    z = layer_norm(block.norm, g + gated)
    for part in block.blocks:
        if isinstance(part, DualAttentionBlock):
            z = to_map(dual_block(part, to_tokens(z), (h, w)), (h, w))
        else:
            assert isinstance(part, LargeKernelBlock)
            z = large_kernel(part, z)
    return z.contiguous().view(b, h * w, c) if block.restore else to_tokens(z)


class PublishedMSA2Net(nn.Module):
    """The published order of operations on the parameters of ``network``; returns logits like it."""

    def __init__(self, network: MSA2Net) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        n = self.network
        if x.shape[1] == 1:
            x = x.repeat(1, 3, 1, 1)
        e0, e1, e2, e3 = encode(n.encoder, x)
        size3, size2, size1, size0 = ((e.shape[2], e.shape[3]) for e in (e3, e2, e1, e0))
        tokens = patch_expand(n.level3, to_tokens(e3), size3)
        tokens = patch_expand(n.level2.expand, level(n.level2, tokens, e2), size2)  # type: ignore[arg-type]
        tokens = patch_expand(n.level1.expand, level(n.level1, tokens, e1), size1)  # type: ignore[arg-type]
        return head(n.level0.expand, level(n.level0, tokens, e0), size0)  # type: ignore[arg-type]
