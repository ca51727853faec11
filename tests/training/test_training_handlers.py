# SPDX-License-Identifier: Apache-2.0
"""Early stop, loading of weights, record of a run."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator
from monai.handlers import StatsHandler
from torch import nn
from training_setup import Run, Stop, items, same, tiny_network

from sa2_monai.networks import create_network
from sa2_monai.networks.accelerate import linear
from sa2_monai.training import EarlyStop, LoadEncoder, LoadWeights, RunRecord
from sa2_monai.weights import load_weights, save_weights, sha256_of

SCORES = {1: 0.1, 2: 0.9, 3: 0.5, 4: 0.8, 5: 0.7, 6: 0.6, 7: 0.95, 8: 0.1}


class Late:
    """A handler that is built once the evaluator of the run exists."""

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def run(self, folder: Path, max_epochs: int, resume: bool = False, **options: Any) -> Run:
        run = Run(folder, max_epochs, resume, **options)
        EarlyStop(run.evaluator, self.patience).attach(run.trainer)
        return run.run()


def evaluator(network: nn.Module, handlers: list[Any]) -> SupervisedEvaluator:
    loader = DataLoader(Dataset(items(2)), batch_size=1)
    return SupervisedEvaluator(device="cpu", val_data_loader=loader, network=network, val_handlers=handlers)


@pytest.mark.parametrize(("patience", "last"), [(1, 4), (3, 6), (4, 8), (50, 8)])
def test_stops_when_the_best_is_too_old(patience: int, last: int, tmp_path: Path) -> None:
    assert Late(patience).run(tmp_path, 8, scores=SCORES).epochs == list(range(1, last + 1))


def test_goes_on_counting_after_a_resume(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Stop):
        Late(3).run(tmp_path, 8, scores=SCORES, stop_at=14)
    assert Late(3).run(tmp_path, 8, True, scores=SCORES).epochs == [5, 6]
    # what has stopped stays stopped
    with caplog.at_level(logging.INFO):
        assert Late(3).run(tmp_path, 8, True, scores=SCORES).epochs == []
    assert "the best validation was in epoch 2, more than 3 epochs ago" in caplog.text
    assert Late(4).run(tmp_path, 8, True, scores=SCORES).epochs == [7, 8]


def test_stops_when_the_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter(range(0, 1000, 10))  # ten seconds between any two looks at it: an epoch takes ten
    monkeypatch.setattr("sa2_monai.training.early_stop.time.monotonic", lambda: float(next(clock)))

    def limited(max_epochs: int, resume: bool = False) -> Run:
        run = Run(tmp_path, max_epochs, resume)
        EarlyStop(run.evaluator, 50, time_limit=35).attach(run.trainer)
        return run.run()

    with caplog.at_level(logging.INFO):
        assert limited(8).epochs == [1, 2, 3]
    assert "training stops after epoch 3: 30 of 35 seconds are over and an epoch takes 10." in caplog.text
    assert limited(8, resume=True).epochs == [4, 5, 6]
    complete = limited(9, resume=True)  # nothing is left when the time is over
    assert complete.epochs == [7, 8, 9]
    assert complete.trainer.state.stopped is None
    assert (tmp_path / "model.pt").is_file()
    with pytest.raises(ValueError, match="time_limit must be a positive number of seconds, got 0"):
        EarlyStop(None, 1, time_limit=0)


def test_does_not_stop_without_a_validation(tmp_path: Path) -> None:
    assert Late(1).run(tmp_path, 4, validate=False).epochs == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="patience must be at least 1"):
        EarlyStop(None, 0)


def test_evaluator_uses_the_weights_of_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source, target = tiny_network(), tiny_network()
    nn.init.ones_(source[0].weight)
    path = tmp_path / "model.pt"
    save_weights(source.state_dict(), path, {"view": "whole", "epoch": 3, "metric": 0.0, "metric_name": "val_dice"})
    engine = evaluator(target, [LoadWeights(path, target, {"view": "whole"})])
    with caplog.at_level(logging.INFO):
        engine.run()
    assert same(source, target)
    assert f"loaded weights of {path} (epoch 3, val_dice 0.0000)." in caplog.text
    with pytest.raises(ValueError, match="view is 'whole', the configuration says 'windows'"):
        evaluator(target, [LoadWeights(path, target, {"view": "windows"})]).run()
    with pytest.raises(FileNotFoundError, match="Train first"):
        evaluator(target, [LoadWeights(tmp_path / "no.pt", target)]).run()


def test_networks_are_accelerated_for_evaluation_and_not_for_training(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    tested, trained = (nn.Sequential(nn.Flatten(), nn.Linear(4, 4)) for _ in range(2))
    save_weights(tested.state_dict(), path, {"view": "whole"})
    loader = DataLoader([], batch_size=1)
    for network, engine in (
        (tested, SupervisedEvaluator("cpu", loader, tested, epoch_length=0)),
        (trained, Engine(lambda *_: None)),
    ):
        LoadWeights(path, network)(engine)
    assert type(tested[1]) is linear.PlainLinear
    assert type(trained[1]) is nn.Linear
    assert same(tested, trained)


def test_another_clean_up_than_in_the_validation_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    network, path = tiny_network(), tmp_path / "model.pt"
    save_weights(network.state_dict(), path, {"overlap": 0.25, "min_volume": None, "fill_holes": [1]})
    for expected, told in (
        ({"overlap": 0.5}, ["overlap is 0.5, the weights were validated with 0.25"]),
        ({"overlap": 0.25, "min_volume": False, "fill_holes": None, "largest_component": True}, []),
        ({"min_volume": 500, "fill_holes": False}, ["fill_holes is False", "min_volume is 500"]),
    ):
        caplog.clear()
        evaluator(network, [LoadWeights(path, network, expected)]).run()
        warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert len(warnings) == len(told)
        assert all(words in warning for words, warning in zip(told, warnings, strict=True))


@pytest.mark.parametrize("handler", [LoadWeights, LoadEncoder])
def test_nothing_to_load(handler: type, caplog: pytest.LogCaptureFixture) -> None:
    """A switch that is null: the network starts with what it has, and nothing is told."""
    network = tiny_network()
    before = copy.deepcopy(network)
    with caplog.at_level(logging.INFO):
        engine = Engine(lambda engine, batch: None)
        handler(None, network).attach(engine)
        engine.run([0])
    assert same(network, before)
    assert not [record for record in caplog.records if record.name.startswith("sa2_monai")]


def test_resumed_training_keeps_its_own_weights(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    start = tiny_network()
    nn.init.zeros_(start[0].weight)
    torch.save(start.state_dict(), tmp_path / "start.pt")
    done = Run(tmp_path / "a", 2).run()
    again = Run(tmp_path / "a", 2, True)
    LoadWeights(tmp_path / "start.pt", again.network).attach(again.trainer)  # behind the checkpoint handler, too
    with caplog.at_level(logging.INFO):
        again.run()
    assert same(again.network, done.network)
    assert "not loaded: the engine continues after epoch 2" in caplog.text
    fresh = Run(tmp_path / "b", 1)
    LoadWeights(tmp_path / "start.pt", fresh.network).attach(fresh.trainer)
    fresh.run()
    assert not same(fresh.network, Run(tmp_path / "c", 1).run().network)


def read(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return record


def test_record_of_a_training(tmp_path: Path) -> None:
    configuration = {"seed": 5, "roi_size": (8, 8), "device": torch.device("cpu"), "loss": nn.MSELoss(), "list": [len]}
    data = [{"image": str(tmp_path / "a.png"), "label": "b.png"}]
    record = RunRecord(tmp_path / "out", configuration, data, tmp_path / "model.pt")
    run = Run(tmp_path, 2)
    record.attach(run.trainer)
    during: list[dict[str, Any]] = []
    run.trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda _: during.append(read(tmp_path / "out")))
    run.run()
    assert [r["status"] for r in during] == ["running"] * 6
    assert during[0]["weights"] is None
    assert [e["epoch"] for e in during[-1]["epochs"]] == [1]
    done = read(tmp_path / "out")
    assert done["status"] == "completed"
    assert [e["epoch"] for e in done["epochs"]] == [1, 2]
    assert done["seconds"] >= sum(e["seconds"] for e in done["epochs"]) - 0.01
    assert done["started"] <= done["ended"]
    assert done["seed"] == 5
    assert done["device"] == "cpu"
    assert done["processes"] == 1
    assert done["configuration"]["roi_size"] == [8, 8]
    assert done["configuration"]["loss"] == "MSELoss()"
    assert done["weights"] == {"path": str(tmp_path / "model.pt"), "sha256": sha256_of(tmp_path / "model.pt")}
    text = json.dumps(data, sort_keys=True)
    assert done["inputs"] == {"count": 1, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    versions = done["versions"]
    assert versions["torch"] == torch.__version__
    assert {"sa2_monai", "python", "platform", "torch", "monai", "ignite", "numpy"} == set(versions)


def test_record_of_an_evaluation_has_the_weights_it_used(tmp_path: Path) -> None:
    network = tiny_network()
    save_weights(network.state_dict(), tmp_path / "model.pt")
    evaluator(network, [RunRecord(tmp_path, {}, None, str(tmp_path / "model.pt"))]).run()
    record = read(tmp_path)
    assert (record["status"], record["seed"], record["inputs"]) == ("completed", None, None)
    assert record["weights"]["sha256"] == sha256_of(tmp_path / "model.pt")


@pytest.mark.parametrize("order", ["record", "record stats", "stats record"])
def test_record_of_a_failure_and_the_failure_itself(
    order: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, 2, stop_at=4)
    stats = StatsHandler(output_transform=lambda _: 0)
    monkeypatch.setattr(stats.logger, "propagate", True)  # MONAI's logger keeps to itself; caplog hears the root alone
    handlers = {"record": RunRecord(tmp_path, {}), "stats": stats}
    for name in order.split():
        handlers[name].attach(run.trainer)
    with pytest.raises(Stop):
        run.run()
    assert ("Exception: " in [r.getMessage() for r in caplog.records]) == ("stats" in order)
    record = read(tmp_path)
    assert (record["status"], record["error"]) == ("failed", "Stop: ")
    assert len(record["epochs"]) == 1


def test_record_of_an_interruption(tmp_path: Path) -> None:
    def press(_: Any) -> None:
        raise KeyboardInterrupt

    run = Run(tmp_path, 2)
    RunRecord(tmp_path, {}).attach(run.trainer)
    run.trainer.add_event_handler(Events.ITERATION_COMPLETED(once=4), press)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert read(tmp_path)["status"] == "interrupted"
    load_weights(tiny_network(), tmp_path / "model.pt")  # of the first epoch


def test_error_before_the_record_began_is_passed_on(tmp_path: Path) -> None:
    run = Run(tmp_path, 1, True)
    (tmp_path / "last_state.pt").write_text("")
    RunRecord(tmp_path, {}).attach(run.trainer)
    with pytest.raises(ValueError, match="damaged"):
        run.run()
    assert not (tmp_path / "run.json").exists()


def test_unknown_versions_are_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    from sa2_monai.training import run_record

    monkeypatch.setattr(run_record, "_PACKAGES", {"monai": "no-such-distribution"})
    assert run_record._versions()["monai"] == "unknown"


def test_imagenet_weights_start_a_training_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    small = {"encoder": "resnet14", "base_channels": 4, "img_size": 64, "aspp_channels": 4}
    network = create_network("svanet", in_channels=3, out_channels=2, **small)
    encoder = {name: value + 1 for name, value in network.get_submodule("encoder").state_dict().items()}
    torch.save({**encoder, "fc.weight": torch.zeros(2, 2), "fc.bias": torch.zeros(2)}, tmp_path / "resnet.pth")
    with pytest.raises(ValueError, match=r"for the encoder of svanet alone, not a model\. Give the file to a"):
        evaluator(network, [LoadWeights(tmp_path / "resnet.pth", network)]).run()
    start = {name: value.clone() for name, value in network.state_dict().items()}
    # LoadWeights: as bundles of earlier versions have it
    for handler in (
        LoadEncoder(tmp_path / "resnet.pth", network),
        LoadWeights(tmp_path / "resnet.pth", network, imagenet=True),
    ):
        network.load_state_dict(start)
        caplog.clear()
        with caplog.at_level(logging.INFO):
            handler(Engine(lambda *_: None))
        assert torch.equal(network.get_parameter("encoder.conv1.weight"), encoder["conv1.weight"])
        assert (
            f"loaded torchvision's ResNet-50 of {tmp_path / 'resnet.pth'} into the encoder, {len(encoder)} ten"
            in caplog.text
        )
    resumed = Engine(lambda *_: None)
    resumed.state.epoch = 3
    network.load_state_dict(start)
    LoadEncoder(tmp_path / "resnet.pth", network)(resumed)
    assert torch.equal(network.get_parameter("encoder.conv1.weight"), start["encoder.conv1.weight"])
    # weights of ours are taken as ever
    save_weights(network.state_dict(), tmp_path / "model.pt", {"view": "whole"})
    with pytest.raises(ValueError, match="view is 'whole', the configuration says 'windows'"):
        LoadWeights(tmp_path / "model.pt", network, {"view": "windows"}, imagenet=True)(Engine(lambda *_: None))
    LoadWeights(tmp_path / "model.pt", network, {"view": "whole"}, imagenet=True)(Engine(lambda *_: None))
    with pytest.raises(FileNotFoundError, match=r"resnet50-11ad3fa6\.pth from https://"):
        LoadWeights(tmp_path / "no.pth", network, imagenet=True)(Engine(lambda *_: None))
    with pytest.raises(FileNotFoundError, match="Train first"):
        LoadWeights(tmp_path / "no.pth", network)(Engine(lambda *_: None))
