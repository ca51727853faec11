# SPDX-License-Identifier: Apache-2.0
"""Boundary DoU and cross entropy with pixels left out: what the table of formulas does not show."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sa2_monai.losses import BoundaryDoULoss, IgnoreIndexCELoss
from tests.goldens import fill


def published_example() -> tuple[torch.Tensor, torch.Tensor]:
    """The example for which the specification of MSA2-Net gives the value of the published code."""
    logits = 4 * torch.from_numpy(fill.image(23, (2, 3, 64, 64)))
    target = torch.zeros(2, 1, 64, 64)
    target[0, 0, 10:50, 8:48] = target[1, 0, 20:60, 20:60] = 1
    target[1, 0, 5:15, 30:40] = 2
    return logits, target


def test_boundary_dou_gives_the_published_value() -> None:
    assert BoundaryDoULoss()(*published_example()).item() == pytest.approx(0.92032416, abs=5e-9)


def test_boundary_dou_gradient() -> None:
    logits = torch.randn(2, 3, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    target = torch.zeros(2, 1, 6, 5)
    target[0, 0, 1:4, 1:4] = 1
    target[1, 0, 0, 0] = 2
    assert torch.autograd.gradcheck(lambda z: BoundaryDoULoss()(z, target), (logits.requires_grad_(),))


def test_absent_class_is_a_constant() -> None:
    logits = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    target = torch.zeros(1, 1, 8, 8)
    target[..., 2:6, 2:6] = 1
    loss = BoundaryDoULoss()
    probability = torch.softmax(logits, 1)
    present = sum(_term(probability[:, c], (target == c)[:, 0], loss.smooth) for c in (0, 1))
    assert loss(logits, target).item() == pytest.approx((present + 1) / 3, rel=1e-12)


def _term(p: torch.Tensor, t: torch.Tensor, s: float) -> float:
    size, both, total = t.sum().double(), (p * t).sum(), p.square().sum()
    padded = torch.nn.functional.pad(t, (1, 1, 1, 1))
    inner = padded[:, :-2, 1:-1] & padded[:, 2:, 1:-1] & padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:] & t
    alpha = min(float(2 * (1 - ((t & ~inner).sum().double() + s) / (size + s)) - 1), 0.8)
    return float((total + size - 2 * both + s) / (total + size - (1 + alpha) * both + s))


def test_perfect_prediction_has_no_loss() -> None:
    _, target = published_example()
    logits = 100 * torch.nn.functional.one_hot(target[:, 0].long(), 3).permute(0, 3, 1, 2).double()
    assert BoundaryDoULoss()(logits, target).item() == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize(("arguments", "message"), [({"max_alpha": 1.0}, "max_alpha must"), ({"smooth": 0}, "smooth")])
def test_illegal_arguments_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BoundaryDoULoss(**arguments)


def test_pixels_without_label_do_not_count() -> None:
    logits = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 3, (2, 1, 8, 8), dtype=torch.uint8)
    target[0, 0, :4] = 255
    found = IgnoreIndexCELoss()(logits, target)
    p, y = torch.softmax(logits, 1).detach().numpy(), target.numpy()[:, 0]
    expected = [-np.log(p[b, y[b, i, j], i, j]) for b, i, j in zip(*np.nonzero(y != 255), strict=True)]
    assert found.item() == pytest.approx(float(np.mean(expected)), rel=1e-12)
    found.backward()
    assert logits.grad is not None
    assert not logits.grad[0, :, :4].any()
    assert logits.grad[0, :, 4:].all()


def test_batch_without_any_label_has_no_gradient() -> None:
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    loss = IgnoreIndexCELoss()(logits, torch.full((1, 1, 4, 4), 255))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize(
    ("logits", "value", "message"),
    [((1, 1, 4, 4), 0, "a channel per class"), ((1, 3, 4, 4), 3, "whole numbers from 0 to 2")],
)
def test_what_cross_entropy_refuses(logits: tuple[int, ...], value: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IgnoreIndexCELoss()(torch.zeros(logits), torch.full((1, 1, 4, 4), value))


@pytest.mark.parametrize(("logits", "value"), [((1, 1, 4, 4), 2), ((1, 3, 4, 4), 3), ((1, 3, 4, 4), -1)])
def test_boundary_dou_refuses_labels_out_of_range(logits: tuple[int, ...], value: int) -> None:
    with pytest.raises(ValueError, match="target values must be whole numbers"):
        BoundaryDoULoss()(torch.zeros(logits), torch.full((1, 1, 4, 4), value))
