# SPDX-License-Identifier: Apache-2.0
"""Weights of the classes, and the losses that take them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from monai.losses import DiceCELoss

from sa2_monai.losses import DiceFocalLoss, IgnoreIndexCELoss
from sa2_monai.training import class_weights


def listed(*labels: list[int]) -> Any:
    return lambda section, check: [{"label": torch.tensor(one)} for one in labels] if section == "training" else []


@pytest.mark.parametrize("wanted", [[1, 3], [2.0, 6.0], (0.5, 1.5)])
def test_a_list_has_the_mean_one(wanted: Any) -> None:
    assert class_weights(wanted, 2).tolist() == [0.5, 1.5]  # type: ignore[union-attr]
    assert class_weights(None, 2) is None


def test_auto_counts_the_labels() -> None:
    """255 and values of no class count nowhere; a class that is absent counts as the rarest."""
    found = class_weights("auto", 3, listed([0] * 90 + [255] * 50, [0, 1] * 5 + [7]))
    expected = [1 / math.log(1.02 + share) for share in (0.95, 0.05, 0.05)]
    mean = sum(expected) / 3
    assert found.tolist() == pytest.approx([one / mean for one in expected])  # type: ignore[union-attr]
    steps = [lambda sample: {"label": 1 - sample["label"]}]
    turned = class_weights("auto", 2, listed([0, 0, 0, 1]), steps)
    assert turned[0] > turned[1]  # type: ignore[index]


@pytest.mark.parametrize("wanted", [[1], [1, 2, 3], [1, -1], [0, 0]])
def test_what_is_no_weight(wanted: list[float]) -> None:
    with pytest.raises(ValueError, match="expected 2 numbers of at least 0, one for each class"):
        class_weights(wanted, 2)
    with pytest.raises(ValueError, match="no pixel of any class"):
        class_weights("auto", 2, listed([255]))


def test_losses_take_them() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 1, 4, 4)).float()
    target[:, :, 0] = 255
    weight = torch.tensor([0.2, 0.8, 2.0])
    labelled, labels = logits[:, :, 1:], target[:, 0, 1:].long()
    expected = torch.nn.functional.cross_entropy(labelled, labels, weight)
    torch.testing.assert_close(IgnoreIndexCELoss(255, weight)(logits, target), expected)
    for loss in (IgnoreIndexCELoss, DiceFocalLoss):
        equal = loss(weight=torch.ones(3))(logits, target)
        torch.testing.assert_close(equal, loss()(logits, target))
        assert not torch.equal(loss(weight=weight)(logits, target), equal)
    DiceCELoss(softmax=True, to_onehot_y=True, batch=True, weight=weight)(labelled, target[:, :, 1:])
    assert not IgnoreIndexCELoss(255, weight).state_dict()


@pytest.mark.parametrize("classes", [1, 3])
def test_focal_dice_leaves_out_pixels_without_a_label(classes: int) -> None:
    torch.manual_seed(1)
    logits = torch.randn(2, classes, 6, 5, requires_grad=True)
    target = torch.randint(0, max(2, classes), (2, 1, 6, 5)).float()
    target[:, :, :2] = 255
    loss = DiceFocalLoss()
    found = loss(logits, target)
    torch.testing.assert_close(found, loss(logits[:, :, 2:], target[:, :, 2:]))
    (gradient,) = torch.autograd.grad(found, logits)
    assert not gradient[:, :, :2].any()
    with pytest.raises(ValueError, match="target values must be whole numbers from 0"):
        loss(logits, torch.full_like(target, 9))
