# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning: what is frozen stays and what is new learns, rates fall from head to input, a resume changes nothing."""

from __future__ import annotations

import functools
import logging
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from monai.engines import IterationEvents
from torch import nn
from training_setup import Run, Stop, items, same, tiny_network

from sa2_monai.losses import DeepSupervisionLoss
from sa2_monai.networks import create_network
from sa2_monai.networks.catalogue import CATALOGUE
from sa2_monai.networks.stages import stages_of
from sa2_monai.training import (
    CosineRestarts,
    LatePolynomialLR,
    LoadEncoder,
    LoadPretrained,
    Plateau,
    TwoStageCosine,
    parameter_groups,
)
from sa2_monai.weights import save_weights
from tests.support.narrow import WIDTH

State = dict[str, torch.Tensor]
NAMES = ["background", "liver"]
FROZEN = 2


def narrow(name: str, in_channels: int = 1, out_channels: int = 1, seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return create_network(name, in_channels=in_channels, out_channels=out_channels, **WIDTH[name])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of SA2-Net for colour images and three classes."""
    path = tmp_path_factory.mktemp("source") / "model.pt"
    save_weights(narrow("sa2net", 3, 3, seed=7).state_dict(), path, {"network": "sa2net", "epoch": 3, "metric": 0.5})
    return path


def state(network: nn.Module) -> State:
    return {name: value.clone() for name, value in network.state_dict().items()}


def tuned(
    folder: Path, source: Path, resume: bool = False, *, layer_decay: float = 1.0, wrapped: bool = False, **options: Any
) -> Run:
    """Four epochs of SA2-Net on grey images, the first two of them frozen; ``history`` has the state after each."""
    network = narrow("sa2net")
    given = nn.DataParallel(network) if wrapped else network
    run = Run(
        folder,
        4,
        resume,
        network=network,
        data=[{**item, "label": item["label"].round()} for item in items(4, 16)],
        validate=False,
        loss=DeepSupervisionLoss(nn.MSELoss()),
        optimizer=lambda _, lr: torch.optim.AdamW(parameter_groups(network, lr, layer_decay), lr=lr, weight_decay=0.1),
        first=[LoadPretrained(source, given, {"class_names": NAMES}, FROZEN)],
        **options,
    )
    run.history = []  # type: ignore[attr-defined]
    run.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda _: run.history.append(state(network)))  # type: ignore[attr-defined]
    return run


def test_frozen_parts_stay_and_learn_later(tmp_path: Path, source: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = tuned(tmp_path, source)
    head = set(stages_of(run.network)[-1])
    start = state(run.network)
    with caplog.at_level(logging.DEBUG, "sa2_monai"):
        run.run()
    history: list[State] = run.history  # type: ignore[attr-defined]
    theirs = torch.load(source, weights_only=True)
    kept = set(start) - head - {"stage1.conv.weight"}
    assert len(kept) > 250
    assert any("running_mean" in name for name in kept)
    for epoch in range(FROZEN):
        assert all(torch.equal(history[epoch][name], theirs[name]) for name in kept)  # statistics of BatchNorm, too
        assert torch.equal(history[epoch]["stage1.conv.weight"], theirs["stage1.conv.weight"].sum(1, keepdim=True))
    assert all(not torch.equal(history[0][name], start[name]) for name in head)
    unmoved = [name for name in start if torch.equal(history[FROZEN][name], history[FROZEN - 1][name])]
    assert unmoved == []
    assert all(parameter.requires_grad for parameter in run.network.parameters())
    assert not any(module._forward_pre_hooks for module in run.network.modules())

    told = [record.getMessage() for record in caplog.records]
    (line,) = [text for text in told if text.startswith("loaded weights")]
    assert line == (
        f"loaded weights of {source} (epoch 3, metric 0.5000): 276 of 284 tensors; the head is new (1 instead of 3 "
        "outputs); the kernels of stage1.conv.weight are adapted from 3 to 1 channels (their sum)."
    )
    assert any(text.startswith("what was loaded does not learn up to epoch 2: ") for text in told)
    assert [r.levelname for r in caplog.records if r.getMessage().startswith(("loaded tensors", "new tensors"))] == [
        *("INFO", "DEBUG")
    ]
    assert "new tensors: head1.weight, head1.bias, head2.weight" in caplog.text


def test_a_wrapped_network_learns_the_same(tmp_path: Path, source: Path) -> None:
    """There gradients are calculated and thrown away."""
    runs = [tuned(tmp_path / str(wrapped), source, wrapped=wrapped, layer_decay=0.7) for wrapped in (False, True)]
    asked: list[list[bool]] = []
    for run in runs:
        parameter = run.network.get_parameter("up1.project.weight")
        asked.append(seen := [])
        run.trainer.add_event_handler(
            Events.ITERATION_COMPLETED, lambda _, p=parameter, seen=seen: seen.append(p.requires_grad)
        )
    assert same(*(run.run().network for run in runs))
    assert asked == [[False, False, True, True], [True] * 4]


@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_a_resumed_training_is_the_same(layer_decay: float, tmp_path: Path, source: Path) -> None:
    straight = tuned(tmp_path / "straight", source, layer_decay=layer_decay).run()
    for stop_at in (2, 3):  # one step is an epoch: in the last frozen one, and in the first that is not
        folder = tmp_path / str(stop_at)
        with pytest.raises(Stop):
            tuned(folder, source, layer_decay=layer_decay, stop_at=stop_at).run()
        again = tuned(folder, source, resume=True, layer_decay=layer_decay).run()
        assert again.epochs == list(range(stop_at, 5))
        assert same(again.network, straight.network)
        assert [g["lr"] for g in again.optimizer.param_groups] == [g["lr"] for g in straight.optimizer.param_groups]


def test_a_resume_with_other_groups_names_the_switch(tmp_path: Path, source: Path) -> None:
    with pytest.raises(Stop):
        tuned(tmp_path, source, stop_at=2).run()
    with pytest.raises(
        ValueError, match=r"1 parameter groups, .* has AdamW and 11\. Restore that setting \(layer_decay"
    ):
        tuned(tmp_path, source, resume=True, layer_decay=0.5).run()


def test_a_first_layer_that_is_new_learns_at_once(tmp_path: Path) -> None:
    path, network = tmp_path / "model.pt", narrow("sa2net")
    torch.save(narrow("sa2net", in_channels=2, seed=7).state_dict(), path)
    handler = LoadPretrained(path, network, None, 1)
    handler(Engine(lambda *_: None))
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    engine = Engine(lambda *_: None)
    engine.state.epoch = 1
    handler.frozen(engine)
    learning = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert learning == {"stage1.conv.weight", *stages_of(network)[-1]}


@pytest.mark.parametrize("name", [name for name, record in CATALOGUE.items() if record.encoders])
def test_an_encoder_of_imagenet_is_frozen_as_a_whole(name: str, tmp_path: Path) -> None:
    network, path = narrow(name, 3, 2), tmp_path / "encoder.pth"
    torch.save(narrow(name, 3, 2, seed=5).get_submodule("encoder").state_dict(), path)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    engine = Engine(lambda engine, _: step(engine, network, optimizer))
    engine.register_events(*IterationEvents)
    handler = LoadEncoder(path, network, frozen_epochs=1)
    handler.attach(engine)
    states: list[State] = []
    engine.add_event_handler(Events.EPOCH_STARTED, lambda _: states.append(state(network)))
    engine.run([0], max_epochs=2)
    states.append(state(network))
    moved = [{n for n in states[0] if not torch.equal(before[n], after[n])} for before, after in pairwise(states)]
    encoder = {n for n in states[0] if n.startswith("encoder.")}
    assert not moved[0] & encoder
    assert len(moved[0]) > 100
    assert moved[1] > {n for n in encoder if n.endswith(("running_mean", "num_batches_tracked"))}
    assert len(moved[1] & encoder) > 0.8 * len(encoder)


def step(engine: Engine, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    network.train()
    optimizer.zero_grad()
    network(torch.rand(2, 3, 64, 64)).square().mean().backward()
    engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
    optimizer.step()


def test_nothing_is_frozen_by_default(tmp_path: Path, source: Path) -> None:
    network = narrow("sa2net")
    engine = Engine(lambda *_: None)  # which knows no event behind a backward pass
    LoadPretrained(source, network).attach(engine)
    LoadEncoder(None, network, frozen_epochs=3).attach(engine)
    engine.run([0])
    with pytest.raises(ValueError, match="frozen_epochs must be a number of epochs, 0 or more, got -1"):
        LoadPretrained(source, network, None, -1)


# ---- layer-wise rates


@pytest.mark.parametrize("name", CATALOGUE)
def test_rates_fall_from_the_head_to_the_input(name: str) -> None:
    network = narrow(name)
    groups = parameter_groups(network, 0.1, 0.5)
    assert isinstance(groups, list)
    stages = stages_of(network)
    assert [group["lr"] for group in groups] == [0.1 * 0.5**depth for depth in range(len(stages))]
    names = {parameter: name for name, parameter in network.named_parameters()}
    assert [[names[p] for p in group["params"]] for group in groups] == stages[::-1]
    torch.optim.AdamW(groups, lr=0.1)  # which refuses a parameter that is in two groups


def test_without_decay_there_is_one_group_as_ever() -> None:
    network = nn.DataParallel(narrow("sa2net"))
    optimizer = torch.optim.AdamW(parameter_groups(network, 0.1), lr=0.1)
    assert [list(map(id, group["params"])) for group in optimizer.param_groups] == [list(map(id, network.parameters()))]
    assert len(torch.optim.AdamW(parameter_groups(network, 0.1, 0.9), lr=0.1).param_groups) == 11
    for factor in (0.0, 1.5, -1.0):
        with pytest.raises(ValueError, match="layer_decay must be a factor above 0 and at most 1"):
            parameter_groups(network, 0.1, factor)
    with pytest.raises(ValueError, match="Sequential is no network of this package"):
        parameter_groups(tiny_network(), 0.1, 0.5)


SCHEDULES: dict[str, Any] = {
    "cosine": functools.partial(CosineRestarts, T_0=4, eta_min=0.02),
    "plateau": functools.partial(Plateau, mode="max", factor=0.5, patience=1, min_lr=0.02),
    "poly": functools.partial(LatePolynomialLR, total_iters=12),
    "two_stage": lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, TwoStageCosine(12)),
}


def courses(scheduler: Any, rates: list[float], steps: int = 12) -> list[list[float]]:
    """Rates of all groups, step by step."""
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    optimizer = torch.optim.SGD(groups, lr=rates[0])
    schedule, found = scheduler(optimizer), []
    for _ in range(steps):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step(*([0.5] if isinstance(schedule, Plateau) else []))
    return found


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_scale_all_groups(name: str) -> None:
    """To the lowest rate as well, above which a group with a small one would rise."""
    found = courses(SCHEDULES[name], [0.1, 0.05, 0.001])
    assert len({rates[0] for rates in found}) > 2
    assert [rates[1] for rates in found] == pytest.approx([rates[0] * 0.5 for rates in found], rel=1e-12)
    assert [rates[2] for rates in found] == pytest.approx([rates[0] * 0.01 for rates in found], rel=1e-12)


@pytest.mark.parametrize("lowest", [0.0, 1e-4, 0.02])
def test_with_one_group_they_are_those_of_pytorch(lowest: float) -> None:
    schedules = torch.optim.lr_scheduler
    theirs = functools.partial(schedules.CosineAnnealingWarmRestarts, T_0=5, eta_min=lowest)
    for rate in (0.1, 1e-3, 0.0):
        assert courses(functools.partial(CosineRestarts, T_0=5, eta_min=lowest), [rate]) == courses(theirs, [rate])
        options: dict[str, Any] = {"factor": 0.3, "patience": 1, "min_lr": lowest}
        optimizers = [torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=rate) for _ in range(2)]
        pair = [Plateau(optimizers[0], **options), schedules.ReduceLROnPlateau(optimizers[1], **options)]
        for _ in range(12):
            for one in pair:
                one.step(0.5)
            assert optimizers[0].param_groups[0]["lr"] == optimizers[1].param_groups[0]["lr"]
