# SPDX-License-Identifier: Apache-2.0
"""Each loss against its formula, written again in float64 NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.losses import DiceCELoss
from scipy.ndimage import binary_erosion, uniform_filter

from sa2_monai.losses import (
    BalancedBCEDiceLoss,
    BoundaryDoULoss,
    DeepSupervisionLoss,
    IgnoreIndexCELoss,
    WeightedIoUBCELoss,
)

SEGPC = {"smooth_nr": 0.0, "smooth_dr": 1e-6, "lambda_dice": 0.5, "lambda_ce": 0.5}
ACDC = {"smooth_nr": 1e-5, "smooth_dr": 1e-5, "lambda_dice": 0.7, "lambda_ce": 0.3, "squared_pred": True}
SYNAPSE = {**ACDC, "lambda_dice": 0.6, "lambda_ce": 0.4}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def cross_entropy(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return -y * np.maximum(np.log(p), -100) - (1 - y) * np.maximum(np.log(1 - p), -100)


def balanced_reference(x: np.ndarray, y: np.ndarray) -> float:
    p = sigmoid(x)
    axes = (1, 2, 3)
    dice = 1 - (2 * (0.25 * p * y).sum(axes) + 1e-5) / ((0.25 * p**2).sum(axes) + (0.25 * y**2).sum(axes) + 1e-5)
    b = cross_entropy(p, y)
    bce = 0.5 * b[y == 1].sum() / ((y == 1).sum() + 1e-12) + 0.5 * b[y == 0].sum() / ((y == 0).sum() + 1e-12)
    return float(0.5 * dice.mean() + 0.5 * bce)


def weighted_reference(x: np.ndarray, y: np.ndarray, weighted_bce: bool) -> float:
    p = sigmoid(x)
    b = cross_entropy(p, y)
    terms = []
    for i in range(len(x)):
        w = 1 + 5 * np.abs(uniform_filter(y[i, 0], 31, mode="constant") - y[i, 0])
        both = (w * p[i, 0] * y[i, 0]).sum()
        iou = 1 - (both + 1) / ((w * (p[i, 0] + y[i, 0])).sum() - both + 1)
        terms.append(iou + ((w * b[i, 0]).sum() / w.sum() if weighted_bce else b.mean()))
    return float(np.mean(terms))


def multi_reference(x: np.ndarray, y: np.ndarray, protocol: str) -> float:
    p = np.exp(x - x.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    one_hot = np.stack([(y[:, 0] == c) for c in range(x.shape[1])], 1).astype(float)
    ce = -(one_hot * np.log(p)).sum(1).mean()
    both, axes = (p * one_hot).sum((0, 2, 3)), (0, 2, 3)
    if protocol == "segpc":
        dice = 1 - (2 * both / ((p + one_hot).sum(axes) + 1e-6)).mean()
        return float(0.5 * dice + 0.5 * ce)
    dice = 1 - ((2 * both + 1e-5) / ((p**2).sum(axes) + (one_hot**2).sum(axes) + 1e-5)).mean()
    return float(0.3 * ce + 0.7 * dice if protocol == "acdc" else 0.4 * ce + 0.6 * dice)


def boundary_reference(x: np.ndarray, y: np.ndarray) -> float:
    """Class by class and image by image; a pixel is inside when erosion keeps it."""
    if x.shape[1] == 1:
        p, classes = sigmoid(x), [1]
    else:
        p = np.exp(x - x.max(1, keepdims=True))
        p, classes = p / p.sum(1, keepdims=True), list(range(x.shape[1]))
    s, terms = 1e-5, []
    for channel, c in enumerate(classes):
        t = y[:, 0] == c
        size, boundary = t.sum(), sum(int((image & ~binary_erosion(image)).sum()) for image in t)
        alpha = min(2 * (1 - (boundary + s) / (size + s)) - 1, 0.8)
        z, i = (p[:, channel] ** 2).sum(), (p[:, channel] * t).sum()
        terms.append((z + size - 2 * i + s) / (z + size - (1 + alpha) * i + s))
    return float(np.mean(terms))


def ignore_reference(x: np.ndarray, y: np.ndarray) -> float:
    p = np.exp(x - x.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return float(-np.log(np.take_along_axis(p, y.astype(int), 1)).mean())


def example(channels: int, kind: str = "mixed", size: tuple[int, int] = (40, 48)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.RandomState(7)
    x = 4 * rng.standard_normal((3, channels, *size))
    classes = max(2, channels)
    if kind == "mixed":
        y = rng.randint(0, classes, size=(3, 1, *size))
        y[1] = 0  # one image without foreground beside others
    else:
        y = np.full((3, 1, *size), 0 if kind == "empty" else classes - 1)
    return x, y.astype(float)


def losses(channels: int) -> list[tuple[str, torch.nn.Module]]:
    if channels == 1:
        return [
            ("balanced", BalancedBCEDiceLoss()),
            ("iou", WeightedIoUBCELoss()),
            ("iou_weighted", WeightedIoUBCELoss(weighted_bce=True)),
            ("boundary", BoundaryDoULoss()),
        ]
    return [
        ("segpc", DiceCELoss(softmax=True, to_onehot_y=True, batch=True, **SEGPC)),
        ("acdc", DiceCELoss(softmax=True, to_onehot_y=True, batch=True, **ACDC)),
        ("synapse", DiceCELoss(softmax=True, to_onehot_y=True, batch=True, **SYNAPSE)),
        ("boundary", BoundaryDoULoss()),
        ("ignore", IgnoreIndexCELoss()),
    ]


def reference(name: str, x: np.ndarray, y: np.ndarray) -> float:
    if name == "balanced":
        return balanced_reference(x, y)
    if name.startswith("iou"):
        return weighted_reference(x, y, name == "iou_weighted")
    if name in ("boundary", "ignore"):
        return boundary_reference(x, y) if name == "boundary" else ignore_reference(x, y)
    return multi_reference(x, y, name)


CASES = [(c, name, loss, kind) for c in (1, 2, 4) for name, loss in losses(c) for kind in ("mixed", "empty", "full")]
IDS = [f"{name}-{c}-{kind}" for c, name, _, kind in CASES]


@pytest.mark.parametrize(("channels", "name", "loss", "kind"), CASES, ids=IDS)
def test_value_is_the_published_formula(channels: int, name: str, loss: torch.nn.Module, kind: str) -> None:
    x, y = example(channels, kind)
    got64 = loss(torch.tensor(x), torch.tensor(y))
    assert got64.shape == ()
    # MONAI counts one-hot labels in float32, also for float64 logits
    assert got64.item() == pytest.approx(reference(name, x, y), rel=1e-9 if channels == 1 else 1e-7)
    got32 = loss(torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32))
    assert got32.item() == pytest.approx(reference(name, x, y), rel=1e-5)


@pytest.mark.parametrize(("channels", "name", "loss", "kind"), CASES, ids=IDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_float32_of_the_same_logits(
    channels: int, name: str, loss: torch.nn.Module, kind: str, dtype: torch.dtype
) -> None:
    # 300 x 300 pixels: sums over them do not fit into float16
    x, y = example(channels, kind, size=(300, 300))
    half = torch.tensor(x).to(dtype).requires_grad_()
    target = torch.tensor(y, dtype=torch.uint8)
    wrapped = DeepSupervisionLoss(loss)
    got = wrapped([half], target)
    assert got.dtype == torch.float32
    assert got.item() == pytest.approx(wrapped(half.detach().float(), target).item(), rel=1e-6)
    assert got.item() == pytest.approx(reference(name, half.detach().double().numpy(), y), rel=1e-4)
    got.backward()
    assert half.grad is not None
    assert half.grad.dtype == dtype
    assert bool(torch.isfinite(half.grad).all())


@pytest.mark.parametrize(("channels", "name", "loss", "kind"), CASES, ids=IDS)
@pytest.mark.parametrize("extreme", [1e4, -1e4, 0.0])
def test_gradient_is_finite_for_extreme_logits(
    channels: int, name: str, loss: torch.nn.Module, kind: str, extreme: float
) -> None:
    _, y = example(channels, kind)
    logits = torch.full((3, channels, *y.shape[2:]), extreme)
    if channels > 1:
        logits[:, 1:] *= -1
    logits.requires_grad_()
    value = loss(logits, torch.tensor(y))
    value.backward()
    assert logits.grad is not None
    assert bool(torch.isfinite(value))
    assert bool(torch.isfinite(logits.grad).all())


@pytest.mark.parametrize("loss", [BalancedBCEDiceLoss(), WeightedIoUBCELoss(), WeightedIoUBCELoss(True)])
def test_gradient_is_that_of_the_formula(loss: torch.nn.Module) -> None:
    x, y = example(1, size=(8, 8))
    logits = torch.tensor(x, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: loss(z, torch.tensor(y)), (logits,))


def test_wrong_saturated_pixel_still_learns() -> None:
    logits = torch.full((1, 1, 4, 4), -200.0, requires_grad=True)
    BalancedBCEDiceLoss()(logits, torch.ones(1, 1, 4, 4)).backward()
    assert logits.grad is not None
    assert bool((logits.grad < 0).all())


def test_one_class_of_the_batch_weighs_as_much_as_the_other() -> None:
    target = torch.zeros(1, 1, 10, 10)
    target[..., 0, 0] = 1
    loss = BalancedBCEDiceLoss(lambda_dice=0.0, lambda_bce=1.0)
    foreground_wrong = torch.where(target == 1, -3.0, -30.0)
    background_wrong = torch.where(target == 1, 30.0, 3.0)
    assert loss(foreground_wrong, target).item() == pytest.approx(loss(background_wrong, target).item(), rel=1e-6)


def test_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="weights must be >= 0"):
        BalancedBCEDiceLoss(lambda_dice=-1.0)
