# SPDX-License-Identifier: Apache-2.0
"""Clipped and accumulated gradients, bfloat16, warm-up: against plain loops and MONAI's own iteration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents
from torch import nn
from training_setup import Run, same

from sa2_monai.training import WarmUp, autocast_options, iteration_update

SGD = {"optimizer": torch.optim.SGD, "learning_rate": 0.1}


def batches(count: int = 5) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    return [{name: torch.rand(2, 1, 4, 4, generator=generator) for name in ("image", "label")} for _ in range(count)]


def trained(network: nn.Module, epochs: int = 2, handlers: Any = (), **update: Any) -> nn.Module:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    trainer = SupervisedTrainer(
        *("cpu", epochs, batches(), network, optimizer, nn.MSELoss()),
        iteration_update=iteration_update(**update),
        train_handlers=list(handlers),
        decollate=False,
    )
    trainer.run()
    return network


def convolution() -> nn.Module:
    torch.manual_seed(1)
    return nn.Conv2d(1, 1, 3, padding=1)


def test_nothing_wanted_is_left_to_monai() -> None:
    assert iteration_update() is None
    assert iteration_update(None, 1, True, "float16") is None


def test_what_clips_nothing_changes_nothing(tmp_path: Path) -> None:
    """Dropout, batch normalisation, augmentation, schedule, validation are those of MONAI's iteration, bit for bit."""
    plain = Run(tmp_path / "a").run()
    clipped = Run(tmp_path / "b", update={"gradient_clip": 1e9}).run()
    assert same(plain.network, clipped.network)


def test_the_norm_of_a_step_is_limited() -> None:
    norms = []
    network = convolution()

    class Look:
        def attach(self, engine: Any) -> None:
            engine.add_event_handler(IterationEvents.MODEL_COMPLETED, self)

        def __call__(self, _: Any) -> None:
            norms.append(float(torch.nn.utils.get_total_norm([p.grad for p in network.parameters()])))

    trained(network, handlers=[Look()])
    unclipped, limit = list(norms), max(norms) / 2
    norms.clear()
    network = convolution()
    trained(network, handlers=[Look()], gradient_clip=limit)
    assert max(unclipped) > limit
    assert max(norms) <= limit * (1 + 1e-5)


@pytest.mark.parametrize("accumulate", [2, 3, 5, 7])
def test_accumulated_steps_are_those_of_a_loop(accumulate: int) -> None:
    """Five batches: the last group of an epoch is smaller, and its losses weigh more, each group is a mean."""
    expected = convolution()
    optimizer = torch.optim.SGD(expected.parameters(), lr=0.1)
    for _ in range(2):
        all_batches = batches()
        for begin in range(0, 5, accumulate):
            group = all_batches[begin : begin + accumulate]
            optimizer.zero_grad()
            sum(nn.functional.mse_loss(expected(b["image"]), b["label"]) for b in group).div(len(group)).backward()
            optimizer.step()
    found = trained(convolution(), accumulate=accumulate)
    for a, b in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_bfloat16_on_a_cpu() -> None:
    types = []
    network = convolution()
    network.register_forward_hook(lambda _m, _i, output: types.append(output.dtype))
    trained(network, amp=True, amp_dtype="bfloat16")
    assert set(types) == {torch.bfloat16}
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert not same(network, trained(convolution()))
    assert autocast_options("bfloat16") == {"dtype": torch.bfloat16}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"gradient_clip": 0}, "gradient_clip is 0, expected a norm above 0"),
        ({"accumulate": 0}, "accumulate is 0, expected"),
        ({"amp_dtype": "float8"}, "amp_dtype is 'float8', expected one of float16, bfloat16"),
    ],
)
def test_what_is_no_choice(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        iteration_update(**wrong)


def test_warm_up_is_a_factor_on_the_schedule(tmp_path: Path) -> None:
    """Three iterations in an epoch: the steps of the first two have 1/6, 2/6, ... of the rate, the logs all of it."""
    run = Run(tmp_path, 3, warmup_epochs=2, scheduler=lambda o: torch.optim.lr_scheduler.StepLR(o, 1, 0.5))
    rates: list[float] = []
    seen: list[float] = []
    run.optimizer.register_step_pre_hook(lambda o, *_: rates.append(o.param_groups[0]["lr"]))
    run.trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda _: seen.append(run.rate))
    run.run()
    schedule = [1e-2 * 0.5**epoch for epoch in range(3) for _ in range(3)]
    assert rates == pytest.approx([rate * min(1, (k + 1) / 6) for k, rate in enumerate(schedule)])
    assert seen == pytest.approx(schedule)
    with pytest.raises(ValueError, match="warmup_epochs is -1"):
        WarmUp(run.optimizer, -1)


def test_a_network_that_was_compiled_keeps_its_names(tmp_path: Path) -> None:
    """What ``compile`` does: MONAI's trainer compiles a wrapper, all others have the network itself."""
    network, names = convolution(), set(convolution().state_dict())
    trainer = SupervisedTrainer(
        *("cpu", 1, batches(), network, torch.optim.SGD(network.parameters(), lr=0.1), nn.MSELoss()),
        iteration_update=iteration_update(gradient_clip=1e9),
        decollate=False,
        compile=True,
        compile_kwargs={"backend": "eager"},
    )
    trainer.run()
    assert set(network.state_dict()) == names
    assert same(network, trained(convolution(), 1))
