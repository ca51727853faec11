# SPDX-License-Identifier: Apache-2.0
"""Linear maps in training on a CPU: PyTorch's numbers up to rounding, and PyTorch's own formula everywhere else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks import blocks
from sa2_monai.networks.blocks import linear

SHAPES = [(2, 5, 24), (3, 24), (1, 7, 6, 24)]


@pytest.fixture(autouse=True)
def products(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """Nothing is small; the shapes of what goes to oneDNN."""
    monkeypatch.setattr(linear, "SMALL", 1)
    taken: list[torch.Size] = []
    product = linear.by_onednn

    def noted(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        taken.append(x.shape)
        return product(x, weight, bias)

    monkeypatch.setattr(linear, "by_onednn", noted)
    return taken


def gradients(y: torch.Tensor, *inputs: torch.Tensor) -> list[torch.Tensor]:
    return [y.detach(), *torch.autograd.grad((y * y.detach().sin()).sum(), inputs)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients(shape: tuple[int, ...], bias: bool, products: list[torch.Size]) -> None:
    torch.manual_seed(0)
    layer = blocks.Linear(24, 40, bias=bias)
    turned = torch.rand(shape).transpose(0, -2).contiguous().transpose(0, -2)  # the same in another order of memory
    for x in (torch.rand(shape).requires_grad_(), turned.requires_grad_()):
        expected = gradients(F.linear(x, layer.weight, layer.bias), x, *layer.parameters())
        found = gradients(layer(x), x, *layer.parameters())
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert len(products) == 6, "the map, and a gradient for the input and one for the weight, twice"


def test_gradients_of_gradients() -> None:
    layer, x = blocks.Linear(24, 8), torch.rand(3, 24, requires_grad=True)

    def second(y: torch.Tensor) -> torch.Tensor:
        (first,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), layer.weight)[0]

    torch.testing.assert_close(second(layer(x)), second(F.linear(x, layer.weight, layer.bias)), rtol=1e-5, atol=1e-5)


def test_what_needs_no_gradient_gets_none(products: list[torch.Size]) -> None:
    layer = blocks.PointwiseConv(24, 8).requires_grad_(False)
    x = torch.rand(1, 7, 6, 24, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    assert layer.weight.grad is None
    assert len(products) == 2


ELSEWHERE: dict[str, Callable[[nn.Module, torch.Tensor], torch.Tensor]] = {
    "evaluation": lambda layer, x: layer.eval()(x),
    "without gradients": lambda layer, x: torch.no_grad()(layer)(x),
    "in double precision": lambda layer, x: layer.double()(x.double()),
    "under autocast": lambda layer, x: torch.autocast("cpu", dtype=torch.bfloat16)(layer)(x),
    "scripted": lambda layer, x: torch.jit.script(layer)(x),
    "compiled": lambda layer, x: torch.compile(layer, fullgraph=True, backend="aot_eager")(x),
    "elsewhere": lambda layer, x: layer.to("meta")(x.to("meta")),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_plain_way_wherever_the_other_does_not_belong(name: str, products: list[torch.Size]) -> None:
    x = torch.rand(2, 24)
    y = ELSEWHERE[name](blocks.Linear(24, 40), x)
    assert y.shape == (2, 40)
    assert products == []


def test_small_maps_stay(monkeypatch: pytest.MonkeyPatch, products: list[torch.Size]) -> None:
    monkeypatch.setattr(linear, "SMALL", 2 * 24 * 40 + 1)
    blocks.Linear(24, 40)(torch.rand(2, 24)).sum().backward()
    assert products == []
