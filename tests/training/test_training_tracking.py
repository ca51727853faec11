# SPDX-License-Identifier: Apache-2.0
"""TensorBoard by default, MLflow by ``--tracking mlflow``: what a run leaves there."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow_stand_in
import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow
from monai.bundle.utils import DEFAULT_EXP_MGMT_SETTINGS
from monai.handlers import MLFlowHandler, StatsHandler
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_setup import Run, Stop

from sa2_monai import load_bundle
from sa2_monai.bundle.crossval.commands import ensemble_command, evaluate_command, train_command
from sa2_monai.bundle.crossval.request import CrossvalRequest
from sa2_monai.bundle.crossval.setup import CrossvalSetup
from sa2_monai.bundle.run.training import TrainingError
from sa2_monai.data import make_sample
from sa2_monai.evaluation import draw_overlay
from sa2_monai.evaluation.report.validation_image import ValidationImage
from sa2_monai.training import ClassDice, RunRecord, TrackedRun, show_progress
from sa2_monai.training.tracking.values import read_switches, report_metrics
from sa2_monai.weights import sha256_of
from tests.bundles.bundle_tools import run

URI = "sqlite:////nowhere/mlruns.db"


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stand-in in the place of MLflow, in MONAI's handler."""
    module = mlflow_stand_in.make()
    monkeypatch.setattr("monai.handlers.mlflow_handler.mlflow", module)
    monkeypatch.setattr("monai.handlers.mlflow_handler.MlflowException", RuntimeError)
    return module


# of SQLAlchemy, in MLflow's own code
@pytest.fixture(params=["stand-in", pytest.param("mlflow", marks=pytest.mark.filterwarnings("ignore:.*noload"))])
def client_of(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Makes a client for an address: of the stand-in, and of MLflow where it is installed."""
    if request.param == "mlflow":
        yield pytest.importorskip("mlflow").MlflowClient
    else:
        yield request.getfixturevalue("mlflow").MlflowClient


def runs(client: Any) -> list[Any]:
    """All runs, the first one first."""
    experiment = client.get_experiment_by_name("sa2net") or client.get_experiment_by_name("monai_experiment")
    return list(reversed(client.search_runs([experiment.experiment_id])))


def artifacts(client: Any, run_id: str, path: str | None = None) -> set[str]:
    found: set[str] = set()
    for entry in client.list_artifacts(run_id, path):
        found |= artifacts(client, run_id, entry.path) if entry.is_dir else {entry.path}
    return found


def test_a_bundle_is_trained_resumed_and_evaluated(client_of: Any, tmp_path: Path) -> None:
    make_sample(tmp_path / "nuclei", num_training=2, num_validation=1, num_test=2, size=(32, 40))
    out, models = tmp_path / "out", tmp_path / "models"
    # A plain path for output_dir: of that MONAI makes the wrong name of the merged configuration.
    common = {"dataset_dir": str(tmp_path / "nuclei"), "output_dir": str(out), "ckpt_dir": str(models)}
    common["tracking"] = "mlflow"
    run("sa2net", "train", "sample", max_epochs=1, **common)
    run("sa2net", "train", "sample", max_epochs=2, resume=True, run_name="again", **common)
    run("sa2net", "train", "sample", "evaluate", **common)

    client = client_of(tracking_uri=f"sqlite:///{out}/mlruns.db")
    training, evaluation = runs(client)  # the resumed training is the same run
    assert {each.info.status for each in (training, evaluation)} == {"FINISHED"}
    assert training.info.run_name.startswith("training_2")
    sha = sha256_of(models / "model.pt")
    for each, stage in ((training, "training"), (evaluation, "evaluation")):
        assert each.data.tags.items() >= {"stage": stage, "output_dir": str(out), "weights_sha256": sha}.items()
    params = training.data.params
    assert (params["max_epochs"], params["max_epochs.from_epoch_2"]) == ("1", "2")
    assert params["loss_name"] == "bce_dice", "an expression, with the value it has in the end"
    assert params["class_names"] == "['background', 'nucleus']"
    assert {"network", "network_def", "lr_scheduler", "tracking_uri", "run"}.isdisjoint(params)
    assert evaluation.data.params["protocol"] == "clinical"

    run_id = training.info.run_id
    for name in ("val_mean_dice", "val_dice_nucleus", "train_loss", "learning_rate"):
        assert [metric.step for metric in client.get_metric_history(run_id, name)] == [1, 2], name
    assert training.data.metrics["val_mean_dice"] == pytest.approx(training.data.metrics["val_dice_nucleus"])
    overall = json.loads((out / "metrics_summary.json").read_text())["overall"]
    for name in ("dice", "jaccard", "specificity"):
        assert evaluation.data.metrics[name] == pytest.approx(overall[name]["mean_of_class_means"])
    assert evaluation.data.metrics["cases"] == 2

    kept = artifacts(client, run_id)
    assert {"run.json", "validation.png"} <= kept
    assert len([name for name in kept if name.startswith("config_")]) >= 1
    kept = artifacts(client, evaluation.info.run_id)
    assert {"run_evaluate.json", "metrics_per_case.csv", "metrics_summary.json", "report.html"} <= kept
    assert {f"overlays/{file.name}" for file in (out / "overlays").iterdir()} <= kept
    assert any(name.startswith("overlays/") for name in kept)

    # TensorBoard has the same curves, and images.
    accumulator = EventAccumulator(str(out)).Reload()
    tags = accumulator.Tags()
    assert {"train_loss", "learning_rate", "val_mean_dice", "val_dice_nucleus"} <= set(tags["scalars"])
    assert tags["images"] == ["validation"]


def tracked(folder: Path, **options: Any) -> list[Any]:
    """The handlers of a training, as a bundle lists them, with that of MONAI behind."""
    record = RunRecord(folder, configuration={})
    ours = TrackedRun("training", folder, artifacts=["run.json"], **options)
    return [record, ours, MLFlowHandler(URI, output_transform=lambda x: x[0]["loss"], close_on_complete=True)]


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize(("error", "status"), [(Stop, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_run_that_ends_early_is_told_so(
    mlflow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type, status: str, alone: bool
) -> None:
    def stop(_: Any) -> None:
        raise error("in the middle")

    monkeypatch.setattr(Run, "stop", staticmethod(stop))
    extra = [*([] if alone else [StatsHandler(iteration_log=False)]), *tracked(tmp_path)]
    with pytest.raises(error, match="in the middle"):
        Run(tmp_path, extra=extra, stop_at=2).run()
    client = mlflow.MlflowClient(URI)
    (found,) = runs(client)
    assert found.info.status == status
    assert found.data.tags["error"] == f"{error.__name__}: in the middle"
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["status"] in ("failed", "interrupted"), "the file that was sent along was complete"
    assert artifacts(client, found.info.run_id) == {"run.json"}


def test_a_server_that_is_gone_hides_no_error(
    mlflow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(mlflow.MlflowClient, "set_terminated", gone)
    with pytest.raises(Stop):
        Run(tmp_path, extra=tracked(tmp_path), stop_at=2).run()
    assert "could not be told to MLflow" in caplog.text


def test_a_new_training_takes_no_run_of_a_killed_process(mlflow: Any, tmp_path: Path) -> None:
    client = mlflow.MlflowClient(URI)
    killed = client.create_run(client.create_experiment("monai_experiment"), "killed")
    weights = tmp_path / "earlier" / "models" / "model.pt"  # of a run
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"some weights")
    Run(
        tmp_path, max_epochs=1, extra=tracked(tmp_path, pretrained=tmp_path / "earlier", weights=tmp_path / "model.pt")
    ).run()
    first, second = runs(client)
    assert first is killed
    assert first.data.metrics == {}
    assert second.data.tags["pretrained_sha256"] == sha256_of(weights)
    assert second.data.tags["weights_sha256"] == sha256_of(tmp_path / "model.pt")
    losses = client.get_metric_history(second.info.run_id, "train_loss")
    assert [metric.step for metric in losses] == [3], "once per epoch of three iterations"


def test_a_missing_package_is_named_with_its_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sa2_monai.training.tracking.run.optional_import", lambda name: (None, name != "mlflow"))
    TrackedRun("training", tmp_path, config_file=f"{tmp_path} + '/config_20260102_030405.json'")
    assert "python -m pip install 'sa2_monai[mlflow]'" in caplog.text
    caplog.clear()
    for config_file in (True, None, "own.json"):
        TrackedRun("training", tmp_path, config_file=config_file)
    assert caplog.text == ""


def test_without_tracking_and_on_other_ranks_nothing_happens(
    mlflow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Run(tmp_path, max_epochs=1, extra=[TrackedRun("training", tmp_path, config_file=True)]).run()
    assert mlflow.MlflowClient.servers == {}
    monkeypatch.setattr("sa2_monai.training.tracking.run.rank", lambda: 1)
    engine = SimpleNamespace(add_event_handler=pytest.fail)
    TrackedRun("training", tmp_path).attach(engine)  # type: ignore[arg-type]


def test_switches_are_plain_values_and_what_follows_from_them(tmp_path: Path) -> None:
    config = {
        "_meta_": {"name": "$1 / 0"},
        "classes": ["a", "b"],
        "channels": "$len(@classes)",
        "table": {"0": 0, "255": 1},
        "double": "$2 * @channels",
        "item": "@table::255",
        "tracking_uri": "http://me:secret@host",
        "network_def": {"_target_": "torch.nn.Conv2d", "in_channels": "@channels", "out_channels": 1},
        "network": "$@network_def.eval()",
        "info": {"channels": "@channels"},
        "initialize": ["$1 / 0"],
        "training": "@initialize",
        "circle": "$@other",
        "other": "$@circle",
        "macro": "%classes",
    }
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    assert read_switches(file) == {
        "classes": ["a", "b"],
        "channels": 2,
        "table": {"0": 0, "255": 1},
        "double": 4,
        "item": 1,
        "macro": ["a", "b"],
    }


def test_a_report_becomes_metrics() -> None:
    report = {
        "cases": 3,
        "overall": {"dice": {"mean_of_class_means": 0.5}, "hd95": {"mean_of_class_means": None}},
        "per_class": {"Ödem (left)": {"dice": {"mean": 0.25}, "nsd": {"mean": float("nan")}, "counts": {"ok": 2}}},
        "paper": {"dice": 0.75, "per_class": {"a": 1}, "convention": "published", "exact": True},
    }
    assert report_metrics(report) == {
        "dice": 0.5,
        "dice__dem _left_": 0.25,
        "paper_dice": 0.75,
        "paper_per_class_a": 1.0,
        "cases": 3.0,
    }


def test_dice_of_each_class() -> None:
    table = torch.tensor([[1.0, float("nan")], [0.5, float("nan")]])
    engine: Any = SimpleNamespace(state=SimpleNamespace(metrics={}, metric_details={"val_mean_dice": table}))
    ClassDice(["background", "liver", "spleen"])(engine)
    assert engine.state.metrics["val_dice_liver"] == 0.75
    assert np.isnan(engine.state.metrics["val_dice_spleen"])
    with pytest.raises(ValueError, match="val_mean_dice has 2 classes, but class_names names 1 beside the background"):
        ClassDice(["background", "liver"])(engine)
    engine.state.metrics, engine.state.metric_details = {}, {}
    ClassDice(["background", "liver"])(engine)
    assert engine.state.metrics == {}


@pytest.mark.parametrize("kind", ["image", "turned image", "image as volume", "volume"])
def test_image_of_a_validation(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reference, prediction and image lie on each other: an L in an image of 20 rows and 12 columns."""
    shape = np.zeros((20, 12), np.int64)
    shape[3:15, 2:5] = shape[12:15, 2:9] = 1
    image = torch.tensor(shape[None] * 0.5 + 0.2, dtype=torch.float32)
    label = torch.tensor(shape[None])
    if kind == "turned image":
        label = label.swapaxes(1, 2)
    elif kind == "image as volume":
        image, label = image[..., None], label[..., None]
    elif kind == "volume":  # (X, Y, Z): columns, rows; most of the structure in slice 2
        image, label = (
            torch.stack([v[0].T * 0, v[0].T, v[0].T * (torch.arange(20) < 6)], dim=-1)[None] for v in (image, label)
        )
    drawn: list[Any] = []

    def draw(*arguments: Any) -> Any:
        drawn.append(arguments)
        return draw_overlay(*arguments)

    monkeypatch.setattr("sa2_monai.evaluation.report.validation_image.draw_overlay", draw)
    pred = label.clone()
    pred[0, 0] = 0
    label[0, -1, -1] = 255  # pixels without a label are drawn as background in both
    pred[0, -1, -1] = 1
    options = {"transposed": kind == "turned image", "upright": kind == "image as volume"}
    handler = ValidationImage(tmp_path, **options, class_names=["background", "letter"])
    output = [{"image": image, "label": label, "pred": pred}]
    engine: Any = SimpleNamespace(state=SimpleNamespace(epoch=7, best_metric_epoch=7, output=output))
    handler(engine)
    handler.keep(engine)
    best = (tmp_path / "validation.png").read_bytes()
    engine.state.epoch = 8  # not as good: the file stays that of the weights that are kept
    handler(engine)
    handler.keep(engine)
    handler.close()
    drawn.pop()
    ((shown, prediction, reference, title, dice, names),) = drawn
    np.testing.assert_array_equal(reference, shape)
    np.testing.assert_array_equal(prediction, shape)
    np.testing.assert_array_equal(shown[:, :, 0] > 0.5, shape == 1)
    assert title == ("epoch 7, slice 2" if kind == "volume" else "epoch 7")
    assert (dice, names) == (1.0, ["background", "letter"])
    assert best.startswith(b"\x89PNG")
    assert (tmp_path / "validation.png").read_bytes() == best
    assert [image.step for image in EventAccumulator(str(tmp_path)).Reload().Images("validation")] == [7, 8]


def test_progress_bars_are_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    terminal = SimpleNamespace(isatty=lambda: True)
    assert show_progress(True) is True
    assert show_progress(False) is False
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", terminal)
        assert show_progress() is True
        patch.setattr("sa2_monai.training.progress.rank", lambda: 1)
        assert show_progress(True) is False
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: False))
    assert show_progress() is False
    monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace())
    assert show_progress() is True


def test_tracking_from_python(mlflow: Any, sample_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument arrives at MONAI; without the package one sentence says what to install."""
    seen: list[Any] = []
    available = [False]

    def optional_import(name: str) -> tuple[Any, bool]:
        assert name == "mlflow"
        return None, available[0]

    bundle, run = load_bundle("sa2net", device="cpu"), tmp_path / "run"
    options: dict[str, Any] = {"dataset": "sample", "output_dir": run, "tracking_uri": URI}
    monkeypatch.setattr("monai.utils.optional_import", optional_import)
    with pytest.raises(ImportError, match=r"python -m pip install 'sa2_monai\[mlflow\]'"):
        bundle.train(sample_dir, **options, tracking="mlflow")
    available[0] = True

    class Workflow(ConfigWorkflow):  # type: ignore[misc]
        @staticmethod
        def patch_bundle_tracking(parser: Any, settings: Any) -> None:
            seen.append(settings)

        def initialize(self) -> None:
            seen.append("begins")
            raise Stop

    monkeypatch.setattr("monai.bundle.ConfigWorkflow", Workflow)
    for tracking in ("mlflow", None):
        with pytest.raises(TrainingError):
            bundle.train(sample_dir, **options, tracking=tracking)
    assert seen == [DEFAULT_EXP_MGMT_SETTINGS["mlflow"], "begins", "begins"]
    assert json.loads((run / "configs" / "train.json").read_text())["tracking_uri"] == URI


def test_cross_validation_hands_it_on(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = repository / "bundles" / "sa2net"
    monkeypatch.setattr(CrossvalSetup, "fold", lambda *_: bundle)  # no run, but a bundle with all configurations
    setups = [
        CrossvalSetup(
            CrossvalRequest(tmp_path, tmp_path, tracking=tracking), tmp_path, "sa2net", bundle, [], {}, tmp_path, {}
        )
        for tracking in ("mlflow", None)
    ]
    commands = (
        (1, lambda setup: train_command(setup, 0)),
        (2, lambda setup: evaluate_command(setup, 0)),
        (1, lambda setup: evaluate_command(setup, 0, score=False)),
        (1, ensemble_command),
    )
    for count, command in commands:
        tracked, plain = map(command, setups)
        assert tracked.count("--tracking") == tracked.count("mlflow") == count
        assert [word for word in tracked if word not in ("--tracking", "mlflow")] == plain
