# SPDX-License-Identifier: Apache-2.0
"""What makes evaluation networks fast: equal up to rounding, and out of the way wherever it does not belong.

``BaseNetworkTester.test_accelerated`` compares each network with its plain self.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sa2_monai.networks import blocks, create_network
from sa2_monai.networks.accelerate import accelerate, linear
from sa2_monai.networks.accelerate.apply import FASTER

LAYERS = [
    (nn.Linear(24, 40), (2, 5, 24)),
    (nn.Linear(24, 40, bias=False), (3, 24)),
    (blocks.Linear(24, 40), (2, 5, 24)),
    (blocks.MergedLinear(24, [8, 16]), (1, 7, 6, 24)),
    (blocks.PointwiseConv(24, 8), (2, 4, 6, 24)),
]
SMALL = {"embed_dims": (16, 32, 48), "depths": (1, 1, 1), "decoder_depths": (1, 1), "channel_heads": 4}


@pytest.fixture(autouse=True)
def _nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "SMALL", 1)


@pytest.fixture
def other_way(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that grows whenever a layer takes the faster way."""
    taken: list[str] = []
    product = linear.by_onednn

    def noted(*arguments: Any) -> torch.Tensor:
        taken.append("by_onednn")
        return product(*arguments)

    monkeypatch.setattr(linear, "by_onednn", noted)
    return taken


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda value: type(value).__name__)
def test_layers(layer: nn.Module, shape: tuple[int, ...], other_way: list[str]) -> None:
    x = torch.rand(shape)
    faster = accelerate(nn.Sequential(layer)).eval()
    assert type(layer) in FASTER.values()
    assert isinstance(layer, (nn.Linear, nn.Conv2d))
    with torch.no_grad():
        found = faster(x)
        assert other_way
        torch.testing.assert_close(found, layer.forward(x), rtol=1e-5, atol=1e-6)
        turned = x.transpose(0, -2).contiguous().transpose(0, -2)  # the same in another order of memory
        torch.testing.assert_close(faster(turned), found, rtol=1e-5, atol=1e-6)


def test_the_plain_way_wherever_the_other_does_not_belong(
    other_way: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, x = accelerate(nn.Linear(24, 40)).eval(), torch.rand(2, 24)
    layer(x).sum().backward()
    assert layer.weight.grad is not None, "gradients"
    with torch.no_grad():
        layer.train()(x)
        layer.eval()
        assert layer.double()(x.double()).dtype == torch.float64
        layer.float()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert layer(x).dtype == torch.bfloat16
        torch.jit.trace(layer, x, check_trace=False)
        torch.jit.script(layer)(x)
        torch.export.export(layer, (x,)).module()(x)
        torch.compile(layer, fullgraph=True, backend="aot_eager")(x)
        monkeypatch.setattr(linear, "SMALL", 2 * 24 * 40 + 1)
        layer(x)
    assert other_way == []


def test_classes_are_taken_exactly() -> None:
    class Own(nn.Linear):
        pass

    network = accelerate(nn.Sequential(nn.Linear(2, 2), Own(2, 2), nn.MultiheadAttention(4, 1)))
    assert [type(module) for module in network] == [linear.PlainLinear, Own, nn.MultiheadAttention]
    assert accelerate(network) is network, "twice does nothing"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("daeformer", SMALL),
        ("hsaunet", {"embed_dims": (16, 32, 48), "window_size": 2}),
        ("sa2net", {"base_channels": 4}),
    ],
)
def test_batches_go_image_by_image(name: str, arguments: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = create_network(name, in_channels=3, out_channels=2, **arguments).eval()
    class_name = type(network).__name__
    x, batches = torch.rand(3, 3, 32, 64), []
    next(network.children()).register_forward_hook(lambda _m, args, _y: batches.append(len(args[0])))
    assert type(accelerate(network)).__name__ == class_name, "messages name the class"
    with torch.no_grad():
        found = network(x)
        assert batches == [1, 1, 1]
        largest = float(found.abs().max())
        torch.testing.assert_close(found / largest, network.forward(x) / largest, rtol=0, atol=5e-6)
        with pytest.raises(ValueError, match="expects an input of shape"):
            network(x[0])
    batches.clear()
    network(x)
    assert batches == [3], "gradients want the batch as it is"
