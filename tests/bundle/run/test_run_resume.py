# SPDX-License-Identifier: Apache-2.0
"""A training that goes on: the same settings, the same numbers, and one line for everything else."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from sa2_monai.bundle.run import TrainRequest, train_run
from sa2_monai.bundle.switches import SwitchError
from tests.support.trained_run import TrainedRun

OTHER_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"overrides": {"base_channels": 8}}, "base_channels is 8, was 4"),
    ({"overrides": {"learning_rate": 0.5}}, "learning_rate is 0.5, was 0.0"),
    ({"overrides": {"optimizer#weight_decay": 0.1}}, "optimizer is "),
    ({"network": "daeformer"}, "the network is daeformer, was sa2net"),
    ({"images": "*.png", "labels": "*.tif"}, "--images, --labels and --colours are kept by the run"),
    ({"data": "."}, "the data are "),
    ({"overrides": {"max_epochs": 1}}, "max_epochs is 1, but .* has trained 2 epochs"),
]


@pytest.fixture
def run(trained_run: TrainedRun, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_run.folder, tmp_path / "run"))


@pytest.mark.parametrize(("asked", "told"), OTHER_SETTINGS, ids=[told[:24] for _, told in OTHER_SETTINGS])
def test_other_settings_are_refused(
    asked: dict[str, Any], told: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = (run / "configs" / "train.json").read_bytes()
    with pytest.raises(ValueError, match=told):
        train_run(TrainRequest(**{"data": None, "output": run, "resume": True, **asked}))
    assert (run / "configs" / "train.json").read_bytes() == before


def test_unknown_ids_are_refused(run: Path) -> None:
    with pytest.raises(SwitchError, match=r"has no max_epoch \(did you mean max_epochs\?\)"):
        train_run(TrainRequest(None, run, resume=True, overrides={"max_epoch": 9}))


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no run that could go on"):
        train_run(TrainRequest(None, tmp_path, resume=True))


def test_more_epochs_go_on(trained_run: TrainedRun, run: Path) -> None:
    history = run / "eval" / "history.csv"
    begun = history.read_text()
    history.write_text(begun + "3,9.0,0.9,0.9,0.1,1.0\n")  # of an epoch whose state was lost
    result = train_run(
        TrainRequest(trained_run.data, run, resume=True, overrides={"max_epochs": 3}, device="cpu"), quiet=True
    )
    assert (result.end, result.epochs, result.epochs_run, result.max_epochs) == ("complete", 3, 1, 3)
    with history.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[2]["train_loss"]) < 9
    assert history.read_text().startswith(begun)
    assert json.loads((run / "configs" / "train.json").read_text())["max_epochs"] == 3
    assert torch.load(run / "models" / "last_state.pt", weights_only=True)["engine"]["epoch"] == 3


def test_a_complete_run_has_nothing_left(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = train_run(TrainRequest(None, run, resume=True, device="cpu"))
    assert (result.epochs, result.epochs_run) == (2, 0)
    assert "nothing was left to do: epoch 2 of 2 is through" in capsys.readouterr().out


def test_a_diverged_training_goes_on_with_another_rate(run: Path) -> None:
    record = run / "eval" / "run.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "error": "DivergedError: the loss is nan"}))
    request = TrainRequest(None, run, resume=True, overrides={"learning_rate": 1e-4}, device="cpu")
    assert train_run(request, quiet=True).epochs_run == 0
    assert json.loads((run / "configs" / "train.json").read_text())["learning_rate"] == 1e-4
