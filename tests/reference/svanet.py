# SPDX-License-Identifier: Apache-2.0
"""SvANet in the order of operations of its published code: the yardstick of tests and benchmark.

Written after the project's own description of the network, not after the published source. It has the parameters of
:class:`sa2_monai.networks.SvANet` and the same numbers (a test compares them), but does as the published forward does:
patches unfolded and folded again around each attention, keys projected for every pixel, adaptive pooling of every map
of every guidance path and projection of every cell, all taps of the dilated convolutions, all maps resized and
concatenated before the head, and normalisations never folded. The random parts of training are those of evaluation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks import ConvUnit
from sa2_monai.networks.scale_variant import ASPP, GuidancePath, MonteCarloBottleneck
from sa2_monai.networks.scale_variant.assemble_former import AssembleFormer, FormerBlock
from sa2_monai.networks.svanet import DecoderLevel, SvANet

__all__ = ["PublishedSvANet"]


def _unit(unit: ConvUnit, x: torch.Tensor) -> torch.Tensor:
    return unit.activation(unit.norm(unit.conv(x)))


def _bottleneck(block: MonteCarloBottleneck, x: torch.Tensor) -> torch.Tensor:
    y = _unit(block.conv, _unit(block.expand, x))
    gate = F.adaptive_avg_pool2d(y, 1)
    gate = torch.sigmoid(block.gate.expand(F.relu(block.gate.reduce(gate))))
    return x + _unit(block.project, y * gate)


def _former_block(block: FormerBlock, x: torch.Tensor) -> torch.Tensor:
    d = block.attention.channels
    y = block.attention.qkv.conv(block.attention.qkv.norm(x))
    query, key, value = torch.split(y, [1, d, d], dim=1)
    context = (key * F.softmax(query, dim=-1)).sum(dim=-1, keepdim=True)
    x = x + block.attention.project(F.relu(value) * context.expand_as(value))
    return x + block.reduce(F.silu(block.expand.conv(block.expand.norm(x))))


def _former(block: AssembleFormer, x: torch.Tensor) -> torch.Tensor:
    local = block.reduce(_unit(block.local, x))
    b, d, h, w = local.shape
    p = block.blocks[0].attention.patch
    y = F.unfold(local, p, stride=p).reshape(b, d, p * p, -1)
    for inner in block.blocks:
        y = _former_block(inner, y)
    y = block.norm(y)
    y = F.fold(y.reshape(b, d * p * p, -1), (h, w), p, stride=p)
    return x + _unit(block.project, torch.cat((y, local), dim=1))


def _path(path: GuidancePath, x: torch.Tensor) -> torch.Tensor:
    maps = [x]
    for step in path.steps:
        x = _unit(step[1], _unit(step[0], x))
        maps.append(x)
    cells = [
        squeeze(F.adaptive_avg_pool2d(y, path.attention.grid))
        for squeeze, y in zip(path.attention.squeezes, maps, strict=True)
    ]
    return x * torch.sigmoid(torch.stack(cells).mean(0).mean((2, 3), keepdim=True))


def _level(level: DecoderLevel, deep: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
    x = _unit(level.up[0], deep)
    x = F.relu(level.up[1].norm(level.up[1].conv(x)), inplace=True)
    x = torch.cat((_unit(level.up[2], x), skip), dim=1)
    return _former(level.former, _unit(level.join[1], _unit(level.join[0], x)))


def _aspp(aspp: ASPP, x: torch.Tensor) -> torch.Tensor:
    maps = [_unit(aspp.point, x), *(_unit(unit, x) for unit in aspp.dilated)]
    pooled = _unit(aspp.pool, F.adaptive_avg_pool2d(x, 1))
    maps.append(F.interpolate(pooled, size=x.shape[-2:], mode="bilinear", align_corners=True))
    return aspp.dropout(_unit(aspp.project, torch.cat(maps, dim=1)))


class PublishedSvANet(nn.Module):
    """The published order of operations on the parameters of ``network``; returns logits like it."""

    def __init__(self, network: SvANet) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        n = self.network
        size = x.shape[-2:]
        *maps, deep = n.encoder(x)
        maps = [_former(b[1], _bottleneck(b[0], y)) for b, y in zip(n.branches, maps, strict=True)]
        for path in n.guidance.paths:
            maps[path.target] = maps[path.target] + _path(path, maps[path.source])
        decoded = []
        y = deep
        for level, skip in zip(n.decoder, reversed(maps), strict=True):
            y = _level(level, y, skip)
            decoded.insert(0, y)
        resized = [decoded[0]]
        for y in (*decoded[1:], _aspp(n.aspp, deep)):
            resized.append(F.interpolate(y, size=decoded[0].shape[-2:], mode="bilinear", align_corners=True))
        scores = n.head(torch.cat(resized, dim=1))
        return F.interpolate(scores, size=size, mode="bilinear", align_corners=True)
