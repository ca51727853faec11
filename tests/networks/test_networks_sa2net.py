# SPDX-License-Identifier: Apache-2.0
"""SA2-Net: the common tests and its own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from sa2_monai.networks import SA2Net, create_network
from tests.networks.base_tester import BaseNetworkTester, assert_same_with_gradients
from tests.reference.sa2net import PublishedSA2Net

C = 64


class TestSA2Net(BaseNetworkTester):
    NAME = "sa2net"
    COMPILE_BACKEND = "inductor"
    GOLDEN = "sa2net"
    GOLDEN_ARGUMENTS = {"in_channels": 3, "out_channels": 1}
    GOLDEN_MAPS = {
        "encoder.stage3": ("stage3", lambda y: y),
        "encoder.stage5": ("stage5", lambda y: y),
        "sa2.local1": ("attention.local.0", lambda y: y),
        "sa2.query": ("attention.query", F.gelu),
        "sa2.gates": ("attention.fusion", lambda y: F.gelu(y)[:, C:]),
        "sa2.out1": ("attention.project.0", lambda y: y),
        "decoder.stage4": ("up4", lambda y: y),
        "decoder.stage1": ("up1", lambda y: y),
    }
    GOLDEN_TRAINING = ["train.0", "train.1", "train.2", "train.3"]
    TRAINING_OUTPUTS = 4
    LIVE_PARAMETERS = 19_296_596
    SMALL = {"base_channels": 4}
    SMALL_SIZE = (48, 64)
    OTHER_SIZE = (64, 48)
    SHAPE_CASES = [
        ({}, (2, 3, 48, 64)),
        ({"out_channels": 4, "in_channels": 1}, (1, 1, 16, 16)),
        ({"out_channels": 2, "in_channels": 4}, (1, 4, 160, 192)),
        ({"base_channels": 6, "local_expansion": 1, "mlp_ratio": 2, "gate_kernel": 7}, (1, 3, 32, 32)),
    ]
    ILLEGAL_CASES = [
        ({"dropout": 1.0}, "dropout must lie in"),
        ({"in_channels": 0}, "in_channels must be a positive integer"),
        ({"out_channels": -1}, "out_channels must be a positive integer"),
        ({"base_channels": 2.5}, "base_channels must be a positive integer"),
        ({"gate_kernel": 10}, "gate_kernel must be odd"),
    ]
    ILLEGAL_INPUTS = [(1, 3, 40, 64), (1, 3, 64, 20), (1, 1, 64, 64), (3, 64, 64), (1, 3, 0, 16)]

    def test_three_dimensions_are_refused(self) -> None:
        with pytest.raises(ValueError, match="spatial_dims must be 2"):
            SA2Net(spatial_dims=3)

    @pytest.mark.parametrize(
        ("arguments", "parameters"),
        [((3, 2), 19_297_112), ((4, 2), 19_297_688), ((1, 4), 19_296_992)],
    )
    def test_parameters_of_the_published_configurations(self, arguments: tuple[int, int], parameters: int) -> None:
        network = SA2Net(2, *arguments)
        assert sum(p.numel() for p in network.parameters()) == parameters

    @pytest.mark.parametrize("training", [False, True])
    def test_equal_to_the_published_order_of_operations(self, training: bool) -> None:
        network = self.small(base_channels=8).double().train(training)
        published = PublishedSA2Net(network).train(training)
        x = self.small_input().double()
        found, expected = network(x), published(x)
        assert isinstance(found, list) == isinstance(expected, list) == training
        assert not training or len(found) == len(expected) == 4
        assert_same_with_gradients(network, found, expected)


def test_factory_names_the_known_networks() -> None:
    with pytest.raises(
        ValueError, match=r"unknown network 'vnet'; known: daeformer, .*svanet, unet, segresnet, dynunet"
    ):
        create_network("vnet", in_channels=3, out_channels=1)


def test_factory_passes_options() -> None:
    options: dict[str, Any] = {"base_channels": 4, "deep_supervision": False}
    network = create_network("sa2net", in_channels=1, out_channels=3, **options)
    assert isinstance(network, SA2Net)
    assert network(torch.rand(2, 1, 32, 32)).shape == (2, 3, 32, 32)
