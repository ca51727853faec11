# SPDX-License-Identifier: Apache-2.0
"""With deterministic algorithms no network and no loss meets an operation for which CUDA has none.

The pretended accelerator has CPU kernels, which are deterministic; what is looked at is which operations are called.
torch chooses them as for CUDA: ``torch.nn.functional.interpolate``, for one, takes another way there.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.losses import TverskyLoss
from torch import nn

from sa2_monai.bundle.numerics import kept_numerics
from sa2_monai.losses import (
    BalancedBCEDiceLoss,
    BoundaryDoULoss,
    DeepSupervisionLoss,
    DiceCELoss,
    DiceFocalLoss,
    IgnoreIndexCELoss,
    WeightedIoUBCELoss,
)
from sa2_monai.networks import create_network
from tests.device.fakegpu.accelerator import DEVICE, counted
from tests.device.fakegpu.process import Call
from tests.device.test_device_networks import NARROW, NETWORKS

#: What raises a RuntimeError on CUDA under ``torch.use_deterministic_algorithms(True)``, as operations of aten. Source:
#: https://docs.pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html, second list, torch 2.13.
RAISES = {
    *("avg_pool3d_backward", "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward"),
    *("adaptive_max_pool2d_backward", "fractional_max_pool2d_backward", "fractional_max_pool3d_backward"),
    *("max_unpool2d", "max_unpool3d"),
    *("upsample_linear1d_backward", "upsample_bilinear2d_backward", "upsample_bicubic2d_backward"),
    *("upsample_trilinear3d_backward", "_upsample_bilinear2d_aa_backward", "_upsample_bicubic2d_aa_backward"),
    *("reflection_pad1d_backward", "reflection_pad2d_backward", "reflection_pad3d_backward"),
    *("nll_loss_forward", "nll_loss2d_forward", "_ctc_loss", "_ctc_loss_backward"),
    *("_embedding_bag", "put", "put_", "histc", "bincount", "median", "grid_sampler_2d_backward"),
    *("grid_sampler_3d_backward", "cumsum", "scatter_reduce", "scatter_reduce_"),
}
WEIGHT = (0.5, 1.5, 1.0)
#: Losses with the number of channels and the value of pixels without a label.
LOSSES: dict[str, tuple[Any, int, int | None]] = {
    "bce_dice": (lambda: BalancedBCEDiceLoss(ignore_index=255), 1, 255),
    "weighted_iou_bce": (WeightedIoUBCELoss, 1, None),
    "boundary_dou": (BoundaryDoULoss, 3, None),
    "dice_ce": (lambda: DiceCELoss(softmax=True, to_onehot_y=True, batch=True), 3, None),
    "dice_ce, weights": (lambda: DiceCELoss(softmax=True, to_onehot_y=True, weight=torch.tensor(WEIGHT)), 3, None),
    "cross_entropy": (IgnoreIndexCELoss, 3, 255),
    "cross_entropy, weights": (lambda: IgnoreIndexCELoss(weight=torch.tensor(WEIGHT)), 3, 255),
    "focal_dice": (DiceFocalLoss, 3, 255),
    "tversky": (lambda: TverskyLoss(softmax=True, to_onehot_y=True, batch=True, ignore_index=255), 3, 255),
    "four outputs": (lambda: DeepSupervisionLoss(BalancedBCEDiceLoss()), 1, None),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(on_accelerator: Call, name: str) -> None:
    ops = on_accelerator(_of_network, name)
    assert not RAISES & set(ops)
    assert len(ops) > 10


def _of_network(name: str) -> list[str]:
    network = create_network(name, in_channels=3, out_channels=2, **NARROW[name]).to(DEVICE).train()
    images = torch.rand(2, 3, 64 if name == "dynunet" else 32, 64).to(DEVICE)
    with kept_numerics(), counted() as found:
        torch.use_deterministic_algorithms(True)
        outputs = network(images)
        outputs = [outputs] if isinstance(outputs, torch.Tensor) else outputs
        torch.stack([one.square().mean() for one in outputs]).sum().backward()
    return _names(found.ops)


def _names(ops: dict[str, int]) -> list[str]:
    return [name.removeprefix("aten::") for name in ops]


@pytest.mark.parametrize("name", LOSSES)
def test_losses(on_accelerator: Call, name: str) -> None:
    found = on_accelerator(_of_loss, name)
    assert not RAISES & set(found["ops"])
    assert found["syncs"] <= 1
    assert found["syncs without determinism"] <= 1
    assert found["value"] == pytest.approx(found["on the host"], rel=1e-5)
    assert found["gradient"] < 1e-6
    if "cross_entropy" in name or "dice_ce" in name:  # the search finds them
        assert "nll_loss2d_forward" in found["ops without determinism"]


def _of_loss(name: str) -> dict[str, Any]:
    make, channels, ignored = LOSSES[name]
    loss: nn.Module = make()
    target = torch.randint(0, max(2, channels), (2, 1, 32, 32)).float()
    if ignored is not None:
        target[..., 20:] = ignored
    host = torch.randn(2, channels, 32, 32, requires_grad=True)
    value = loss(_outputs(host, name), target)
    value.backward()
    there, target, loss = host.detach().to(DEVICE).requires_grad_(), target.to(DEVICE), loss.to(DEVICE)
    with counted() as before:
        loss(_outputs(there, name), target)
    with kept_numerics(), counted() as counts:
        torch.use_deterministic_algorithms(True)
        found = loss(_outputs(there, name), target)
        found.backward()
    return {
        "ops": _names(counts.ops),
        "ops without determinism": _names(before.ops),
        "syncs": sum(counts.syncs.values()),
        "syncs without determinism": sum(before.syncs.values()),
        "value": found.item(),
        "on the host": value.item(),
        "gradient": (there.grad.cpu() - host.grad).abs().max().item(),  # type: ignore[union-attr]
    }


def _outputs(logits: torch.Tensor, name: str) -> Any:
    return [logits, logits / 2, logits / 3, logits / 4] if name == "four outputs" else logits
