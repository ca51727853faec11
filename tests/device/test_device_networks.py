# SPDX-License-Identifier: Apache-2.0
"""Networks on an accelerator: all of them is there, the host waits for nothing, half precision suffices."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sa2_monai.networks import BASELINES, CATALOGUE, create_network
from sa2_monai.networks.accelerate import accelerate
from tests.device.fakegpu.accelerator import DEVICE, counted
from tests.device.fakegpu.process import Call
from tests.device.gpu import enliven, error_of_spread
from tests.support.narrow import WIDTH

NARROW: dict[str, dict[str, Any]] = {
    **WIDTH,
    "unet": {"base_channels": 4},
    "segresnet": {"base_channels": 8},
    "dynunet": {"base_channels": 4},
}
NETWORKS = [*CATALOGUE, *BASELINES]


def smooth_images(batch: int, channels: int, size: int) -> torch.Tensor:
    """Images in [0, 1] as a camera sees them; a network never meets white noise."""
    coarse = torch.rand(batch, channels, size // 8, size // 8, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_forward_pass_stays_on_the_device(on_accelerator: Call, name: str) -> None:
    found = on_accelerator(_forward, name)
    for mode in ("evaluation", "training"):
        assert found[mode] == {"syncs": {}, "copies": {}}, mode
    assert found["spread"] > 0.02
    assert found["layout"] == found["labels"] == 1.0
    assert found["error"] < 1e-4
    # Of the spread of the logits: values are rounded to 11 and 8 bits, in each of up to a hundred layers.
    assert found["torch.float16"] < 0.03
    assert found["torch.bfloat16"] < 0.2


def _forward(name: str) -> dict[str, Any]:
    network = enliven(create_network(name, in_channels=3, out_channels=2, **NARROW[name])).eval()
    images = smooth_images(2, 3, 64)
    with torch.inference_mode():
        expected = network(images)
    network, there = accelerate(network.to(DEVICE)), images.to(DEVICE)
    found: dict[str, Any] = {}
    with torch.inference_mode(), counted() as counts:
        logits = network(there)
    found["evaluation"] = {"syncs": counts.syncs, "copies": counts.copies}
    with counted() as counts:
        network.train()(there)
    found["training"] = {"syncs": counts.syncs, "copies": counts.copies}
    network.eval()
    found["spread"] = expected.std().item()
    found["labels"] = (logits.cpu().argmax(1) == expected.argmax(1)).float().mean().item()
    found["error"] = error_of_spread(logits, expected)
    kernels = [one for one in network.parameters() if one.ndim == 4 and one.shape[1] > 1 and one.shape[2] > 1]
    last = [one.is_contiguous(memory_format=torch.channels_last) for one in kernels]
    found["layout"] = sum(last) / len(last)
    for dtype in (torch.float16, torch.bfloat16):
        with torch.inference_mode(), torch.autocast("fakegpu", dtype):
            found[str(dtype)] = error_of_spread(network(there), expected)
    return found


class LargestValue(TorchDispatchMode):
    """The largest value that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.value = 0.0
        self.operation = ""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(tensor, torch.Tensor) and tensor.is_floating_point() and tensor.numel():
                # -infinity is a mask before a softmax, in any precision
                value = tensor.nan_to_num(nan=float("inf"), neginf=0.0).abs().max().item()
                if value > self.value:
                    self.value, self.operation = value, str(func)
        return out


#: Sizes at which a network of published width is cheap, and still all of its parts have something to do.
SIZES = {"hsaunet": 112, "svanet": 64, "msa2net": 64, "dynunet": 64, "daeformer": 32, "sa2net": 32}


@pytest.mark.parametrize("name", NETWORKS)
def test_half_precision_has_room_at_full_width(name: str) -> None:
    """float16 ends at 65504: what a network calculates in single precision stays below a tenth of it."""
    network = create_network(name, in_channels=3, out_channels=2).eval()
    images = (smooth_images(1, 3, SIZES.get(name, 32)) - 0.5) / 0.5
    with torch.inference_mode(), LargestValue() as largest:
        network(images)
    assert 0 < largest.value < 6550, largest.operation
