# SPDX-License-Identifier: Apache-2.0
"""Volumes on an accelerator: slices go there as stored, once; labels come back once; no batch is waited for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from torch import nn

from sa2_monai.inference import CaseEvaluator, VolumeInferer
from tests.device.fakegpu.accelerator import DEVICE, counted, limited
from tests.device.fakegpu.process import Call

#: options of the inferer; copies from the device per volume and per batch
CASES: dict[str, tuple[dict[str, Any], int, int]] = {
    "whole": ({"view": "whole", "roi_size": 16}, 1, 0),
    "whole, minmax_resized": ({"view": "whole", "roi_size": 16, "stretch": True, "normalize": (0.5, 0.5)}, 1, 0),
    "paper": ({"view": "paper", "roi_size": 16}, 1, 0),
    "grid": ({"view": "whole", "roi_size": 16, "output": "grid"}, 1, 0),
    "windows": ({"view": "windows", "roi_size": 16}, 1, 0),
    "windows with pixdim": ({"view": "windows", "roi_size": 16, "pixdim": 1.5}, 1, 0),
    "probabilities": ({"view": "whole", "roi_size": 16, "output": "probabilities"}, 0, 1),
    "uncertainty": ({"view": "whole", "roi_size": 16, "uncertainty": "all", "tta": True}, 0, 1),
    "flips and turns": ({"view": "whole", "roi_size": 16, "tta": True}, 1, 0),
}
#: of 9 slices, 4 at once
BATCHES = 3
#: Read once per volume: whether all batches were finite.
FLAGS = 1


@pytest.mark.parametrize("name", CASES)
def test_copies_and_waits(on_accelerator: Call, name: str) -> None:
    options, per_volume, per_batch = CASES[name]
    found = on_accelerator(_volume, options)
    back = per_volume + per_batch * BATCHES + FLAGS
    assert found["copies"] == {"host to device": BATCHES, "device to host": back}
    assert found["dtypes"]["host to device Short"] == BATCHES
    assert found["syncs"] == {"device to host": back}
    assert found["same"] > 0.999


def _network() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 3, padding=1))
    return nn.Sequential(*layers).eval().requires_grad_(False)


def _slices(count: int = 9) -> MetaTensor:
    """(1, 1, X, Y, Z), 16 bit as in a file."""
    values = np.random.default_rng(0).integers(-2, 3, (1, 1, 24, 20, count), dtype=np.int16)
    return MetaTensor(torch.from_numpy(values), affine=torch.diag(torch.tensor([1.0, 2.0, 3.0, 1.0])))


def _volume(options: dict[str, Any]) -> dict[str, Any]:
    network, volume = _network(), _slices()
    inferer = VolumeInferer(slice_batch_size=4, **options)
    expected = inferer(volume, network)
    network = network.to(DEVICE)
    inferer(volume, network)  # the matrices of the resizes go there once
    with counted() as counts:
        found = inferer(volume, network)
    assert found.device.type == "cpu"
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    same = torch.isclose(found.as_tensor().float(), expected.as_tensor().float(), atol=1e-5).float().mean().item()
    return {"copies": counts.copies, "syncs": counts.syncs, "dtypes": counts.dtypes, "same": same}


def test_all_orientations(on_accelerator: Call) -> None:
    found = on_accelerator(_all_axes)
    batches = 6 + 5 + 3  # of 24, 20 and 9 slices
    assert found["copies"] == {"host to device": batches, "device to host": batches + 3 * FLAGS}
    assert found["same"] > 0.999


def _all_axes() -> dict[str, Any]:
    return _volume({"view": "windows", "roi_size": 16, "orientations": "all"})


def test_the_evaluator_of_the_bundles_leaves_images_on_the_host(on_accelerator: Call) -> None:
    found = on_accelerator(_evaluator)
    assert found["copies"] == {"host to device": BATCHES, "device to host": 1 + FLAGS}
    assert found["dtypes"]["host to device Short"] == BATCHES
    assert found["devices"] == {"image": "cpu", "pred": "cpu"}


def _evaluator() -> dict[str, Any]:
    inferer, network = VolumeInferer(16, slice_batch_size=4), _network().to(DEVICE)
    inferer(_slices(), network)
    loader = [{"image": _slices(), "case": ["one"]}]
    evaluator = CaseEvaluator(device=DEVICE, val_data_loader=loader, network=network, inferer=inferer, decollate=False)
    with counted() as counts:
        evaluator.run()
    devices = {key: evaluator.state.output[key].device.type for key in ("image", "pred")}
    return {"copies": counts.copies, "dtypes": counts.dtypes, "devices": devices}


def test_the_first_bad_slices_are_named(on_accelerator: Call) -> None:
    assert on_accelerator(_not_finite) == (
        "the volume: the network's output for the slices 4 to 7 along axis 2 has NaN or infinite values; its input is "
        "not finite, too. Check the voxels of the file and the weights; with mixed precision, try single precision."
    )


def _not_finite() -> str:
    volume = torch.rand(1, 1, 16, 16, 9)
    volume[..., 6:] = float("nan")
    try:
        VolumeInferer(16, slice_batch_size=4)(volume, _network().to(DEVICE))
    except ValueError as error:
        return str(error)
    return "nothing was raised"


def test_batches_fit_into_the_free_memory(on_accelerator: Call) -> None:
    found = on_accelerator(_fitting)
    assert found["plenty"] == [8, 128, 4]
    assert found["little"][0] == 8
    assert all(8 < size < 128 for size in found["little"][1:-1])
    assert found["too little"][0] == 8
    assert max(found["too little"][1:]) < 8
    assert found["same"]


def _fitting() -> dict[str, Any]:
    network, volume = _network(), torch.rand(1, 1, 16, 16, 140)
    expected = VolumeInferer(16)(volume, network)
    network = _Sizes(network.to(DEVICE))
    found: dict[str, Any] = {"same": True}
    each = 16 * 16 * 4 * (1 + 8 + 8 + 5 + 5)  # bytes: about what a slice takes at its worst
    for name, room in {"plenty": 2**30, "little": 40 * each, "too little": 6 * each}.items():
        network.sizes.clear()
        with limited(room):
            labels = VolumeInferer(16, slice_batch_size="auto")(volume, network)
        found[name] = list(network.sizes)
        found["same"] &= bool((labels == expected).float().mean() > 0.999)
    return found


class _Sizes(nn.Module):
    """A network that notes the sizes of its batches."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.sizes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(x))
        return self.network(x)
