# SPDX-License-Identifier: Apache-2.0
"""Layers in bfloat16 with weights that are laid out once: what autocast gives, and only where it is asked for."""

from __future__ import annotations

import copy
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import torch
from torch import nn

from sa2_monai.networks import blocks, create_network
from sa2_monai.networks.accelerate import accelerate, bfloat16
from sa2_monai.networks.blocks import conv_units
from sa2_monai.networks.blocks.channels_last import ChannelsLastConv
from sa2_monai.networks.scale_aware.attention import ConvMLP

Packed = MutableMapping[nn.Module, Any]


@pytest.fixture
def packed() -> Iterator[Packed]:
    """Layers whose weights are laid out."""
    bfloat16._PACKED.clear()
    yield bfloat16._PACKED
    bfloat16._PACKED.clear()


def autocast() -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16)


def images(*shape: int) -> torch.Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return x.contiguous(memory_format=torch.channels_last)


def conv_norm_relu() -> nn.Module:
    torch.manual_seed(0)
    layer = conv_units.ConvNormReLU(16, 24)
    layer.norm.running_mean.uniform_(-0.5, 0.5)
    layer.norm.running_var.uniform_(0.5, 2)
    return layer.eval()


LAYERS: list[tuple[nn.Module, tuple[int, ...], int]] = [
    (nn.Linear(24, 40), (2, 5, 24), 1),
    (nn.Linear(24, 40, bias=False), (3, 24), 1),
    (blocks.MergedLinear(24, [8, 16]), (1, 7, 6, 24), 1),
    (blocks.PointwiseConv(24, 8), (2, 4, 6, 24), 1),
    (ChannelsLastConv(16, 16, 5, padding=2, groups=16), (2, 9, 7, 16), 1),
    (nn.Conv2d(16, 24, 3, padding=1), (2, 16, 9, 7), 1),
    (nn.Conv2d(16, 24, 3, stride=2, dilation=2, bias=False), (1, 16, 12, 11), 1),
    (nn.Conv2d(16, 16, (1, 5), padding=(0, 2), groups=4), (1, 16, 8, 8), 1),
    (nn.Conv2d(16, 16, 3, padding="same"), (1, 16, 8, 8), 0),
    (nn.Conv2d(16, 16, 3, padding=1, padding_mode="reflect"), (1, 16, 8, 8), 0),
    (conv_norm_relu(), (2, 16, 10, 6), 1),
    (ConvMLP(16, 4, 1e-6), (2, 16, 10, 6), 3),
]


@pytest.mark.parametrize(("layer", "shape", "count"), LAYERS, ids=lambda value: type(value).__name__)
def test_layers(layer: nn.Module, shape: tuple[int, ...], count: int, packed: Packed) -> None:
    layer = copy.deepcopy(layer).eval()
    faster = accelerate(copy.deepcopy(layer))
    x = images(*shape) if len(shape) == 4 and shape[-1] not in (16, 24) else torch.randn(shape)
    with torch.no_grad():
        exact = layer(x)
        with autocast():
            plain, found = layer(x), faster(x)
            again, half = faster(x), faster(x.bfloat16())
        assert torch.equal(faster.eval()(x), accelerate(copy.deepcopy(layer))(x)), "float32 is what it was"
    assert len(packed) == count
    assert found.dtype == plain.dtype
    assert torch.equal(found, again)
    largest = float(exact.abs().max())
    assert float((half.float() - plain.float()).abs().max()) < 0.04 * largest
    # No further from float32 than autocast, up to one rounding.
    assert float((found.float() - exact).abs().max()) <= float((plain.float() - exact).abs().max()) + largest / 256


def test_weights_that_change(packed: Packed) -> None:
    layers = [nn.Conv2d(16, 8, 3), nn.Linear(16, 8)]
    inputs = [images(1, 16, 8, 8), torch.randn(4, 16)]
    norm = accelerate(conv_norm_relu())
    with torch.no_grad(), autocast():
        for layer, x in zip(layers, inputs, strict=True):
            before = accelerate(layer).eval()(x)
            layer.load_state_dict({name: 2 * value for name, value in layer.state_dict().items()})
            torch.testing.assert_close(layer(x), 2 * before)
        before = norm(images(1, 16, 8, 8))
        norm.norm.running_mean -= 1
        assert not torch.equal(norm(images(1, 16, 8, 8)), before)
    assert len(packed) == 3
    assert set(layers[0].state_dict()) == {"weight", "bias"}
    del layers, layer
    assert len(packed) == 1, "they go with their layers"


def test_the_plain_way_wherever_the_other_does_not_belong(packed: Packed) -> None:
    network = accelerate(nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), conv_norm_relu(), ConvMLP(24, 2, 1e-6))).eval()
    x = images(1, 16, 8, 8)
    with autocast():
        network(x).sum().backward()
        with torch.no_grad():
            network.train()(x)
            network.eval()
            network(x.contiguous()[:, :, :, :7].transpose(2, 3).contiguous())
            assert not [layer for layer in packed if layer is network[0]], "maps in another memory format"
            bfloat16._PACKED.clear()
            torch.compile(network, backend="aot_eager")(x)
    with torch.no_grad():
        with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):  # as tracing needs it
            torch.jit.trace(network, x, check_trace=False)
        network(x)
        with torch.autocast("cpu", dtype=torch.float16):
            network(x)
    assert not packed


SMALL: dict[str, dict[str, Any]] = {
    "sa2net": {"base_channels": 8},
    "daeformer": {"embed_dims": (16, 32, 48), "depths": (1, 1, 1), "decoder_depths": (1, 1), "channel_heads": 4},
    "hsaunet": {"embed_dims": (16, 32, 48), "window_size": 2},
    "svanet": {"base_channels": 8},
}


@pytest.mark.parametrize("name", SMALL)
def test_networks(name: str, packed: Packed) -> None:
    torch.manual_seed(0)
    network = create_network(name, in_channels=3, out_channels=3, **SMALL[name]).eval()
    faster = accelerate(copy.deepcopy(network))
    x = nn.functional.interpolate(torch.rand(2, 3, 8, 8), size=(64, 64), mode="bicubic")
    with torch.no_grad():
        exact = network(x)
        with autocast():
            plain, found = network(x), faster(x)
    assert len(packed) > 5
    largest = float(exact.abs().max())
    assert float((found - exact).abs().max()) < 2 * float((plain - exact).abs().max()) + largest / 100
    assert (found.argmax(1) == exact.argmax(1)).float().mean() > 0.95
