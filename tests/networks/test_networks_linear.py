# SPDX-License-Identifier: Apache-2.0
"""Linear maps by either library: equal up to rounding, and the plain one wherever the other does not belong."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sa2_monai.networks.blocks import linear as module
from sa2_monai.networks.blocks.linear import Linear, linear, linear_of_each


@pytest.fixture(autouse=True)
def _nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SMALL", 1)


@pytest.mark.parametrize("shape", [(3, 24), (2, 5, 24), (1, 7, 6, 24)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["none", "gelu"])
def test_equal_to_the_formula(shape: tuple[int, ...], bias: bool, activation: str) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(shape), torch.randn(40, 24)
    b = torch.randn(40) if bias else None
    expected = F.linear(x.double(), weight.double(), None if b is None else b.double())
    expected = F.gelu(expected) if activation == "gelu" else expected
    with torch.no_grad():
        assert module.onednn_gains(x, weight, 40) == module._ONEDNN
        found = linear(x, weight, b, activation)
        turned = linear(x.transpose(0, -2).contiguous().transpose(0, -2), weight, b, activation)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=2e-5)
    torch.testing.assert_close(turned, found, rtol=1e-5, atol=2e-5)
    with_gradients = linear(x.requires_grad_(), weight, b, activation)
    torch.testing.assert_close(with_gradients.double(), expected, rtol=1e-5, atol=2e-5)
    assert with_gradients.requires_grad


def test_the_plain_one_wherever_the_other_does_not_belong() -> None:
    x, weight = torch.randn(2, 5, 24), torch.randn(40, 24)
    assert not module.onednn_gains(x, weight, 40), "gradients"
    with torch.no_grad():
        assert not module.onednn_gains(x.double(), weight.double(), 40)
        assert not module.onednn_gains(x.bfloat16(), weight.bfloat16(), 40)
        assert not module.onednn_gains(x[:0], weight, 40)
        assert not module.onednn_gains(x[0, 0], weight, 40)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert not module.onednn_gains(x, weight, 40)
            assert linear(x, weight).dtype == torch.bfloat16


def test_small_products_stay_with_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SMALL", 10 * 24 * 40)
    with torch.no_grad():
        assert module.onednn_gains(torch.randn(10, 24), torch.randn(40, 24), 40) == module._ONEDNN
        assert not module.onednn_gains(torch.randn(9, 24), torch.randn(40, 24), 40)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("gradients", [True, False])
def test_weights_of_each_image(batch: int, bias: bool, gradients: bool) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(batch, 5, 24), torch.randn(batch, 40, 24)
    b = torch.randn(40) if bias else None
    expected = torch.einsum("bnc,bdc->bnd", x.double(), weight.double()) + (0 if b is None else b.double())
    with torch.set_grad_enabled(gradients):
        found = linear_of_each(x, weight, b)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=2e-5)


def test_the_layer_loads_what_torch_saves() -> None:
    torch.manual_seed(0)
    plain, ours = torch.nn.Linear(6, 4), Linear(6, 4)
    ours.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 6)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), plain(x), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(torch.jit.script(ours)(x), plain(x), rtol=1e-5, atol=1e-6)
