# SPDX-License-Identifier: Apache-2.0
"""SA2-Net in the order of operations of its published code: the yardstick of tests and benchmark.

Written after the project's own description of the network, not after the published source. It has the parameters of
:class:`sa2_monai.networks.SA2Net` and the same numbers (a test compares them), but does as the published forward does:
up-sampling before the per-pixel layers, concatenations, halves split and joined again, decoder maps resized to full
resolution before their heads (in evaluation as well), a copy of the input in each MLP, a hand-written layer norm.
The tensors that never reach an output are left out, which favours the published side.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks import SA2Net
from sa2_monai.networks.blocks import ConvNormReLU
from sa2_monai.networks.scale_aware import AdaptiveUpAttention, ConvMLP, LocalScaleAttention, ScaleAwareAttention

__all__ = ["PublishedSA2Net"]


def _layer_norm(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float) -> torch.Tensor:
    mean = x.mean(1, keepdim=True)
    variance = (x - mean).pow(2).mean(1, keepdim=True)
    x = (x - mean) / torch.sqrt(variance + eps)
    return weight[:, None, None] * x + bias[:, None, None]


def _resize(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def _unit(unit: ConvNormReLU, x: torch.Tensor) -> torch.Tensor:
    return F.relu(unit.norm(unit.conv(x)), inplace=True)


def _double_conv(units: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    for unit in units:
        x = _unit(unit, x)
    return x


def _local(block: LocalScaleAttention, x: torch.Tensor) -> torch.Tensor:
    x = block.project_in(x)
    a1, a2 = F.relu(block.depthwise3(x)).chunk(2, dim=1)
    b1, b2 = F.relu(block.depthwise5(x)).chunk(2, dim=1)
    return block.project_out(torch.cat([a1 * torch.sigmoid(b1), a2 * torch.sigmoid(b2)], dim=1))


def _mlp(block: ConvMLP, x: torch.Tensor) -> torch.Tensor:
    copy = x.clone()
    x = _layer_norm(x, block.norm.weight, block.norm.bias, block.norm.eps)
    x = x + F.gelu(block.position(x))
    return copy + block.reduce(F.gelu(block.expand(x)))


def _attention(block: ScaleAwareAttention, levels: list[torch.Tensor]) -> list[torch.Tensor]:
    size = levels[2]
    local = [
        _local(b, _resize(x, size) if k != 2 else x) for k, (b, x) in enumerate(zip(block.local, levels, strict=True))
    ]
    mixed = F.gelu(block.fusion(block.fusion_norm(torch.cat(local, dim=1))))
    shared, *gates = torch.split(mixed, [block.channels, 1, 1, 1, 1], dim=1)
    query = F.gelu(block.query(shared))
    outputs = []
    for k, (y, gate, x) in enumerate(zip(local, gates, levels, strict=True)):
        y = y * gate * query
        outputs.append(block.project[k](_mlp(block.mlp[k], (_resize(y, x) if k != 2 else y) + x)))
    return outputs


def _up(block: AdaptiveUpAttention, deep: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
    u = F.interpolate(deep, scale_factor=2.0, mode="nearest")
    u = _layer_norm(u, block.norm.weight, block.norm.bias, block.norm.eps)
    u = block.depthwise(F.gelu(block.conv(u)))
    t = block.skip(skip)
    gate = torch.sigmoid(block.gate_norm(block.gate(F.gelu(torch.cat((u, t), dim=1)))))
    return _double_conv(block.convs, block.project(gate * t) + skip)


class PublishedSA2Net(nn.Module):
    """The published order of operations on the parameters of ``network``; returns logits like it."""

    def __init__(self, network: SA2Net) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits, or the four training outputs in training mode."""
        n = self.network
        x1 = _unit(n.stage1, x)
        x2 = _double_conv(n.stage2, F.max_pool2d(x1, 2))
        x3 = _double_conv(n.stage3, F.max_pool2d(x2, 2))
        x4 = _double_conv(n.stage4, F.max_pool2d(x3, 2))
        x5 = n.side5(_double_conv(n.stage5, F.max_pool2d(x4, 2)))
        s1, s2, s3, s4 = _attention(n.attention, [x1, n.side2(x2), n.side3(x3), n.side4(x4)])
        d4 = _up(n.up4, x5, s4)
        d3 = _up(n.up3, d4, s3)
        d2 = _up(n.up2, d3, s2)
        d1 = _up(n.up1, d2, s1)
        d4, d3, d2 = _resize(d4, d1), _resize(d3, d1), _resize(d2, d1)
        if not self.training:
            return n.head1(d1)
        return [n.head1(d1), n.head2(d2), n.head3(d3), n.head4(d4)]
