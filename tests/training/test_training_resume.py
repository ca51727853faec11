# SPDX-License-Identifier: Apache-2.0
"""A training that was interrupted and resumed is the training that never was."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Events
from torch import nn
from torch.optim import lr_scheduler as schedules
from training_setup import Run, Stop, same, tiny_network

from sa2_monai.training import EpochSeed
from sa2_monai.training.random_state import get_random_state, set_random_state
from sa2_monai.weights import load_weights, read_info
from tests.support.full_disk import full_disk

STATES = ("last_state.pt", "last_state_before.pt")


def interrupt(folder: Path, stop_at: int = 8, **options: Any) -> Run:
    """Ten cases in batches of four are three iterations per epoch: 8 is in the middle of the third epoch."""
    run = Run(folder, stop_at=stop_at, **options)
    with pytest.raises(Stop):
        run.run()
    return run


OPTIONS: list[dict[str, Any]] = [
    *({}, {"cache": True}, {"num_workers": 2}, {"seed": 9, "batch_size": 3}),
    {"ema": 0.9, "keep_best": 2},
    {"warmup_epochs": 2.5, "update": {"gradient_clip": 0.1, "accumulate": 2}},
    {"update": {"amp": True, "amp_dtype": "bfloat16"}},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_resumed_training_gives_the_same_weights_bit_for_bit(options: dict[str, Any], tmp_path: Path) -> None:
    straight = Run(tmp_path / "a", **options).run()
    interrupt(tmp_path / "b", **options)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002 - a new process draws other numbers
    resumed = Run(tmp_path / "b", resume=True, network=nn.Sequential(*tiny_network()), **options).run()
    assert resumed.epochs[-1] == 4
    assert len(resumed.epochs) < 4
    assert same(straight.network, resumed.network)
    assert resumed.rate == straight.rate
    assert resumed.trainer.state.iteration == straight.trainer.state.iteration
    assert resumed.evaluator.state.best_metric == straight.evaluator.state.best_metric
    assert same(straight.average.model, resumed.average.model)
    for name in ("exp_avg", "exp_avg_sq", "step"):
        a, b = (next(iter(run.optimizer.state.values()))[name] for run in (straight, resumed))
        assert torch.equal(a, b)
    assert read_info(tmp_path / "a" / "model.pt")["epoch"] == read_info(tmp_path / "b" / "model.pt")["epoch"]


def test_seed_decides_the_result(tmp_path: Path) -> None:
    assert same(Run(tmp_path / "a", 1, seed=5).run().network, Run(tmp_path / "b", 1, seed=5).run().network)
    assert not same(Run(tmp_path / "c", 1, seed=5).run().network, Run(tmp_path / "d", 1, seed=6).run().network)


def test_without_epoch_seed_global_generators_continue(tmp_path: Path) -> None:
    """Shuffling is exact from the stored generators alone; only MONAI's transforms need EpochSeed."""
    numbers: dict[str, list[Any]] = {"a": [], "b": []}

    class Draw:
        def __init__(self, name: str) -> None:
            self.name = name

        def attach(self, engine: Any) -> None:
            engine.add_event_handler(Events.EPOCH_STARTED, self)

        def __call__(self, _: Any) -> None:
            drawn = random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002
            numbers[self.name].append(drawn)

    Run(tmp_path / "a", 3, seed=None, extra=[Draw("a")]).run()
    numbers["a"].clear()
    interrupt(tmp_path / "a", 7, max_epochs=3, seed=None, extra=[Draw("a")])
    torch.manual_seed(0)
    Run(tmp_path / "a", 3, True, seed=None, extra=[Draw("b")]).run()
    assert numbers["b"] == numbers["a"][2:]


def test_random_states_round_trip() -> None:
    state = get_random_state()
    first = random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002
    set_random_state(state)
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == first  # noqa: NPY002


def test_epochs_and_ranks_draw_different_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    class FakeEngine:
        class state:
            epoch = 1

    drawn = set()
    for epoch in (1, 2):
        for rank in (0, 1):
            monkeypatch.setattr("sa2_monai.training.epoch_seed.rank", lambda rank=rank: rank)
            FakeEngine.state.epoch = epoch
            EpochSeed(3)(FakeEngine)  # type: ignore[arg-type]
            drawn.add((random.random(), np.random.rand(), torch.rand(1).item()))  # noqa: NPY002
    assert len(drawn) == 4
    with pytest.raises(ValueError, match="seed must be >= 0"):
        EpochSeed(-1)


def test_best_is_selected_by_validation_and_remembered_after_resume(tmp_path: Path) -> None:
    scores = {1: 0.3, 2: 0.9, 3: 0.5, 4: 0.8, 5: 0.95}
    interrupt(tmp_path, 11, max_epochs=5, scores=scores)
    best = torch.load(tmp_path / "model.pt", weights_only=True)
    assert read_info(tmp_path / "model.pt")["epoch"] == 2
    assert torch.load(tmp_path / "last_state.pt", weights_only=True)["engine"]["epoch"] == 3

    resumed = Run(tmp_path, 4, True, scores=scores).run()  # epoch 4 is better than 3, not better than 2
    assert resumed.epochs == [4]
    assert read_info(tmp_path / "model.pt")["epoch"] == 2
    kept = torch.load(tmp_path / "model.pt", weights_only=True)
    assert all(torch.equal(kept[name], best[name]) for name in best)

    Run(tmp_path, 5, True, scores=scores).run()
    info = read_info(tmp_path / "model.pt")
    assert (info["epoch"], info["metric"], info["metric_name"]) == (5, 0.95, "score")
    assert not (tmp_path / "previous").exists()
    network = tiny_network()
    load_weights(network, tmp_path / "model.pt")
    assert same(network, Run(tmp_path / "other", 5, True, scores=scores, network=network).network)


def test_training_metric_never_selects(tmp_path: Path) -> None:
    Run(tmp_path, 3, scores={1: 0.9, 2: 0.1, 3: 0.1}).run()
    assert read_info(tmp_path / "model.pt")["epoch"] == 1
    first = Run(tmp_path / "one", 1, scores={1: 0.9}, scheduler=lambda o: schedules.CosineAnnealingLR(o, T_max=3)).run()
    network = tiny_network()
    load_weights(network, tmp_path / "model.pt")
    assert same(network, first.network)


def test_undefined_first_metric_is_not_best_for_ever(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Run(tmp_path, 3, scores={1: float("nan"), 2: 0.2, 3: 0.1}).run()
    assert read_info(tmp_path / "model.pt")["epoch"] == 2
    assert "not a number" in caplog.text


def test_finished_training_ends_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    done = Run(tmp_path, 3).run()
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    with caplog.at_level("INFO"):
        for max_epochs in (3, 2):
            again = Run(tmp_path, max_epochs, True).run()
            assert again.epochs == []
            assert same(again.network, done.network)
            assert f"has completed epoch 3 and max_epochs is {max_epochs}" in caplog.text
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def test_resume_without_a_state_starts_from_scratch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        run = Run(tmp_path, 1, True).run()
    assert "Training starts from scratch" in caplog.text
    assert run.epochs == [1]


SCHEDULES: dict[str, Any] = {
    "cosine": lambda n: lambda o: schedules.CosineAnnealingLR(o, T_max=n),
    "restarts": lambda n: lambda o: schedules.CosineAnnealingWarmRestarts(o, T_0=n, eta_min=1e-4),
    "polynomial": lambda n: lambda o: schedules.PolynomialLR(o, total_iters=n),
    "one_cycle": lambda n: lambda o: schedules.OneCycleLR(o, max_lr=0.1, total_steps=n + 1),
    "lambda": lambda n: lambda o: schedules.LambdaLR(o, lambda epoch: 1 - epoch / (n + 1)),
    "warmup": lambda n: (
        lambda o: schedules.SequentialLR(
            o, [schedules.LinearLR(o, 0.1, total_iters=1), schedules.CosineAnnealingLR(o, T_max=n)], [1]
        )
    ),
    "chained": lambda n: (
        lambda o: schedules.ChainedScheduler(
            [schedules.ConstantLR(o, 0.5, total_iters=1), schedules.ExponentialLR(o, 1 - 1 / n)], optimizer=o
        )
    ),
}


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("longer", [4, 6])
def test_schedule_continues_and_follows_a_longer_training(name: str, longer: int, tmp_path: Path) -> None:
    interrupt(tmp_path, 8, max_epochs=4, scheduler=SCHEDULES[name](4))
    resumed = Run(tmp_path, longer, True, scheduler=SCHEDULES[name](longer)).run()
    straight = Run(tmp_path / "straight", longer, scheduler=SCHEDULES[name](longer)).run()
    assert resumed.epochs[0] == 3
    assert resumed.rate == pytest.approx(straight.rate, rel=1e-9, abs=1e-15)
    assert resumed.rate != 0 or name in ("cosine", "polynomial")


def test_finished_cosine_comes_back_to_life_when_max_epochs_grows(tmp_path: Path) -> None:
    assert Run(tmp_path, 4).run().rate == 0
    rates: list[float] = []
    run = Run(tmp_path, 8, True)
    run.trainer.add_event_handler(Events.EPOCH_STARTED, lambda _: rates.append(run.rate))
    run.run()
    assert rates == pytest.approx([1e-2 * (1 + np.cos(np.pi * epoch / 8)) / 2 for epoch in range(4, 8)])


def test_plateau_keeps_its_count_and_takes_a_new_patience(tmp_path: Path) -> None:
    def plateau(patience: int) -> Any:
        return lambda o: schedules.ReduceLROnPlateau(o, factor=0.5, patience=patience)

    def go(folder: Path, resume: bool, patience: int, max_epochs: int) -> Run:
        run = Run(folder, max_epochs, resume, scheduler=plateau(patience), validate=False)
        # replace the handler that steps without a metric
        run.trainer._event_handlers[Events.EPOCH_COMPLETED].clear()
        run.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda _: run.scheduler.step(1.0))
        return run.run()

    go(tmp_path, False, 10, 3)
    same_settings = go(tmp_path, True, 10, 4)
    assert same_settings.scheduler.num_bad_epochs == 3
    assert same_settings.rate == 1e-2
    changed = go(tmp_path, True, 3, 5)
    assert changed.scheduler.patience == 3
    assert changed.rate == 5e-3


def test_changed_learning_rate_is_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def constant(optimizer: Any) -> Any:
        return schedules.ConstantLR(optimizer, 1.0)

    interrupt(tmp_path, 8, scheduler=constant)
    with caplog.at_level("INFO"):
        assert Run(tmp_path, 4, True, learning_rate=1e-3, scheduler=constant).run().rate == pytest.approx(1e-3)
    assert "lr was changed from 0.01 to 0.001" in caplog.text


def test_other_epoch_length_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    interrupt(tmp_path, 8)
    resumed = Run(tmp_path, 4, True, batch_size=5).run()
    assert "3 iterations and has 2 now" in caplog.text
    assert resumed.epochs == [3, 4]
    assert resumed.trainer.state.iteration == 8


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"network": tiny_network(out_channels=2)},
            r"last_state\.pt does not fit: 2 tensors differ in shape, e\.g\. 4\.weight",
        ),
        ({"network": nn.Conv2d(1, 1, 1)}, r"last_state\.pt is not a checkpoint of this Conv2d"),
        ({"optimizer": torch.optim.SGD}, "was written with Adam and 1 parameter groups, the configuration has SGD"),
        ({"info": {"view": "whole"}}, "view is 'windows', the configuration says 'whole'. Restore these settings"),
    ],
)
def test_state_of_another_training_is_refused(options: dict[str, Any], text: str, tmp_path: Path) -> None:
    interrupt(tmp_path, info={"view": "windows"})
    run = Run(tmp_path, 4, True, **{"info": {"view": "windows"}, **options})
    before = {name: value.clone() for name, value in run.network.state_dict().items()}
    with pytest.raises(ValueError, match=text):
        run.run()
    assert run.epochs == []
    assert all(torch.equal(value, before[name]) for name, value in run.network.state_dict().items())


def test_optimizer_with_other_parameters_is_refused(tmp_path: Path) -> None:
    network = nn.Conv2d(1, 1, 1)
    interrupt(tmp_path, network=network)
    run = Run(tmp_path, 4, True, network=nn.Conv2d(1, 1, 1))
    state = torch.load(tmp_path / "last_state.pt", weights_only=True)
    state["optimizer"]["param_groups"][0]["params"] = [0]
    torch.save(state, tmp_path / "last_state.pt")
    with pytest.raises(ValueError, match="does not fit the optimiser"):
        run.run()


def test_content_of_another_kind_is_refused(tmp_path: Path) -> None:
    torch.save({"model": {}}, tmp_path / "last_state.pt")
    with pytest.raises(ValueError, match="not the state of a training that can be resumed"):
        Run(tmp_path, 4, True).run()


def test_earlier_weights_are_kept(tmp_path: Path) -> None:
    Run(tmp_path, 2, info={"view": "whole"}).run()
    first = (tmp_path / "model.pt").read_bytes()
    first_states = [(tmp_path / name).read_bytes() for name in STATES]
    # a training that ends before it has saved anything touches nothing
    interrupt(tmp_path, 2, seed=6)
    assert not (tmp_path / "previous").exists()
    Run(tmp_path, 2, seed=6).run()
    kept = tmp_path / "previous" / "1"
    assert sorted(os.listdir(kept)) == [*STATES, "model.json", "model.pt"]
    assert (kept / "model.pt").read_bytes() == first != (tmp_path / "model.pt").read_bytes()
    assert [(kept / name).read_bytes() for name in STATES] == first_states
    load_weights(tiny_network(), kept / "model.pt", {"view": "whole"})
    Run(tmp_path, 1, seed=7).run()
    assert sorted(os.listdir(tmp_path / "previous")) == ["1", "2"]
    assert not (tmp_path / STATES[1]).exists()  # a resume must not fall back on the state of another training
    assert (kept / "model.pt").read_bytes() == first


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    for name in (*STATES, "model.pt", "model.json"):
        (tmp_path / f".{name}.123.tmp").write_text("half a file")
    Run(tmp_path, 1).run()
    assert sorted(os.listdir(tmp_path)) == ["last_state.pt", "model.json", "model.pt"]


def test_keeping_works_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError

    Run(tmp_path, 1).run()
    first = (tmp_path / "model.pt").read_bytes()
    monkeypatch.setattr(os, "link", no_links)
    Run(tmp_path, 1, seed=6).run()
    assert (tmp_path / "previous" / "1" / "model.pt").read_bytes() == first


@pytest.mark.parametrize("options", [{"validate": False}, {"val_interval": 9}], ids=str)
def test_last_weights_are_saved_when_nothing_was_validated(options: dict[str, Any], tmp_path: Path) -> None:
    run = Run(tmp_path, 2, info={"network": "tiny"}, **options).run()
    info = read_info(tmp_path / "model.pt")
    assert (info["network"], info["epoch"]) == ("tiny", 2)
    assert "metric" not in info
    network = tiny_network()
    load_weights(network, tmp_path / "model.pt")
    assert same(network, run.network)


def test_empty_validation_set(tmp_path: Path) -> None:
    run = Run(tmp_path, 1)
    run.evaluator.state.epoch_length = 0
    with pytest.warns(UserWarning, match="is empty"):
        run.run()
    assert read_info(tmp_path / "model.pt")["epoch"] == 1


def test_save_interval_and_last_epoch(tmp_path: Path) -> None:
    interrupt(tmp_path, 10, max_epochs=5, save_interval=2)
    assert torch.load(tmp_path / "last_state.pt", weights_only=True)["engine"]["epoch"] == 2
    Run(tmp_path, 5, True, save_interval=2).run()
    assert torch.load(tmp_path / "last_state.pt", weights_only=True)["engine"]["epoch"] == 5
    with pytest.raises(ValueError, match="save_interval must be at least 1"):
        Run(tmp_path, save_interval=0)


def test_state_holds_tensors_and_plain_values_only(tmp_path: Path) -> None:
    Run(tmp_path, 1, info={"roi_size": (np.int64(8), 8)}).run()
    state = torch.load(tmp_path / "last_state.pt", weights_only=True)
    assert state["info"] == {"roi_size": (8, 8)}
    assert set(state["evaluator"]) == {"best_metric", "best_metric_epoch"}
    weights = torch.load(tmp_path / "model.pt", weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in weights.values())
    assert json.loads((tmp_path / "model.json").read_text())["roi_size"] == [8, 8]


@pytest.mark.filterwarnings("ignore:.*CUDA is not available:UserWarning")
def test_gradient_scaler_is_carried_on(tmp_path: Path) -> None:
    class Scaler:
        """In place of torch's, which keeps no state without CUDA."""

        def __init__(self) -> None:
            self.state = {"scale": 65536.0, "_growth_tracker": 0}

        def state_dict(self) -> dict[str, Any]:
            return self.state

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.state = state

    run = Run(tmp_path, 1)
    run.trainer.state.epoch, run.trainer.scaler = 1, Scaler()
    run.trainer.scaler.state["scale"] = 8.0
    run.checkpoint._save_last(run.trainer)
    again = Run(tmp_path, 2, True)
    again.trainer.scaler = Scaler()
    again.checkpoint._start(again.trainer)
    assert again.trainer.scaler.state["scale"] == 8.0


def test_full_disk_is_one_clear_error_and_keeps_the_old_state(tmp_path: Path) -> None:
    Run(tmp_path, 1).run()
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    run = Run(tmp_path, 2, True)
    with full_disk(1000), pytest.raises(OSError, match=r"cannot write .*/(last_state|model)\.pt.*unchanged"):
        run.run()
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def test_second_run_of_the_same_engine_continues(tmp_path: Path) -> None:
    run = Run(tmp_path, 1).run()
    run.trainer.state.max_epochs = 2
    run.trainer.state.epoch = 1
    run.run()
    assert len(run.trainer._event_handlers) > 0
    calls = [h for e, hs in run.trainer._event_handlers.items() for h in hs if "epoch_completed" in str(h[0])]
    assert len(calls) == 1
