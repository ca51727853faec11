# SPDX-License-Identifier: Apache-2.0
"""The cross entropy that has a deterministic form is that of torch."""

from __future__ import annotations

from collections.abc import Iterator

import monai.losses
import pytest
import torch
import torch.nn.functional as F

from sa2_monai.losses import BalancedBCEDiceLoss, BoundaryDoULoss, DeepSupervisionLoss, DiceCELoss, IgnoreIndexCELoss
from sa2_monai.losses.checks import check_target
from sa2_monai.losses.cross_entropy import one_hot_cross_entropy

WEIGHT = torch.tensor([0.3, 1.7, 2.2])
TEST_CASES = [
    (monai.losses.DiceCELoss(softmax=True, to_onehot_y=True), DiceCELoss(softmax=True, to_onehot_y=True)),
    (
        monai.losses.DiceCELoss(softmax=True, to_onehot_y=True, batch=True, weight=WEIGHT),
        DiceCELoss(softmax=True, to_onehot_y=True, batch=True, weight=WEIGHT),
    ),
    (IgnoreIndexCELoss(), IgnoreIndexCELoss()),
    (IgnoreIndexCELoss(weight=WEIGHT), IgnoreIndexCELoss(weight=WEIGHT)),
]


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = 3 * torch.randn(2, 3, 16, 24, generator=generator)
    return logits.requires_grad_(), torch.randint(0, 3, (2, 1, 16, 24), generator=generator)


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(("theirs", "ours"), TEST_CASES, ids=["dice_ce", "dice_ce weights", "ce", "ce weights"])
def test_both_forms_agree(
    theirs: torch.nn.Module, ours: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    logits, target = batch
    if isinstance(ours, IgnoreIndexCELoss):
        target = target.masked_fill(torch.arange(24) > 17, 255)
    expected = theirs(logits, target)
    assert torch.equal(ours(logits, target), expected), "off: the same bits"
    (slope,) = torch.autograd.grad(expected, logits)
    torch.use_deterministic_algorithms(True)
    try:
        found = ours(logits, target)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
        torch.testing.assert_close(torch.autograd.grad(found, logits)[0], slope, rtol=1e-4, atol=1e-9)
    finally:
        torch.use_deterministic_algorithms(False)


def test_impossible_classes_and_pixels_of_no_class() -> None:
    logits = torch.tensor([[2.0, 1.0], [-torch.inf, 0.5], [0.0, 0.0]]).T.reshape(2, 3, 1, 1).requires_grad_()
    total, size = one_hot_cross_entropy(logits, torch.tensor([0, -1]).reshape(2, 1, 1), WEIGHT)
    expected = 0.3 * F.cross_entropy(logits[:1, :, 0, 0], torch.tensor([0]))
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)
    assert size.item() == pytest.approx(0.3)
    total.backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert not logits.grad[1].any()


@pytest.mark.usefixtures("deterministic")
def test_a_batch_without_any_label_is_zero() -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    for loss in (IgnoreIndexCELoss(), IgnoreIndexCELoss(weight=WEIGHT)):
        value = loss(logits, torch.full((1, 1, 4, 4), 255))
        value.backward()
        assert value.item() == 0
        assert logits.grad is not None
        assert not logits.grad.any()


@pytest.mark.usefixtures("deterministic")
def test_other_means_are_left_to_torch(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = batch
    for options in ({"label_smoothing": 0.1}, {"reduction": "sum"}):
        ours, theirs = (one(softmax=True, to_onehot_y=True, **options) for one in (DiceCELoss, monai.losses.DiceCELoss))
        assert torch.equal(ours(logits, target), theirs(logits, target))


def test_four_outputs_are_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def note(name: str, *arguments: object) -> None:
        asked.append(name)
        check_target(name, *arguments)  # type: ignore[arg-type]

    for module in ("checks", "deep_supervision"):
        monkeypatch.setattr(f"sa2_monai.losses.{module}.check_target", note)
    target = torch.zeros(1, 1, 8, 8)
    for loss, channels in ((BalancedBCEDiceLoss(), 1), (BoundaryDoULoss(), 3)):
        asked.clear()
        loss(torch.zeros(1, channels, 8, 8), target)
        for logits in ([torch.zeros(1, channels, 8, 8)] * 4, torch.zeros(1, channels, 8, 8)):
            DeepSupervisionLoss(loss)(logits, target)
        assert asked == [type(loss).__name__, "DeepSupervisionLoss", "DeepSupervisionLoss"]
    with pytest.raises(ValueError, match=r"BalancedBCEDiceLoss: logits must have 1 channel, got 3"):
        DeepSupervisionLoss(BalancedBCEDiceLoss())([torch.zeros(1, 3, 8, 8)], target)
