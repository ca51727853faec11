# SPDX-License-Identifier: Apache-2.0
"""MONAI's networks: the common tests, and that they are MONAI's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from monai.networks import nets

from sa2_monai.networks import BASELINES, DynUNet, SegResNet, UNet
from sa2_monai.networks.stages import head_of
from sa2_monai.weights import transfer_weights
from tests.networks.base_tester import NetworkTester

ILLEGAL = [
    ({"dropout": 1.0}, "dropout must lie in"),
    ({"in_channels": 0}, "in_channels must be a positive integer"),
    ({"base_channels": 0}, "base_channels must be a positive integer"),
    ({"variant": "plain_skips"}, r"has no variant 'plain_skips'; it has none\."),
]


# Of their normalisations, PyTorch's own, a trace keeps the number of channels.
traced_with_warnings = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")


class TestUNet(NetworkTester):
    NAME = "unet"
    SMALL = {"base_channels": 4}
    SMALL_SIZE, OTHER_SIZE = (32, 48), (48, 32)
    HEAD_BIAS = "model.2.1.conv.unit0.conv.bias"
    SHAPE_CASES = [({}, (2, 3, 32, 48)), ({"out_channels": 4, "in_channels": 1}, (1, 1, 16, 16))]
    ILLEGAL_CASES = ILLEGAL
    ILLEGAL_INPUTS = [(1, 3, 40, 64), (1, 1, 64, 64), (3, 64, 64)]


@traced_with_warnings
class TestSegResNet(NetworkTester):
    NAME = "segresnet"
    SMALL = {"base_channels": 8}
    SMALL_SIZE, OTHER_SIZE = (32, 48), (48, 32)
    HEAD_BIAS = "conv_final.2.conv.bias"
    SHAPE_CASES = [({}, (2, 3, 24, 40)), ({"out_channels": 4, "in_channels": 1}, (1, 1, 16, 16))]
    ILLEGAL_CASES = [*ILLEGAL, ({"base_channels": 12}, "the number of groups must divide base_channels 12, got 8")]
    ILLEGAL_INPUTS = [(1, 3, 36, 64), (1, 1, 64, 64), (3, 64, 64)]


@traced_with_warnings
class TestDynUNet(NetworkTester):
    NAME = "dynunet"
    SMALL = {"base_channels": 4}
    SMALL_SIZE, OTHER_SIZE = (64, 96), (96, 64)
    EXPORT_MIN = 2
    # Eleven instance normalisations, the deepest of six values, make rounding errors larger.
    HALF_TOLERANCE = {torch.bfloat16: 0.15, torch.float16: 0.06}
    HEAD_BIAS = "output_block.conv.conv.bias"
    TRAINING_OUTPUTS = 4
    SHAPE_CASES = [({}, (2, 3, 64, 96)), ({"out_channels": 4, "in_channels": 1}, (1, 1, 64, 64))]
    ILLEGAL_CASES = ILLEGAL
    ILLEGAL_INPUTS = [(1, 3, 48, 64), (1, 1, 64, 64), (3, 64, 64)]


MONAI: dict[str, tuple[type, type, dict[str, Any]]] = {
    "unet": (
        UNet,
        nets.UNet,
        {"channels": [4, 8, 16, 32, 64], "strides": [2] * 4, "num_res_units": 2, "norm": "batch"},
    ),
    "segresnet": (SegResNet, nets.SegResNet, {"init_filters": 8}),
    "dynunet": (
        DynUNet,
        nets.DynUNet,
        {
            "kernel_size": [3] * 6,
            "strides": [1, 2, 2, 2, 2, 2],
            "upsample_kernel_size": [2] * 5,
            "filters": [4, 8, 16, 32, 64, 64],
            "deep_supervision": True,
            "deep_supr_num": 3,
        },
    ),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", MONAI)
def test_they_calculate_what_monai_does(name: str, training: bool) -> None:
    assert {*MONAI} == {*BASELINES}
    ours, theirs, arguments = MONAI[name]
    width = 8 if name == "segresnet" else 4
    network = ours(in_channels=3, out_channels=2, base_channels=width)
    published = theirs(spatial_dims=2, in_channels=3, out_channels=2, **arguments)
    state = published.state_dict()
    network.load_state_dict({key: state[key] for key in network.state_dict()})
    assert all(key in network.state_dict() for key in state if not key.startswith("skip_layers."))
    x = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        found, expected = network.train(training)(x), published.train(training)(x)
    if isinstance(found, list):
        found = torch.stack(found, dim=1)
    assert torch.equal(found, expected)


@pytest.mark.parametrize(("name", "channels"), [("unet", 3), ("unet", 1), ("segresnet", 1)])
def test_weights_of_monai_are_a_start(name: str, channels: int, tmp_path: Path) -> None:
    """Also for other classes and channels: the head is new, the first layer adapted."""
    ours, theirs, arguments = MONAI[name]
    published = theirs(spatial_dims=2, in_channels=3, out_channels=2, **arguments)
    torch.save(published.state_dict(), tmp_path / "monai.pt")
    network = ours(in_channels=channels, out_channels=5, base_channels=8 if name == "segresnet" else 4)
    done = transfer_weights(network, tmp_path / "monai.pt")
    assert set(done.new) == set(head_of(network))
    first = BASELINES[name].first_layers
    for key, value in network.state_dict().items():
        expected = published.state_dict()[key]
        if key in first and channels == 1:
            expected = expected.sum(1, keepdim=True)
        assert key in done.new or torch.equal(value, expected)
