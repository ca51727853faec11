# SPDX-License-Identifier: Apache-2.0
"""DAE-Former: the common tests and its own."""

from __future__ import annotations

import pytest
import torch

from sa2_monai.networks import DAEFormer
from tests.networks.base_tester import BaseNetworkTester, assert_same_with_gradients
from tests.reference.daeformer import PublishedDAEFormer


def as_map(y: torch.Tensor) -> torch.Tensor:
    """The network's maps are (B, H, W, C), the goldens' (B, C, H, W)."""
    return y.permute(0, 3, 1, 2)


class TestDAEFormer(BaseNetworkTester):
    NAME = "daeformer"
    GOLDEN = "daeformer"
    GOLDEN_ARGUMENTS = {"in_channels": 1, "out_channels": 9}
    GOLDEN_MAPS = {
        "encoder.embed1": ("stage1.embed", as_map),
        "encoder.stage1": ("stage1", as_map),
        "encoder.stage2": ("stage2", as_map),
        "encoder.stage3": ("stage3", as_map),
        "decoder.expand3": ("expand3", as_map),
        "decoder.skip2": ("decoder2.fusion", as_map),
        "decoder.stage2": ("expand2", as_map),
        "decoder.stage1": ("decoder1", as_map),
    }
    FLOAT32_TOLERANCE = 1e-4
    LIVE_PARAMETERS = 29_690_201
    SMALL = {"embed_dims": (16, 32, 48), "depths": (1, 2, 1), "decoder_depths": (1, 1), "channel_heads": 4}
    SMALL_SIZE = (48, 64)
    OTHER_SIZE = (64, 32)
    HEAD_BIAS = "head.classify.bias"
    SHAPE_CASES = [
        ({}, (2, 3, 48, 64)),
        ({"out_channels": 4, "in_channels": 1}, (1, 1, 16, 16)),
        ({"out_channels": 2, "in_channels": 4}, (1, 4, 160, 192)),
        ({}, (1, 1, 32, 32)),
        ({"cross_heads": 2, "spatial_heads": 4, "mlp_ratio": 2, "decoder_dims": (16, 32)}, (1, 3, 32, 32)),
        ({"strides": (2, 2, 2), "embed_kernels": (3, 3, 2), "paddings": (1, 1, 0)}, (1, 3, 24, 8)),
    ]
    ILLEGAL_CASES = [
        ({"dropout": 1.0}, "dropout must lie in"),
        ({"in_channels": 0}, "in_channels must be a positive integer"),
        ({"out_channels": -1}, "out_channels must be a positive integer"),
        ({"embed_dims": (8, 16)}, "embed_dims must be 3 positive integers"),
        ({"depths": (1, 1, 0)}, "depths must be 3 positive integers"),
        ({"embed_dims": (16, 32, 54)}, "channel_heads must divide"),
        ({"embed_dims": (16, 15, 24), "channel_heads": 1}, "factor must divide"),
        ({"cross_heads": 3}, "cross_heads must divide"),
        ({"spatial_heads": 3}, "spatial_heads must divide"),
        ({"decoder_dims": (8, 24)}, "decoder_dims must be the encoder's widths"),
        ({"decoder_dims": 16}, "decoder_dims must be 2 positive integers"),
        ({"paddings": (3, 1, 0)}, "paddings must be three numbers"),
        ({"paddings": (3, 1)}, "paddings must be three numbers"),
        ({"paddings": 1}, "paddings must be three numbers"),
        ({"paddings": (3, 1, -1), "strides": (4, 2, 8)}, "paddings must be three numbers"),
    ]
    ILLEGAL_INPUTS = [(1, 3, 40, 64), (1, 3, 64, 20), (1, 2, 64, 64), (3, 64, 64), (1, 3, 0, 16)]

    def test_three_dimensions_are_refused(self) -> None:
        with pytest.raises(ValueError, match="spatial_dims must be 2"):
            DAEFormer(spatial_dims=3)

    @pytest.mark.parametrize(("classes", "parameters"), [(9, 29_690_201), (2, 29_689_298)])
    def test_parameters_of_the_published_configurations(self, classes: int, parameters: int) -> None:
        with torch.device("meta"):
            network = DAEFormer(2, 3, classes)
        assert sum(p.numel() for p in network.parameters()) == parameters

    @pytest.mark.parametrize("heads", [1, 2])
    def test_equal_to_the_published_order_of_operations(self, heads: int) -> None:
        network = self.small(cross_heads=heads, spatial_heads=heads).double()
        x = self.small_input().double()
        assert_same_with_gradients(network, network(x), PublishedDAEFormer(network)(x))

    def test_checkpointing_changes_memory_only(self) -> None:
        x = self.small_input()
        gradients = []
        for use_checkpoint in (False, True):
            network = self.small(use_checkpoint=use_checkpoint).train()
            network(x).square().mean().backward()
            gradients.append([p.grad for p in network.parameters()])
        for a, b in zip(*gradients, strict=True):
            torch.testing.assert_close(a, b)
        torch.jit.script(self.small(use_checkpoint=True))

    def test_grey_is_repeated(self) -> None:
        network, x = self.small().eval(), self.small_input()[:, :1]
        with torch.no_grad():
            expected = network(x.expand(-1, 3, -1, -1))
            torch.testing.assert_close(network(x), expected)
            torch.testing.assert_close(self.small(in_channels=1).eval()(x), expected)

    def test_initialisation(self) -> None:
        network = self.small(embed_dims=(64, 64, 64))
        block = network.get_submodule("decoder2.blocks.0")
        bound = (6 / 128) ** 0.5  # Xavier, each of query, key and value a layer of its own
        assert 0.95 * bound < float(block.get_parameter("spatial.qkv.weight").detach().abs().max()) <= bound
        bound = (6 / 256) ** 0.5
        assert 0.95 * bound < float(block.get_parameter("channel.qkv.weight").detach().abs().max()) <= bound
        assert not block.get_parameter("spatial.qkv.bias").any()
        assert not network.get_parameter("head.classify.bias").any()
        assert network.get_parameter("stage1.blocks.0.ffn1.expand.bias").all()
        assert torch.equal(block.get_parameter("channel.temperature").detach(), torch.ones(4, 1, 1))
