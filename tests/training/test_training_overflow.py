# SPDX-License-Identifier: Apache-2.0
"""The warning before the activations of a validation overflow."""

from __future__ import annotations

import logging

import pytest
import torch
from monai.engines import SupervisedEvaluator
from monai.handlers import StatsHandler
from torch import nn

from sa2_monai.networks import create_network
from sa2_monai.training import OverflowCheck


class Scaled(nn.Module):
    """Two layers whose outputs have a size that is given."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Identity(), nn.Identity()
        self.sizes: tuple[float, float] = (1.0, 1.0)
        self.dtype = torch.float32

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = self.sizes
        self.first(torch.ones_like(x, dtype=self.dtype) * first)
        return self.second(-torch.ones_like(x, dtype=self.dtype) * second)


def validated(
    sizes: list[tuple[float, float]], dtype: torch.dtype, caplog: pytest.LogCaptureFixture
) -> list[list[str]]:
    network = Scaled()
    network.dtype = dtype
    data = [{"image": torch.zeros(1, 1, 2, 2)}]
    evaluator = SupervisedEvaluator("cpu", data, network, val_handlers=[OverflowCheck(network)], decollate=False)
    told = []
    for epoch, network.sizes in enumerate(sizes, 1):
        caplog.clear()
        evaluator.run(epoch)
        told.append([record.getMessage() for record in caplog.records if record.levelno == logging.WARNING])
    return told


TEST_CASES = [
    # large, and grown tenfold since the last validation
    (
        [(1, 1), (1, 2e4)],
        torch.float32,
        [None, "epoch 2: the largest value of second in the validation is 2e+04, 2e+04"],
    ),
    ([(1, 1), (5, 9e3), (5, 8e4), (5, 9e5)], torch.float32, [None, None, None, "epoch 4: the largest value of second"]),
    ([(3e4, 1), (3e4, 1)], torch.float32, [None, None]),  # large from the beginning, and stays so
    # near the limit; the first layer in the order of the network
    ([(7e3, 7e3)], torch.float16, ["value of first in the validation is 7e+03, near or beyond the limit of float16"]),
    ([(5e3, 5e3)], torch.float16, [None]),
    ([(1, 3e19)], torch.float32, ["value of second in the validation is 3e+19, near or beyond the limit of float32"]),
    ([(float("nan"), 1)], torch.float32, ["value of first in the validation is nan, near or beyond"]),
    ([(float("inf"), 1)], torch.bfloat16, ["value of first in the validation is inf, near or beyond the limit of bfl"]),
]


@pytest.mark.parametrize(("sizes", "dtype", "expected"), TEST_CASES)
def test_warns(
    sizes: list[tuple[float, float]],
    dtype: torch.dtype,
    expected: list[str | None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for told, words in zip(validated(sizes, dtype, caplog), expected, strict=True):
        assert len(told) == (words is not None)
        if words is not None:
            assert words in told[0]
            assert "\n" not in told[0]
            assert told[0].endswith("or set precise_bn, warmup_epochs, gradient_clip or ema.")


@pytest.mark.parametrize("stats", [True, False])
def test_a_validation_that_fails_says_where_it_began(stats: bool, caplog: pytest.LogCaptureFixture) -> None:
    network = Scaled()
    network.sizes = (float("inf"), 1)

    def fail(*_: object) -> None:
        raise ValueError("the network's output has NaN")

    network.register_forward_hook(fail)
    handlers = [OverflowCheck(network), *([StatsHandler(iteration_log=False)] if stats else [])]
    data = [{"image": torch.zeros(1, 1, 2, 2)}]
    with pytest.raises(ValueError, match="output has NaN"):
        SupervisedEvaluator("cpu", data, network, val_handlers=handlers, decollate=False).run(3)
    assert "epoch 3: the largest value of first in the validation is inf" in caplog.text
    assert not network.first._forward_hooks  # released


def test_names_the_stage_of_a_network(caplog: pytest.LogCaptureFixture) -> None:
    network = create_network("svanet", in_channels=3, out_channels=2, base_channels=4, encoder="resnet14")
    data = [{"image": torch.rand(1, 3, 32, 32)}]
    evaluator = SupervisedEvaluator("cpu", data, network, val_handlers=[OverflowCheck(network)], decollate=False)
    evaluator.run(1)
    assert not caplog.records
    with torch.no_grad():
        network.decoder[1].former.project.norm.bias.fill_(1e6)
    evaluator.run(2)
    assert "epoch 2: the largest value of decoder.1 in the validation is 1e+06" in caplog.text


@pytest.mark.parametrize("channels", [1, 3])
def test_an_overflow_is_background_and_told(channels: int, caplog: pytest.LogCaptureFixture) -> None:
    class Overflows(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits = torch.ones(len(x), channels, 2, 2)
            logits[x[:, 0, 0, 0] > 1, -1, 0, 1] = torch.inf
            logits[x[:, 0, 0, 0] > 2, -1, 1, 1] = torch.nan
            return logits

    network = Overflows()
    data = [{"image": torch.tensor([0.0, 2.0, 3.0]).view(3, 1, 1, 1).expand(3, 1, 2, 2)}]
    found: list[torch.Tensor] = []
    evaluator = SupervisedEvaluator(
        *("cpu", data, network),
        val_handlers=[OverflowCheck(network)],
        decollate=False,
        inferer=lambda images, network, *_, **__: found.append(network(images)) or found[-1],
    )
    evaluator.run(7)
    (logits,) = found
    assert bool((logits[0] == 1).all())
    lost = logits[1:]
    assert bool((lost.argmax(1) == 0).all() if channels > 1 else (lost < 0).all())
    assert "epoch 7: the network's output for 2 of the slices or windows of the validation has NaN" in caplog.text
    with torch.no_grad():
        assert not torch.isfinite(network(data[0]["image"])).all()  # released


def test_batches_for_statistics_are_no_part_of_the_validation(caplog: pytest.LogCaptureFixture) -> None:
    class Overflows(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.full((len(x), 2, 2, 2), torch.inf if self.training else 1.0)

    network = Overflows()
    found: list[torch.Tensor] = []

    def infer(images: torch.Tensor, network: nn.Module, *_: object, **__: object) -> torch.Tensor:
        found.append(network.train()(images))
        return network.eval()(images)

    data = [{"image": torch.zeros(1, 1, 2, 2)}]
    handlers = [OverflowCheck(network)]
    SupervisedEvaluator("cpu", data, network, val_handlers=handlers, decollate=False, inferer=infer).run(1)
    assert bool(torch.isinf(found[0]).all())
    assert "slices or windows" not in caplog.text
