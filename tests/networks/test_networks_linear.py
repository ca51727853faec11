# SPDX-License-Identifier: Apache-2.0
"""Linear maps by either library: equal up to rounding, and the plain one wherever the other does not belong."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sa2_monai.networks.blocks import linear as module
from sa2_monai.networks.blocks.linear import Linear, linear


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
        assert module._onednn_gains(x, weight) == module._ONEDNN
        found = linear(x, weight, b, activation)
        turned = linear(x.transpose(0, -2).contiguous().transpose(0, -2), weight, b, activation)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=2e-5)
    torch.testing.assert_close(turned, found, rtol=1e-5, atol=2e-5)
    with_gradients = linear(x.requires_grad_(), weight, b, activation)
    torch.testing.assert_close(with_gradients.double(), expected, rtol=1e-5, atol=2e-5)
    assert with_gradients.requires_grad


def test_the_plain_one_wherever_the_other_does_not_belong() -> None:
    x, weight = torch.randn(2, 5, 24), torch.randn(40, 24)
    assert not module._onednn_gains(x, weight), "gradients"
    with torch.no_grad():
        assert not module._onednn_gains(x.double(), weight.double())
        assert not module._onednn_gains(x.bfloat16(), weight.bfloat16())
        assert not module._onednn_gains(x[:0], weight)
        assert not module._onednn_gains(x[0, 0], weight)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert not module._onednn_gains(x, weight)
            assert linear(x, weight).dtype == torch.bfloat16


def test_the_layer_loads_what_torch_saves() -> None:
    torch.manual_seed(0)
    plain, ours = torch.nn.Linear(6, 4), Linear(6, 4)
    ours.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 6)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), plain(x), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(torch.jit.script(ours)(x), plain(x), rtol=1e-5, atol=1e-6)
