# SPDX-License-Identifier: Apache-2.0
"""A report names the model and the training that it is about, and never another one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from sa2_monai.evaluation import EvaluationResult, evaluate
from sa2_monai.evaluation.report.html.origin import Origin, find_origin
from tests.support.report_pages import write_run


def result_in(folder: Path) -> EvaluationResult:
    mask = np.eye(6, dtype=np.uint8)
    result = evaluate({"a": mask}, {"a": mask}, ["background", "x"], bootstrap_samples=1)
    result.per_case[0]["prediction_file"] = str(folder / "a.png")
    return result


def lines(origin: Origin) -> dict[str, str]:
    return {name: f"{value} | {more}" for name, value, more in origin.lines()}


def test_a_run_that_is_complete(tmp_path: Path) -> None:
    write_run(tmp_path)
    origin = find_origin(result_in(tmp_path / "predictions"), tmp_path / "scores")
    assert (origin.model, origin.data, origin.weights) == ("MSA2-Net organs", "organs", "ab" * 32)
    assert len(origin.history) == 8
    found = lines(origin)
    assert list(found) == [*("Model", "Weights", "Data", "Predicted", "Epochs", "Training time", "Training data")]
    assert found["Epochs"] == "8 of 20 | weights of epoch 6, val mean dice 0.861, the training is interrupted"
    assert found["Training data"] == "livers | 96 cases"
    assert found["Data"] == "organs | test, /data/organs"


def test_the_predictions_may_lie_below_their_record(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "predictions" / "run_inference.json").rename(tmp_path / "run_evaluate.json")
    assert find_origin(result_in(tmp_path / "predictions")).model == "MSA2-Net organs"


def test_the_training_of_other_weights_is_left_out(tmp_path: Path) -> None:
    write_run(tmp_path, trained="cd" * 32)
    origin = find_origin(result_in(tmp_path / "predictions"))
    assert (origin.training, origin.history) == ({}, ())
    assert origin.remarks[0].endswith("made other weights (cdcdcdcdcdcd) and is not shown")
    assert find_origin(result_in(tmp_path / "predictions"), tmp_path / "eval").remarks == origin.remarks


def test_the_sidecar_of_other_weights_is_left_out(tmp_path: Path) -> None:
    write_run(tmp_path)
    sidecar = tmp_path / "models" / "model.json"
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "sha256": "ef" * 32}))
    assert find_origin(result_in(tmp_path / "predictions")).sidecar == {}


STATES = {
    "completed": ", the training was stopped early",
    "running": ", the training is running",
    "failed": ", the training is failed",
}


@pytest.mark.parametrize("status", STATES)
def test_a_training_that_did_not_come_to_its_end(status: str, tmp_path: Path) -> None:
    write_run(tmp_path)
    record = tmp_path / "eval" / "run.json"
    content = {**json.loads(record.read_text()), "status": status}
    record.write_text(json.dumps(content))
    result = result_in(tmp_path / "predictions")
    assert lines(find_origin(result))["Epochs"].endswith(STATES[status])
    content["configuration"]["max_epochs"] = 8
    record.write_text(json.dumps({**content, "status": "completed"}))
    assert lines(find_origin(result))["Epochs"] == "8 of 8 | weights of epoch 6, val mean dice 0.861"


def test_predictions_that_are_newer_than_their_record(tmp_path: Path) -> None:
    write_run(tmp_path)
    record, prediction = (tmp_path / "predictions" / name for name in ("run_inference.json", "a.png"))
    prediction.write_bytes(b"")
    for age, remarks in ((30, 0), (90, 1)):
        os.utime(record, (1e9, 1e9))
        os.utime(prediction, (1e9 + age, 1e9 + age))
        assert len(find_origin(result_in(tmp_path / "predictions")).remarks) == remarks


def test_a_report_beside_a_training(tmp_path: Path) -> None:
    """Without any record of the predictions, that is what the folder says."""
    write_run(tmp_path)
    (tmp_path / "predictions" / "run_inference.json").unlink()
    origin = find_origin(result_in(tmp_path / "predictions"), tmp_path / "eval")
    assert len(origin.history) == 8
    assert lines(origin)["Predictions"].startswith(str(tmp_path / "predictions"))


ODD = {"weights": "x", "configuration": 3, "bundle": [], "epochs": 4, "seconds": "long", "inputs": 1, "versions": 2}


@pytest.mark.parametrize("content", ["", "[]", "{}", "{", json.dumps(ODD)])
def test_other_files_say_nothing(content: str, tmp_path: Path) -> None:
    (tmp_path / "run_inference.json").write_text(content)
    (tmp_path / "run.json").write_text(content)
    origin = find_origin(result_in(tmp_path), tmp_path)
    assert origin.record == {}
    assert (origin.model, origin.data, origin.weights) == ("", "", "")
    assert list(lines(origin)) == ["Predictions"]


def test_arrays_have_no_origin() -> None:
    mask = np.eye(6, dtype=np.uint8)
    origin = find_origin(evaluate({"a": mask}, {"a": mask}, ["background", "x"], bootstrap_samples=1))
    assert origin.lines() == []
