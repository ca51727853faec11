# SPDX-License-Identifier: Apache-2.0
"""Gradients of a training in bfloat16 on a CPU are those of float32, as near as bfloat16 is."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from sa2_monai.networks.blocks.large_kernel import DilatedDepthwiseConv
from sa2_monai.networks.precision.training import keep_gradients_right


def depthwise(dilation: int, kernel_size: int = 3) -> nn.Conv2d:
    padding = dilation * (kernel_size // 2)
    layer = nn.Conv2d(16, 16, kernel_size, padding=padding, dilation=dilation, groups=16)
    return layer.to(memory_format=torch.channels_last)


def gradient(layer: nn.Module, call: Callable[[torch.Tensor], torch.Tensor], bfloat16: bool) -> torch.Tensor:
    draws = torch.Generator().manual_seed(0)
    shape = (2, 24, 24, 16)
    x, weights = (torch.randn(shape, generator=draws) for _ in range(2))
    if not isinstance(layer, DilatedDepthwiseConv):
        x, weights = x.permute(0, 3, 1, 2), weights.permute(0, 3, 1, 2)  # channels_last
    layer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        y = call(x)
    (y.float() * weights).sum().backward()
    return layer.weight.grad.clone()


LAYERS = [
    (depthwise(1), 0),
    (depthwise(2), 1),
    (depthwise(3, kernel_size=7), 1),
    (DilatedDepthwiseConv(16, 7, 3), 1),
    (nn.Conv2d(16, 16, 3, padding=2, dilation=2), 0),
]


@pytest.mark.parametrize(("layer", "count"), LAYERS, ids=lambda value: str(value)[:60])
@pytest.mark.parametrize("compiled", [False, True])
def test_gradients(layer: nn.Module, count: int, compiled: bool) -> None:
    layer = copy.deepcopy(layer)
    expected = gradient(layer, layer, bfloat16=False)
    assert keep_gradients_right(nn.Sequential(layer)) == count
    call = torch.compile(layer, backend="aot_eager") if compiled else layer
    found = gradient(layer, call, bfloat16=True)
    assert float((found - expected).norm() / expected.norm()) < 0.01


def test_a_copy_has_its_own_weights() -> None:
    layer = depthwise(2)
    keep_gradients_right(layer)
    other = copy.deepcopy(layer)
    with torch.no_grad():
        other.weight.zero_()
        x = torch.ones(1, 16, 8, 8)
        torch.testing.assert_close(other(x), other.bias[:, None, None].expand(1, 16, 8, 8))
        assert not torch.equal(layer(x), other(x))
    assert set(layer.state_dict()) == {"weight", "bias"}
