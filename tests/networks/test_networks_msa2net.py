# SPDX-License-Identifier: Apache-2.0
"""MSA2-Net in both readings of its published file: the common tests and its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sa2_monai.networks import MSA2Net
from sa2_monai.networks.maxvit import StochasticDepth
from tests.networks.base_tester import BaseNetworkTester, assert_same_with_gradients
from tests.reference.msa2net import PublishedMSA2Net

SMALL = {
    "stem_channels": (8, 16),
    "encoder_channels": (32, 64, 128, 256),
    "encoder_depths": (1, 1, 1, 1),
    "head_dim": 16,
    "expand_ratio": 2,
    "rel_pos_hidden": 16,
    "channel_attention_heads": 4,
}


def to_map(y: torch.Tensor) -> torch.Tensor:
    """The network's maps are (B, H, W, C), the goldens' (B, C, H, W)."""
    return y.permute(0, 3, 1, 2)


def to_tokens(y: torch.Tensor) -> torch.Tensor:
    return y.flatten(1, 2)


class TestMSA2Net(BaseNetworkTester):
    NAME = "msa2net"
    GOLDEN = "msa2net"
    DEVIATION_DDOF = 1
    GOLDEN_ARGUMENTS = {"in_channels": 1, "out_channels": 9}
    GOLDEN_MAPS = {
        "encoder.stem": ("encoder.stem", lambda y: y),
        "encoder.stage1.block1.mbconv": ("encoder.stages.0.blocks.0.conv", to_map),
        "encoder.stage1.block1.window": ("encoder.stages.0.blocks.0.attn_block", to_map),
        "encoder.stage1": ("encoder.stages.0", to_map),
        "encoder.stage4": ("encoder.norm", to_map),
        "decoder.stage2.gate": ("level2.gate", to_map),
        "decoder.stage2": ("level2", to_tokens),
        "decoder.stage1": ("level1", to_tokens),
    }
    FLOAT32_TOLERANCE = 5e-5
    LIVE_PARAMETERS = 76_606_666
    SMALL = SMALL
    SMALL_SIZE = (64, 96)
    OTHER_SIZE = (96, 64)
    HEAD_BIAS = "level0.expand.classify.bias"
    SHAPE_CASES = [
        ({}, (2, 3, 64, 96)),
        ({"out_channels": 4, "in_channels": 1}, (1, 1, 32, 32)),
        ({"out_channels": 2, "in_channels": 4}, (1, 4, 160, 224)),
        ({"img_size": (64, 32), "encoder_depths": (2, 1, 1, 1), "se_ratio": 0.25}, (1, 3, 64, 32)),
        ({"encoder_channels": (16, 32, 64, 128), "expand_ratio": 3, "encoder_depths": (1, 1, 2, 1)}, (1, 3, 32, 64)),
    ]
    ILLEGAL_CASES = [
        ({"dropout": 1.0}, "dropout must lie in"),
        ({"rel_pos_dropout": -0.1}, "rel_pos_dropout must lie in"),
        ({"drop_path_rate": 1.0}, "drop_path_rate must lie in"),
        ({"se_ratio": 0.0}, "se_ratio must lie in"),
        ({"in_channels": 0}, "in_channels must be a positive integer"),
        ({"out_channels": -1}, "out_channels must be a positive integer"),
        ({"deep_level": "swin"}, "deep_level must be 'dual' or 'lka', got 'swin'"),
        ({"encoder_channels": (16, 32, 64, 96)}, "encoder_channels must be twice the one before"),
        ({"encoder_channels": (16, 32, 64)}, "encoder_channels must be 4 positive integers"),
        ({"encoder_depths": (1, 1, 0, 1)}, "encoder_depths must be 4 positive integers"),
        ({"stem_channels": (8,)}, "stem_channels must be 2 positive integers"),
        ({"head_dim": 5}, "must be multiples of head_dim 5"),
        ({"channel_attention_heads": 7}, "must be a multiple of channel_attention_heads 7"),
        ({"img_size": 100}, "img_size must be one or two positive multiples of 32"),
        ({"img_size": (64, 64, 64)}, "img_size must be one or two positive multiples of 32"),
    ]
    ILLEGAL_INPUTS = [(1, 3, 48, 64), (1, 3, 64, 20), (1, 1, 64, 64), (3, 64, 64), (1, 3, 0, 32)]

    def test_three_dimensions_are_refused(self) -> None:
        with pytest.raises(ValueError, match="spatial_dims must be 2"):
            MSA2Net(spatial_dims=3)

    @pytest.mark.parametrize(
        ("deep_level", "classes", "parameters"), [("dual", 2, 76_606_666 - 7 * 97), ("lka", 1, 71_013_299 - 8 * 97)]
    )
    def test_parameters_of_published_configurations(self, deep_level: str, classes: int, parameters: int) -> None:
        with torch.device("meta"):
            network = MSA2Net(2, 3, classes, deep_level=deep_level)
        assert sum(p.numel() for p in network.parameters()) == parameters

    @pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
    @pytest.mark.parametrize("options", [{"in_channels": 1}, {"deep_level": "lka"}], ids=["dual", "lka"])
    def test_equal_to_the_published_order_of_operations(self, options: dict[str, Any], training: bool) -> None:
        options = {**options, "encoder_layer_scale": 0.5, "layer_scale": 0.5, "rel_pos_dropout": 0.0}
        network = self.small(**options, encoder_depths=(1, 2, 1, 1)).double().train(training)
        with torch.no_grad():
            for module in network.modules():  # statistics unlike 0 and 1, so that they are seen
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.running_mean.uniform_(-0.2, 0.2)
                    module.running_var.uniform_(0.5, 1.5)
        x = self.small_input().double()[:, : options.get("in_channels", 3)]
        assert_same_with_gradients(network, network(x), PublishedMSA2Net(network)(x), atol=1e-7)

    @pytest.mark.parametrize("options", [{}, {"deep_level": "lka", "dropout": 0.3, "drop_path_rate": 0.5}])
    def test_checkpointing_changes_memory_only(self, options: dict[str, Any]) -> None:
        x = self.small_input()
        found = []
        for use_checkpoint in (False, True):
            network = self.small(use_checkpoint=use_checkpoint, encoder_layer_scale=1.0, **options).train()
            torch.manual_seed(3)
            y = network(x)
            y.square().mean().backward()
            gradients = {n: p.grad for n, p in network.named_parameters()}
            found.append((y, dict(network.named_buffers()), gradients))
        torch.testing.assert_close(found[1], found[0], rtol=1e-5, atol=1e-7)
        torch.jit.script(self.small(use_checkpoint=True))

    def test_grey_is_repeated(self) -> None:
        network, grey = self.small().eval(), self.small(in_channels=1).eval()
        x = self.small_input()[:, :1]
        with torch.no_grad():
            torch.testing.assert_close(grey(x), network(x.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5)
        assert {n: v.shape for n, v in grey.state_dict().items()} == {
            n: v.shape for n, v in network.state_dict().items()
        }

    def test_img_size_binds_the_size(self) -> None:
        network, free = self.small(img_size=(64, 96)).eval(), self.small().eval()
        with torch.no_grad():
            assert torch.equal(network(self.small_input()), free(self.small_input()))
        with pytest.raises(ValueError, match=r"must be 64 x 96 \(img_size\), got 96 x 64"):
            network(self.other_input(1))
        with pytest.raises(ValueError, match="must be 64 x 64"):
            self.small(img_size=64).eval()(self.small_input())

    @pytest.mark.parametrize("options", [{"rel_pos_dropout": 0.5}, {"rel_pos_dropout": 0.0, "drop_path_rate": 0.9}])
    def test_random_parts_follow_the_generator_of_torch(self, options: dict[str, Any]) -> None:
        network, x = self.small(encoder_layer_scale=1.0, **options), self.small_input()
        outputs = []
        for seed in (0, 0, 1):
            np.random.seed(len(outputs))  # noqa: NPY002 - it is this generator that must not matter
            torch.manual_seed(seed)
            with torch.no_grad():
                outputs.append(network.train()(x))
        assert torch.equal(outputs[0], outputs[1])
        assert not torch.equal(outputs[0], outputs[2])
        before = torch.get_rng_state()
        with torch.no_grad():
            assert torch.equal(network.eval()(x), network(x))
        assert torch.equal(before, torch.get_rng_state()), "evaluation draws nothing"

    def test_published_training_is_random_in_position_biases_only(self) -> None:
        network = self.small(rel_pos_dropout=0.0).train()
        before = torch.get_rng_state()
        network(self.small_input())
        assert torch.equal(before, torch.get_rng_state())
        assert MSA2Net.__init__.__kwdefaults__["rel_pos_dropout"] == 0.125

    def test_drop_path_grows_with_depth(self) -> None:
        network = self.small(encoder_depths=(1, 2, 1, 1), drop_path_rate=0.4)
        rates = [m.rate for m in network.modules() if isinstance(m, StochasticDepth)]
        assert rates == pytest.approx([r for r in (0.0, 0.1, 0.2, 0.3, 0.4) for _ in range(3)])

    def test_initialisation(self) -> None:
        network = self.small(encoder_channels=(64, 128, 256, 512))
        block = network.get_submodule("encoder.stages.1.blocks.0")
        weight = block.get_parameter("conv.conv3_1x1.weight").detach()
        assert float(weight.std()) == pytest.approx((2 / 128) ** 0.5, rel=0.05)  # by the outputs
        weight = block.get_parameter("conv.conv2_kxk.weight").detach()
        assert float(weight.std()) == pytest.approx((2 / 9) ** 0.5, rel=0.1)
        bound = (6 / (128 + 384)) ** 0.5  # Xavier, the whole packed matrix
        weight = block.get_parameter("attn_grid.attn.qkv.weight").detach()
        assert 0.98 * bound < float(weight.abs().max()) <= bound
        assert not block.get_parameter("attn_block.attn.proj.bias").any()
        for name in ("mlp.fc1", "attn.rel_pos.mlp.fc2"):
            bias = block.get_parameter(f"attn_block.{name}.bias").detach()
            assert 0 < float(bias.abs().max()) < 1e-5, name
        assert torch.equal(block.get_parameter("attn_grid.ls2.gamma").detach(), torch.full((128,), 1e-6))
        level = network.get_submodule("level2")
        bound = (6 / (256 + 256)) ** 0.5
        for name in ("project.weight", "gate.weigh.conv.weight", "blocks.dual1.spatial.qkv.weight"):
            assert 0.98 * bound < float(level.get_parameter(name).detach().abs().max()) <= bound, name
        assert not level.get_parameter("gate.weigh.conv.bias").any()
        assert torch.equal(network.get_parameter("level0.blocks.lka1.scale1").detach(), torch.full((64,), 1e-2))


class TestMSA2NetReleased(BaseNetworkTester):
    NAME = "msa2net"
    GOLDEN = "msa2net_released"
    DEVIATION_DDOF = 1
    GOLDEN_ARGUMENTS = {"in_channels": 1, "out_channels": 9, "deep_level": "lka"}
    GOLDEN_MAPS = {"decoder.stage2": ("level2", to_tokens), "decoder.stage1": ("level1", to_tokens)}
    FLOAT32_TOLERANCE = 5e-5
    LIVE_PARAMETERS = 71_013_299
    SMALL = {**SMALL, "deep_level": "lka"}
    SMALL_SIZE = (64, 96)
    OTHER_SIZE = (96, 64)
    HEAD_BIAS = "level0.expand.classify.bias"
    SHAPE_CASES = [({}, (2, 3, 64, 96)), ({"out_channels": 3, "in_channels": 1}, (1, 1, 96, 32))]
    ILLEGAL_CASES = [({"dropout": -0.5}, "dropout must lie in")]
    ILLEGAL_INPUTS = [(1, 3, 48, 64), (1, 1, 64, 64)]
    # The graph has no part that the other reading's graph lacks, and these tests take the longest.
    test_torch_export_and_onnx_with_dynamic_shapes = None
    test_compile = None


def test_branch_is_dropped_for_whole_images() -> None:
    torch.manual_seed(0)
    drop, x = StochasticDepth(0.25), torch.ones(4000, 2, 3)
    y = drop.train()(x)
    assert torch.equal(y, y[:, :1, :1].expand_as(x))
    assert y.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert float(y.mean()) == pytest.approx(1.0, abs=0.03)
    assert torch.equal(drop.eval()(x), x)
    assert "rate=0.25" in str(drop)
