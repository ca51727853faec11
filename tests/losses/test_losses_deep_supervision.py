# SPDX-License-Identifier: Apache-2.0
"""Sum over outputs, and what the losses refuse."""

from __future__ import annotations

import pytest
import torch
from monai.losses import DiceCELoss

from sa2_monai.losses import BalancedBCEDiceLoss, DeepSupervisionLoss, WeightedIoUBCELoss


@pytest.fixture
def batch() -> tuple[list[torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    outputs = [torch.randn(2, 1, 16, 24, generator=generator) for _ in range(4)]
    return outputs, (torch.rand(2, 1, 16, 24, generator=generator) > 0.6).float()


def test_default_is_the_plain_sum_of_all_outputs(batch: tuple[list[torch.Tensor], torch.Tensor]) -> None:
    outputs, target = batch
    loss = BalancedBCEDiceLoss()
    expected = sum(loss(output, target).item() for output in outputs)
    assert DeepSupervisionLoss(loss)(outputs, target).item() == pytest.approx(expected, rel=1e-6)
    assert DeepSupervisionLoss(loss)(tuple(outputs), target).item() == pytest.approx(expected, rel=1e-6)


def test_weights_apply_in_order(batch: tuple[list[torch.Tensor], torch.Tensor]) -> None:
    outputs, target = batch
    loss = BalancedBCEDiceLoss()
    weights = (1.0, 0.5, 0.0, 2)
    expected = sum(w * loss(output, target).item() for w, output in zip(weights, outputs, strict=True))
    assert DeepSupervisionLoss(loss, weights)(outputs, target).item() == pytest.approx(expected, rel=1e-6)


def test_one_tensor_is_the_loss_itself(batch: tuple[list[torch.Tensor], torch.Tensor]) -> None:
    outputs, target = batch
    loss = WeightedIoUBCELoss()
    assert DeepSupervisionLoss(loss, [0.5] * 4)(outputs[0], target).item() == loss(outputs[0], target).item()


def test_every_output_gets_a_gradient(batch: tuple[list[torch.Tensor], torch.Tensor]) -> None:
    outputs, target = batch
    for output in outputs:
        output.requires_grad_()
    DeepSupervisionLoss(BalancedBCEDiceLoss())(outputs, target).backward()
    assert all(output.grad is not None and bool((output.grad != 0).any()) for output in outputs)


def test_number_of_weights_must_fit(batch: tuple[list[torch.Tensor], torch.Tensor]) -> None:
    outputs, target = batch
    with pytest.raises(ValueError, match="2 weights for 4 outputs"):
        DeepSupervisionLoss(BalancedBCEDiceLoss(), [1.0, 0.5])(outputs, target)
    with pytest.raises(ValueError, match="no output"):
        DeepSupervisionLoss(BalancedBCEDiceLoss())([], target)


@pytest.mark.parametrize(
    "loss", [BalancedBCEDiceLoss(), WeightedIoUBCELoss(), DeepSupervisionLoss(BalancedBCEDiceLoss())]
)
def test_wrong_shapes_and_values_are_refused(loss: torch.nn.Module) -> None:
    logits, target = torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8)
    with pytest.raises(ValueError, match=r"must have shape \[2, 1, 8, 8\].*got \[2, 8, 8\]"):
        loss(logits, target[:, 0])
    with pytest.raises(ValueError, match=r"must have shape \[2, 1, 8, 8\]"):
        loss(logits, torch.zeros(2, 2, 8, 8))
    with pytest.raises(ValueError, match=r"must have shape \[2, 1, 8, 8\]"):
        loss(logits, torch.zeros(2, 1, 4, 4))
    with pytest.raises(ValueError, match=r"floating point of shape \(B, C, H, W\)"):
        loss(logits[0], target)
    with pytest.raises(ValueError, match=r"got torch\.int64"):
        loss(logits.long(), target)
    with pytest.raises(ValueError, match=r"from 0 to 1, got values from 0 to 255.*0/255"):
        loss(logits, target.index_fill(0, torch.tensor([1]), 255))
    with pytest.raises(ValueError, match="from -1 to -1"):
        loss(logits, target.long() - 1)
    with pytest.raises(ValueError, match="whole numbers"):
        loss(logits, target + 0.5)
    with pytest.raises(ValueError, match="whole numbers"):
        loss(logits, target * float("nan"))


@pytest.mark.parametrize("loss", [BalancedBCEDiceLoss(), WeightedIoUBCELoss()])
def test_binary_losses_name_the_one_for_several_classes(loss: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match=r"1 channel, got 3; .*DiceCELoss"):
        loss(torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8))


def test_class_beyond_the_channels_is_refused_before_the_wrapped_loss() -> None:
    loss = DeepSupervisionLoss(DiceCELoss(softmax=True, to_onehot_y=True))
    with pytest.raises(ValueError, match="from 0 to 2, got values from 3 to 3"):
        loss([torch.zeros(1, 3, 8, 8)], torch.full((1, 1, 8, 8), 3))
    assert loss([torch.zeros(1, 3, 8, 8)], torch.full((1, 1, 8, 8), 2)).isfinite()


def test_compiled_loss_is_the_same(batch: tuple[list[torch.Tensor], torch.Tensor]) -> None:
    outputs, target = batch
    loss = DeepSupervisionLoss(BalancedBCEDiceLoss())
    compiled = torch.compile(loss, backend="eager")
    assert compiled(outputs, target).item() == pytest.approx(loss(outputs, target).item(), rel=1e-6)


@pytest.mark.parametrize("void", [255, 200])
def test_pixels_without_a_label_are_as_good_as_cut_off(void: int) -> None:
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(2, 1, 8, 12, generator=generator, requires_grad=True)
    target = (torch.rand(2, 1, 8, 12, generator=generator) > 0.6).float()
    target[..., 7:] = void
    whole = DeepSupervisionLoss(BalancedBCEDiceLoss(ignore_index=void))(logits, target)
    cut = BalancedBCEDiceLoss()(logits[..., :7], target[..., :7])
    torch.testing.assert_close(whole, cut, rtol=1e-6, atol=0)
    whole.backward()
    assert logits.grad is not None
    assert not logits.grad[..., 7:].any()
    assert logits.grad[..., :7].all()
    with pytest.raises(
        ValueError, match=rf"target values must be whole numbers from 0 to 1, got values from 0 to {void}"
    ):
        DeepSupervisionLoss(BalancedBCEDiceLoss())(logits, target)


def test_a_mark_that_is_not_there_changes_nothing(batch: tuple[list[torch.Tensor], torch.Tensor]) -> None:
    outputs, target = batch
    assert torch.equal(
        BalancedBCEDiceLoss(ignore_index=255)(outputs[0], target), BalancedBCEDiceLoss()(outputs[0], target)
    )
