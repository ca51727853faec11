# SPDX-License-Identifier: Apache-2.0
"""HSA-UNet: the common tests and its own."""

from __future__ import annotations

import pytest
import torch

from sa2_monai.networks import HSAUNet
from sa2_monai.networks.hsaunet import HybridScaleAttention
from tests.networks.base_tester import BaseNetworkTester, assert_same_with_gradients
from tests.reference.hsaunet import PublishedHSAUNet

WINDOWS = {"window_size": 7, "sr_ratios": (8, 4, 2), "decoder_sr_ratios": (4, 4)}  # the published ones


def as_map(y: torch.Tensor) -> torch.Tensor:
    """The network's maps are (B, H, W, C), the goldens' (B, C, H, W)."""
    return y.permute(0, 3, 1, 2)


class TestHSAUNet(BaseNetworkTester):
    NAME = "hsaunet"
    GOLDEN = "hsaunet"
    GOLDEN_ARGUMENTS = {"in_channels": 3, "out_channels": 2}
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
    LIVE_PARAMETERS = 46_786_322
    # Windows of one pixel make small sizes legal, and the export with free sizes takes seconds instead of a minute; the
    # tests below have true windows. The reductions leave rows over, as the published ones do at 112.
    SMALL = {
        **{"embed_dims": (32, 48, 64), "depths": (1, 1, 1), "decoder_depths": (1, 1), "channel_heads": 4},
        **{"num_heads": (2, 4, 2), "decoder_num_heads": (2, 4), "sr_ratios": (3, 2, 1), "decoder_sr_ratios": (4, 2)},
        "window_size": 1,
    }
    SMALL_SIZE = (48, 64)
    OTHER_SIZE = (64, 32)
    HEAD_BIAS = "head.classify.bias"
    SHAPE_CASES = [
        ({}, (2, 3, 48, 64)),
        ({"out_channels": 4, "in_channels": 1}, (1, 1, 16, 16)),
        ({"out_channels": 2, "in_channels": 4}, (1, 4, 96, 160)),
        ({}, (1, 1, 32, 64)),
        ({**WINDOWS, "depths": (1, 2, 1)}, (1, 3, 112, 224)),
        ({"window_size": 2, "sr_ratios": (8, 4, 2), "decoder_sr_ratios": (5, 3)}, (1, 3, 64, 32)),
        ({"cross_heads": 1, "mlp_ratio": 2}, (1, 3, 32, 32)),
        ({"cross_heads": (4, 3), "channel_heads": 8}, (1, 3, 32, 32)),
    ]
    ILLEGAL_CASES = [
        ({"dropout": 1.0}, "dropout must lie in"),
        ({"in_channels": 0}, "in_channels must be a positive integer"),
        ({"out_channels": -1}, "out_channels must be a positive integer"),
        ({"window_size": 0}, "window_size must be a positive integer"),
        ({"mlp_ratio": 0.5}, "mlp_ratio must be a positive integer"),
        ({"embed_dims": (8, 16)}, "embed_dims must be 3 positive integers"),
        ({"depths": (1, 1, 0)}, "depths must be 3 positive integers"),
        ({"decoder_depths": (1,)}, "decoder_depths must be 2 positive integers"),
        ({"num_heads": 2}, "num_heads must be 3 positive integers"),
        ({"num_heads": (1, 4, 2)}, "num_heads must be even.*got 1"),
        ({"num_heads": (2, 10, 2)}, "num_heads must divide the width 48, got 10"),
        ({"decoder_num_heads": (2, 3)}, "decoder_num_heads must be even.*got 3"),
        ({"decoder_num_heads": (6, 4)}, "decoder_num_heads must divide the width 32, got 6"),
        ({"sr_ratios": (5, 2, 1)}, "sr_ratios must be at most 4 at 1/4.*got 5"),
        ({"sr_ratios": (3, 2, 0)}, "sr_ratios must be 3 positive integers"),
        ({"decoder_sr_ratios": (4, 3)}, "decoder_sr_ratios must be at most 2 at 1/8.*got 3"),
        ({"channel_heads": 5}, "channel_heads must divide the width 32, got 5"),
        ({"cross_heads": 3}, "cross_heads must divide the width 32, got 3"),
        ({"cross_heads": (1, 2, 4)}, "cross_heads must be 2 positive integers"),
        ({"cross_heads": True}, "cross_heads must be 2 positive integers"),
    ]
    ILLEGAL_INPUTS = [(1, 3, 40, 64), (1, 3, 64, 20), (1, 2, 64, 64), (3, 64, 64), (1, 3, 0, 32)]

    def test_three_dimensions_are_refused(self) -> None:
        with pytest.raises(ValueError, match="spatial_dims must be 2"):
            HSAUNet(spatial_dims=3)

    @pytest.mark.parametrize(("classes", "parameters"), [(2, 46_786_322), (9, 46_787_225)])
    def test_parameters_of_the_published_configurations(self, classes: int, parameters: int) -> None:
        with torch.device("meta"):
            network = HSAUNet(2, 3, classes)
        assert sum(p.numel() for p in network.parameters()) == parameters

    @pytest.mark.parametrize("shape", [(1, 3, 224, 208), (1, 3, 96, 96), (1, 2, 224, 224)])
    def test_sizes_of_the_published_configuration(self, shape: tuple[int, ...]) -> None:
        with torch.device("meta"):
            network = HSAUNet()
            assert network(torch.rand(2, 3, 112, 336)).shape == (2, 1, 112, 336)
            with pytest.raises(ValueError, match=r"multiples of 112, got|expects an input of shape \(B, 3, H, W\)"):
                network(torch.rand(shape))

    @pytest.mark.parametrize("changes", [{}, {**WINDOWS, "cross_heads": 1}], ids=["pixels", "windows"])
    def test_equal_to_the_published_order_of_operations(self, changes: dict) -> None:
        network = self.small(**changes).double()
        x = torch.rand(1, 1, 112, 224).double() if changes else self.small_input().double()
        assert_same_with_gradients(network, network(x), PublishedHSAUNet(network)(x))

    def test_script_and_trace_with_windows(self) -> None:
        """Traced at 112, where rows are left over, and run at 224, where none are."""
        network = self.small(**WINDOWS).eval()
        x, other = torch.rand(1, 3, 112, 112), torch.rand(2, 3, 224, 112)
        with torch.no_grad():
            traced, scripted = torch.jit.trace(network, x), torch.jit.script(network)
            for copy in (traced, scripted):
                torch.testing.assert_close(copy(other), network(other), rtol=1e-5, atol=1e-5)

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
        network = self.small(embed_dims=(64, 64, 64), decoder_num_heads=(4, 4), sr_ratios=(4, 2, 1))
        encoder, decoder = network.get_submodule("stage1.blocks.0"), network.get_submodule("decoder2.blocks.0")
        for block in (encoder, decoder):
            for name, outputs in (("spatial.global_query", 32), ("spatial.global_key_value", 64), ("ffn1.expand", 256)):
                bound = (6 / (64 + outputs)) ** 0.5
                assert 0.95 * bound < largest(block, f"{name}.weight") <= bound, name
            query, key_value = block.get_parameter("spatial.local_qkv.weight").detach().split((32, 64))
            for weight in (query, key_value):  # each a layer of its own
                bound = (6 / (64 + len(weight))) ** 0.5
                assert 0.95 * bound < float(weight.abs().max()) <= bound
            assert not any(block.get_parameter(f"spatial.{n}.bias").any() for n in ("reduce", "position_conv"))
            assert torch.equal(block.get_parameter("channel.temperature").detach(), torch.ones(4, 1, 1))
        # convolutions: normal in the encoder's blocks, Xavier in the decoder, PyTorch's default in the embeddings
        for name, deviation in (("reduce", (2 / 1024) ** 0.5), ("position_conv", (2 / 9) ** 0.5)):
            weight = encoder.get_parameter(f"spatial.{name}.weight").detach()
            assert float(weight.std()) == pytest.approx(deviation, rel=0.1)
        bound = (6 / (2 * 64 * 4)) ** 0.5
        assert 0.95 * bound < largest(decoder, "spatial.reduce.weight") <= bound
        bound = (6 / (9 + 64 * 9)) ** 0.5
        assert 0.95 * bound < largest(decoder, "spatial.position_conv.weight") <= bound
        assert network.get_parameter("stage1.embed.conv2.bias").all()
        assert not network.get_parameter("head.classify.bias").any()


def largest(module: torch.nn.Module, name: str) -> float:
    return float(module.get_parameter(name).detach().abs().max())


@pytest.mark.parametrize(("side", "seen"), [(14, 12), (28, 28)])
def test_last_rows_give_no_global_keys_at_odd_multiples_of_112(side: int, seen: int) -> None:
    """At 1/8 of 112 pixels: three patches of 4 x 4 fit into 14 rows and columns."""
    torch.manual_seed(0)
    attention = HybridScaleAttention(16, heads=4, reduction=4, window=7)
    x = torch.rand(1, side, side, 16)
    changed = x.clone()
    changed[:, 12:] += 1.0
    changed[:, :, 12:] += 1.0
    with torch.no_grad():
        unseen = torch.equal(attention._global(changed)[:, :12, :12], attention._global(x)[:, :12, :12])
    assert unseen == (seen < side)


def test_windows_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    attention = HybridScaleAttention(16, heads=2, reduction=2, window=3)
    x = torch.rand(2, 6, 9, 16)
    changed = x.clone()
    changed[:, 4, 7] += 1.0  # in the window of the last three rows and columns
    with torch.no_grad():
        differs = (attention._local(changed) != attention._local(x)).any(dim=-1)
    assert differs[:, 3:, 6:].all()
    differs[:, 3:, 6:] = False
    assert not differs.any()


def test_export_of_windows_with_free_sizes() -> None:
    torch.manual_seed(0)
    attention = HybridScaleAttention(16, heads=4, reduction=4, window=7).eval()
    rows, columns = torch.export.Dim("rows", min=1, max=64), torch.export.Dim("columns", min=1, max=64)
    x, other = torch.rand(2, 21, 28, 16), torch.rand(1, 28, 14, 16)
    with torch.no_grad():
        program = torch.export.export(
            attention, (x,), dynamic_shapes={"x": {0: torch.export.Dim("batch", max=8), 1: 7 * rows, 2: 7 * columns}}
        )
        torch.testing.assert_close(program.module()(other), attention(other), rtol=1e-5, atol=1e-6)
