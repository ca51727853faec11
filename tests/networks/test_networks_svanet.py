# SPDX-License-Identifier: Apache-2.0
"""SvANet: the common tests and its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sa2_monai.networks import SvANet, create_network
from sa2_monai.networks.scale_variant import ASPP, MonteCarloGate, ScaleVariantAttention
from sa2_monai.networks.scale_variant.pooling import pooling_matrix
from tests.goldens import fill
from tests.networks.base_tester import BaseNetworkTester, assert_same_with_gradients, golden
from tests.reference.svanet import PublishedSvANet

SMALL = {
    "encoder": "resnet14",
    "base_channels": 4,
    "aspp_channels": 8,
    "img_size": 64,
    "former_depth": 1,
    "aspp_rates": (2, 3),
}


class TestSvANet(BaseNetworkTester):
    NAME = "svanet"
    GOLDEN = "svanet"
    DEVIATION_DDOF = 1
    GOLDEN_ARGUMENTS = {"in_channels": 3, "out_channels": 2}
    GOLDEN_MAPS = {
        "encoder.stage1": ("encoder", lambda y: y[0].clone()),
        "encoder.stage5": ("encoder", lambda y: y[4].clone()),
        "branch.stage1": ("branches.0", lambda y: y),
        "guidance.1to4": ("guidance.paths.2", lambda y: y[0] * y[1]),
        "guided.stage4": ("guidance", lambda y: y[3].clone()),
        "aspp": ("aspp", lambda y: y),
        "decoder.stage4": ("decoder.0", lambda y: y),
        "decoder.stage1": ("decoder.3", lambda y: y),
    }
    FLOAT32_TOLERANCE = 1e-4
    LIVE_PARAMETERS = 202_434_290
    SMALL = SMALL
    SMALL_SIZE = (64, 96)
    OTHER_SIZE = (96, 64)
    HEAD_BIAS = "head.bias"
    SHAPE_CASES = [
        ({}, (2, 3, 64, 96)),
        ({"out_channels": 4, "in_channels": 1}, (1, 1, 32, 32)),
        ({"out_channels": 2, "in_channels": 4, "img_size": 512}, (1, 4, 160, 192)),
        ({"base_channels": 6, "mc_expansion": 1, "former_ratio": 1.0, "encoder": "resnet26"}, (1, 3, 64, 64)),
        ({"patch": 1, "aspp_rates": (1,), "grid_min": 1, "grid_divisor": 16, "former_depth": 2}, (1, 3, 32, 64)),
        ({"patch": 4}, (1, 3, 64, 128)),
    ]
    ILLEGAL_CASES = [
        ({"dropout": 1.0}, "dropout must lie in"),
        ({"guidance_drop_path": -0.1}, "guidance_drop_path must lie in"),
        ({"aspp_dropout": 1.0}, "aspp_dropout must lie in"),
        ({"in_channels": 0}, "in_channels must be a positive integer"),
        ({"out_channels": -1}, "out_channels must be a positive integer"),
        ({"img_size": 2.5}, "img_size must be a positive integer"),
        ({"base_channels": 7}, "base_channels must be even"),
        ({"mc_pool_sizes": ()}, "mc_pool_sizes must name"),
        ({"mc_pool_sizes": (1, 0)}, r"mc_pool_sizes\[1\] must be a positive integer"),
        ({"aspp_rates": (0,)}, r"aspp_rates\[0\] must be a positive integer"),
        ({"encoder": "resnet18"}, "encoder must be one of resnet14"),
        ({"spatial_dims": 3}, "spatial_dims must be 2"),
        ({"former_ratio": 0.0}, "former_ratio must be positive"),
    ]
    ILLEGAL_INPUTS = [(1, 3, 40, 64), (1, 3, 64, 48), (1, 1, 64, 64), (3, 64, 64), (1, 3, 0, 32)]

    def small(self, **changes: Any) -> torch.nn.Module:
        if "spatial_dims" in changes:  # create_network sets it
            return SvANet(**{**self.SMALL, **changes})
        return super().small(**changes)

    @pytest.mark.parametrize(("classes", "parameters"), [(1, 202_431_921), (5, 202_441_397)])
    def test_parameters_of_other_numbers_of_classes(self, classes: int, parameters: int) -> None:
        with torch.device("meta"):
            network = create_network("svanet", in_channels=3, out_channels=classes)
        assert sum(p.numel() for p in network.parameters()) == parameters
        assert len(network.state_dict()) == 1148

    @pytest.mark.parametrize("training", [False, True])
    def test_small_golden(self, training: bool, published: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
        """Evaluation, and the stochastic modules in their training branch with the draws of the golden file."""
        description, arrays = golden("svanet")
        for path in published.guidance.paths:  # all that img_size=128 changes
            monkeypatch.setattr(path.attention, "grid", {1: 8, 2: 4, 3: 4}[path.target])
        found: dict[str, torch.Tensor] = {}
        handles = force_draws(published, monkeypatch) if training else []
        for key, (module, change) in self.GOLDEN_MAPS.items():
            if f"small.{key}" in arrays and not training:

                def keep(_m: Any, _i: Any, y: Any, key: str = f"small.{key}", change: Any = change) -> None:
                    found[key] = change(y)

                handles.append(published.get_submodule(module).register_forward_hook(keep))
        x = torch.from_numpy(fill.image(description["small"]["config"]["seed"], (2, 3, 128, 128)))
        with torch.no_grad():
            found["small.train_forced.logits" if training else "small.logits"] = published(x)
        for handle in handles:
            handle.remove()
        assert len(found) == (1 if training else 4)
        for key, value in found.items():
            text = description["small"]["outputs"][key]["slice"]
            assert set(text) <= set("[]., :0123456789"), text
            difference = np.abs(eval(f"value.numpy(){text}", {"value": value}) - arrays[key]).max()
            assert difference <= 1e-6 * np.abs(arrays[key]).max(), key

    def test_equal_to_the_published_order_of_operations(self) -> None:
        network = self.small(former_depth=2, aspp_rates=(12, 24, 36)).double().eval()
        with torch.no_grad():
            for module in network.modules():  # statistics unlike 0 and 1, so that they are seen
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.running_mean.uniform_(-0.2, 0.2)
                    module.running_var.uniform_(0.5, 1.5)
        x = self.small_input().double()
        expected = PublishedSvANet(network)(x)
        assert_same_with_gradients(network, network(x), expected)
        with torch.no_grad():  # takes other ways through some layers
            torch.testing.assert_close(network(x), expected, rtol=1e-9, atol=1e-10)

    def test_batch_statistics_equal_to_the_published_order_of_operations(self) -> None:
        network = self.small(aspp_dropout=0.0, guidance_drop_path=0.0).double().train()
        for module in network.modules():
            if isinstance(module, (MonteCarloGate, ScaleVariantAttention)):
                module.eval()  # their draws cannot be compared
        x = self.small_input().double()
        assert_same_with_gradients(network, network(x), PublishedSvANet(network)(x))

    @pytest.mark.parametrize("options", [{}, {"dropout": 0.3, "mc_shuffle": False}], ids=["plain", "dropout"])
    def test_checkpointing_changes_nothing(self, options: dict[str, Any]) -> None:
        x = self.small_input()
        found = []
        for use_checkpoint in (False, True):
            network = self.small(use_checkpoint=use_checkpoint, **options).train()
            torch.manual_seed(3)
            network(x).square().mean().backward()
            found.append((network.state_dict(), {n: p.grad for n, p in network.named_parameters()}))
        torch.testing.assert_close(found[1], found[0], rtol=1e-5, atol=1e-6)
        torch.jit.script(self.small(use_checkpoint=True).eval())

    def test_evaluation_draws_nothing(self) -> None:
        network, x = self.small().eval(), self.small_input()
        before = torch.get_rng_state()
        with torch.no_grad():
            assert torch.equal(network(x), network(x))
        assert torch.equal(before, torch.get_rng_state())

    def test_training_follows_the_generator_of_torch_alone(self) -> None:
        network, x = self.small(aspp_dropout=0.0).train(), self.small_input()
        outputs = []
        for seed in (0, 0, 1):
            np.random.seed(len(outputs))  # noqa: NPY002 - it is this generator that must not matter
            torch.manual_seed(seed)
            with torch.no_grad():
                outputs.append(network(x))
        assert torch.equal(outputs[0], outputs[1])
        assert not torch.equal(outputs[0], outputs[2])

    def test_a_single_image_in_training_is_refused(self) -> None:
        with pytest.raises(ValueError, match="batch must be of 2 images at least"):
            self.small().train()(self.small_input(1))


def force_draws(network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The draws of ``small.train_forced``: the top left of 2 x 2 cells, and map (row + column) mod n."""

    def cell(_m: Any, args: tuple[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        h, w = args[0].shape[2:]
        weights = torch.zeros(h, w, dtype=args[0].dtype)
        weights[: h // 2, : w // 2] = 4 / (h * w)
        return args[0], weights

    def diagonals(module: Any, args: tuple[list[torch.Tensor]]) -> tuple[list[torch.Tensor], torch.Tensor]:
        r = torch.arange(module.grid)
        return args[0], (r[:, None] + r) % len(args[0])

    handles = []
    for module in network.modules():
        if isinstance(module, (MonteCarloGate, ScaleVariantAttention)):
            monkeypatch.setattr(module, "training", True)
            draws = cell if isinstance(module, MonteCarloGate) else diagonals
            handles.append(module.register_forward_pre_hook(draws))
    return handles


@pytest.mark.parametrize("shuffle", [False, True])
def test_monte_carlo_gate_draws_cells_of_adaptive_pooling(shuffle: bool) -> None:
    torch.manual_seed(0)
    h, w, sizes = 7, 10, (1, 2, 3)
    gate = MonteCarloGate(4, 2, sizes, shuffle)
    cells = {}
    for k in sizes:
        for i in range(k):
            for j in range(k):
                probe = torch.zeros(h, w)
                probe[i * h // k : -(-(i + 1) * h // k), j * w // k : -(-(j + 1) * w // k)] = 1
                cells[(k, i, j)] = probe
    drawn = [gate.draw(torch.empty(1, 4, h, w)) for _ in range(600)]
    areas = {int(c.sum()) for c in cells.values()}
    assert {int((d > 0).sum()) for d in drawn} == areas
    for d in drawn:
        assert float(d.sum()) == pytest.approx(1.0, abs=1e-6)
        if not shuffle:
            assert any(torch.equal((d > 0).float(), c) for c in cells.values())
    if not shuffle:  # each size is equally likely, and each of its cells
        counts = [sum(torch.equal((d > 0).float(), c) for d in drawn) for c in cells.values()]
        assert counts[0] == pytest.approx(200, abs=50)
        assert min(counts[1:5]) > 20
        assert min(counts[5:]) > 5


def test_scale_variant_gate_is_on_average_that_of_evaluation() -> None:
    torch.manual_seed(0)
    attention = ScaleVariantAttention([3, 3, 5], 5, grid=4).double()
    maps = [torch.rand(2, c, s, s, dtype=torch.float64) for c, s in ((3, 20), (3, 10), (5, 5))]
    with torch.no_grad():
        expected = torch.logit(attention.eval()(maps))
        attention.train()
        mean = sum(torch.logit(attention(maps)) for _ in range(400)) / 400
    torch.testing.assert_close(mean, expected, rtol=0, atol=0.02)


@pytest.mark.parametrize(("cells", "size"), [(4, 8), (4, 11), (8, 2), (1, 5), (7, 7)])
def test_pooling_matrix_is_adaptive_average_pooling(cells: int, size: int) -> None:
    x = torch.rand(1, 3, size, dtype=torch.float64)
    found = x @ pooling_matrix(cells, size, x).t()
    torch.testing.assert_close(found, F.adaptive_avg_pool1d(x, cells))


def test_context_of_one_image_in_evaluation() -> None:
    with torch.no_grad():
        assert ASPP(4, 3, (1, 2), 0.1, 1e-3).eval()(torch.rand(1, 4, 1, 1)).shape == (1, 3, 1, 1)
