# SPDX-License-Identifier: Apache-2.0
"""Learning rates against the published values (specification, section 8 of each network), and the frozen encoder."""

from __future__ import annotations

import logging
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from training_setup import Run, Stop, same, tiny_network

from sa2_monai.training import FreezeEncoder, LatePolynomialLR, TwoStageCosine
from sa2_monai.training.schedules.two_stage_cosine import first_stage

# Of the epochs 0 to 16, with the digits that the specification gives.
PUBLISHED = [
    *("1e-6", "5e-5", "1.4e-4", "2.3e-4", "3.2e-4", "4.1e-4", "2.505e-4", "1.734e-4", "1.038e-4", "4.865e-5", "1e-6"),
    *("1.4e-4", "2.3e-4", "3.2e-4", "4.1e-4", "5e-4", "4.728e-4"),
]


def scheduler_of(max_epochs: int, rate: float = 5e-4, **options: Any) -> LambdaLR:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=rate)
    return LambdaLR(optimizer, TwoStageCosine(max_epochs, **options))


def rates(max_epochs: int, **options: Any) -> list[float]:
    scheduler = scheduler_of(max_epochs, **options)
    found = []
    for _ in range(max_epochs):
        found.append(scheduler.get_last_lr()[0])
        scheduler.optimizer.step()
        scheduler.step()
    return found


def test_published_rates_of_100_epochs() -> None:
    found = rates(100)
    for epoch, text in enumerate(PUBLISHED):
        digits = len(text.split("e")[0].replace(".", ""))
        assert found[epoch] == pytest.approx(float(text), rel=0.5 * 10.0 ** (1 - digits) if digits > 2 else 1e-12), (
            epoch
        )
    assert f"{found[99]:.2e}" == "1.49e-06"
    assert all(later < earlier for earlier, later in pairwise(found[16:]))
    # another highest rate scales all of it
    assert rates(100, rate=1e-2) == pytest.approx([20 * rate for rate in found])


def published_rates(max_epochs: int, pretrained: bool) -> list[float]:
    """What each epoch of a training has, written down from the specification epoch by epoch."""
    lowest, start, highest = 1e-6, 5e-5, 5e-4
    share = -(-max_epochs // 10)  # a tenth, rounded up

    def cosine(epoch: int, period: int) -> float:
        return lowest + 0.5 * (highest - lowest) * (1 + math.cos(math.pi * epoch / period))

    def rising(number: int) -> list[float]:
        return [start + k * (highest - start) / number for k in range(number)]

    if not pretrained:
        after = rising(share) + [cosine(epoch, max_epochs) for epoch in range(share, max_epochs)]
    else:
        half = share // 2
        after = rising(half) + [cosine(epoch, share) for epoch in range(half, share - 1)] + [lowest]
        second = [*rising(half), highest][1:] if half else []
        after += second + [cosine(epoch, max_epochs) for epoch in range(share + len(second), max_epochs)]
    return [lowest, *after][:max_epochs]


# Of all data sets 100; the others are trainings that users may choose.
@pytest.mark.parametrize(
    "max_epochs", [1, 2, 5, 10, 11, 12, 20, 30, 50, 90, 91, 99, 100, 101, 110, 111, 150, 250, 1000]
)
@pytest.mark.parametrize("pretrained", [True, False])
def test_published_sequences_of_any_length(max_epochs: int, pretrained: bool) -> None:
    found = rates(max_epochs, stages=2 if pretrained else 1)
    assert found == pytest.approx(published_rates(max_epochs, pretrained), rel=1e-12, abs=0)
    assert min(found) == found[0]
    assert max(found) <= 5e-4 * (1 + 1e-12)


def test_warm_up_is_a_twentieth_of_the_epochs_or_a_tenth_from_scratch() -> None:
    assert rates(250)[:14].index(max(rates(250)[:14])) == 12  # 11 steps of 12, then the cosine of the first stage
    assert max(rates(250)) == rates(250)[25 + 12] == pytest.approx(5e-4)
    scratch = rates(100, stages=1)
    assert scratch[1:11] == pytest.approx([5e-5 + 4.5e-5 * k for k in range(10)])
    assert scratch[11:] == sorted(scratch[11:], reverse=True)
    assert max(scratch) == scratch[11] == pytest.approx(1e-6 + 0.5 * 4.99e-4 * (1 + math.cos(math.pi / 10)))


def test_share_of_the_first_stage_is_rounded_up() -> None:
    assert [first_stage(n, 0.1) for n in (1, 9, 10, 11, 30, 100, 101)] == [1, 1, 1, 2, 3, 10, 11]
    assert first_stage(100, 0) == 0
    assert rates(20, fraction=0, warm_up=5)[:6] == pytest.approx([1e-6, 1.4e-4, 2.3e-4, 3.2e-4, 4.1e-4, 5e-4])
    assert rates(20, fraction=0) == rates(20, fraction=0, stages=1)  # nothing but a cosine


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_epochs": 0}, "max_epochs must be at least 1, got 0"),
        ({"fraction": 1.5}, "fraction must be a share from 0 to 1, got 1.5"),
        ({"warm_up": -1}, "warm_up must be a number of epochs, 0 or more, or None, got -1"),
        ({"stages": 3}, "stages must be 1 or 2, got 3"),
        ({"lowest": 0.2}, "0 <= lowest <= start <= 1, got 0.2 and 0.1"),
    ],
)
def test_wrong_schedules(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TwoStageCosine(**{"max_epochs": 10, **options})


# Synapse: 2211 slices in batches of 24 for 400 epochs, and in batches of 20 for 700; a training of one step.
@pytest.mark.parametrize(("epochs", "length"), [(400, 93), (700, 111), (1, 1), (2, 2)])
def test_published_rates_of_every_step(epochs: int, length: int) -> None:
    """The published loop sets the rate behind each step, from the number of steps before that one."""
    steps = epochs * length
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.05)
    scheduler = LatePolynomialLR(optimizer, steps)
    rate, found, published = 0.05, [], []
    for step in range(steps):
        published.append(rate)
        rate = 0.05 * (1.0 - step / steps) ** 0.9
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert found == pytest.approx(published, rel=1e-12, abs=0)
    with pytest.raises(ValueError, match="total_iters must be at least 1, got 0"):
        LatePolynomialLR(optimizer, 0)
    with pytest.raises(ValueError, match="power must be at least 0, got -1"):
        LatePolynomialLR(optimizer, 1, -1)


def schedule(max_epochs: int) -> Any:
    return lambda optimizer: LambdaLR(optimizer, TwoStageCosine(max_epochs, fraction=0.3, warm_up=2))


def frozen_run(folder: Path, resume: bool = False, max_epochs: int = 6, **options: Any) -> Run:
    """A third of the epochs with a frozen convolution and normalisation."""
    network = nn.Sequential(tiny_network()[:3], tiny_network()[3:])
    options = {"optimizer": torch.optim.AdamW, "learning_rate": 0.05, "scheduler": schedule(max_epochs), **options}
    run = Run(folder, max_epochs, resume, network=network, **options)
    FreezeEncoder(run.network, 0.3, "0").attach(run.trainer)
    run.history = []  # type: ignore[attr-defined]
    run.trainer.add_event_handler("EPOCH_COMPLETED", lambda _: run.history.append(snapshot(run)))  # type: ignore[attr-defined]
    return run


def snapshot(run: Run) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.network.state_dict().items()}


def test_encoder_learns_nothing_in_the_first_epochs_but_statistics(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = frozen_run(tmp_path)
    start = snapshot(run)
    with caplog.at_level(logging.INFO):
        run.run()
    assert "the 0 does not learn up to epoch 2." in caplog.text
    parameters = {name for name, _ in run.network.named_parameters()}
    encoder = {name for name in parameters if name.startswith("0.")}
    assert len(encoder) == 4
    for state in run.history[:2]:  # type: ignore[attr-defined]
        assert all(torch.equal(state[name], start[name]) for name in encoder)
        assert not torch.equal(state["0.1.running_mean"], start["0.1.running_mean"])
        assert not any(torch.equal(state[name], start[name]) for name in parameters - encoder)
    assert not any(torch.equal(run.history[2][name], start[name]) for name in encoder)  # type: ignore[attr-defined]
    assert all(parameter.requires_grad for parameter in run.network.parameters())


def test_resumed_training_is_the_same(tmp_path: Path) -> None:
    straight = frozen_run(tmp_path / "straight").run()
    for stop_at in (5, 8):  # in a frozen epoch, and in the next one
        with pytest.raises(Stop):
            frozen_run(tmp_path / str(stop_at), stop_at=stop_at).run()
        again = frozen_run(tmp_path / str(stop_at), resume=True).run()
        assert same(again.network, straight.network)
        assert again.scheduler.get_last_lr() == straight.scheduler.get_last_lr()


def test_more_epochs_after_a_resume_use_the_longer_schedule(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        frozen_run(tmp_path, stop_at=8).run()
    longer = frozen_run(tmp_path, resume=True, max_epochs=12)
    longer.run()
    last = schedule(12)(torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=0.05))
    for _ in range(12):
        last.optimizer.step()
        last.step()
    assert longer.scheduler.get_last_lr() == last.get_last_lr()


def test_wrong_parts_and_shares() -> None:
    with pytest.raises(AttributeError, match="encoder"):
        FreezeEncoder(tiny_network())
    with pytest.raises(ValueError, match="share from 0 to 1, got 2"):
        FreezeEncoder(tiny_network(), 2, "0")
