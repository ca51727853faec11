# SPDX-License-Identifier: Apache-2.0
"""CaseMetric and ReportHandler inside MONAI evaluators, with decollated batches and over two processes."""

from __future__ import annotations

import json
import logging
import os
import socket
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.config import KeysCollection
from monai.data import DataLoader, Dataset, MetaTensor, decollate_batch
from monai.engines import SupervisedEvaluator
from monai.handlers import IgniteMetricHandler, MetricsSaver, from_engine
from PIL import Image

from sa2_monai.evaluation import CaseMetric, ReportHandler, evaluate
from tests.support.programs import run_processes

NAMES = ["background", "a", "b"]


def maps(number: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Class-index maps ``(number, 1, 20, 24)`` in which class b is missed, spurious and absent once each."""
    rng = np.random.default_rng(seed)
    reference, prediction = np.zeros((2, number, 1, 20, 24), np.uint8)
    for index in range(number):
        reference[index, 0, 3:11, 4:13] = 1
        prediction[index, 0, 3 + rng.integers(0, 3) : 11, 4 : 11 + rng.integers(0, 6)] = 1
        if index % 4 not in (2, 3):
            reference[index, 0, 14:18, 5:20] = 2
        if index % 4 not in (1, 3):
            prediction[index, 0, 14:18, 7:20] = 2
    return torch.from_numpy(prediction), torch.from_numpy(reference)


def expected(prediction: torch.Tensor, reference: torch.Tensor, **options: Any) -> Any:
    pairs = ({f"{i:02d}": m[0].numpy() for i, m in enumerate(maps_)} for maps_ in (prediction, reference))
    return evaluate(*pairs, NAMES, bootstrap_samples=10, **options)


def test_headline_equals_the_evaluation_for_batches_and_lists() -> None:
    prediction, reference = maps()
    wanted = expected(prediction, reference).headline
    batch, items = CaseMetric(3), CaseMetric(3)
    batch(prediction[:4], reference[:4])
    batch(prediction[4:].float(), reference[4:].float())
    items([MetaTensor(p) for p in prediction], list(reference))
    for metric in (batch, items):
        assert float(metric.aggregate()) == pytest.approx(wanted, abs=1e-12)
        assert len(metric) == 6
        assert metric.get_buffer().shape == (6, 2)
    items.reset()
    with pytest.raises(ValueError, match="has seen no case"):
        items.aggregate()


def test_rows_hold_the_values_of_all_classes() -> None:
    prediction, reference = maps()
    metric = CaseMetric(3, distances=True, tolerance=1.5, spacing=(0.5, 2.0))
    rows = metric(prediction, reference)
    assert rows.shape == (6, 2, len(CaseMetric.VALUES))
    wanted = expected(prediction, reference, spacing=(0.5, 2.0), tolerance=1.5)
    for index, row in enumerate(wanted.per_case):
        found = dict(zip(CaseMetric.VALUES, rows[index // 2, index % 2].tolist(), strict=True))
        assert found["tp"] + found["fp"] == row["voxels_pred"]
        for name in CaseMetric.VALUES[4:]:
            assert found[name] == pytest.approx(row[name], abs=1e-12, nan_ok=True)
    for value in ("dice", "hd95", "sensitivity"):
        mean = wanted.summary["overall"][value]["mean_of_class_means"]
        assert float(metric.aggregate(value)) == pytest.approx(mean, abs=1e-12)
    plain = CaseMetric(3)
    assert torch.isnan(plain(prediction, reference)[..., CaseMetric.VALUES.index("hd95")]).all()
    with pytest.raises(ValueError, match="value is 'accuracy'"):
        metric.class_means("accuracy")


def test_pixels_without_a_label_are_left_out() -> None:
    prediction, reference = maps()
    plain, metric = CaseMetric(3), CaseMetric(3, distances=True, ignore_value=255)
    assert torch.equal(plain(prediction, reference)[..., :4], metric(prediction, reference)[..., :4])
    # the right half has no label: what is counted is the left half
    half = prediction.shape[-1] // 2
    ignoring = reference.clone()
    ignoring[..., half:] = 255
    metric.reset()
    rows = metric(prediction.float(), ignoring.float())
    wanted = CaseMetric(3)(prediction[..., :half], reference[..., :half])
    torch.testing.assert_close(rows[..., :9], wanted[..., :9], equal_nan=True)
    empty = metric(prediction, torch.full_like(reference, 255))
    assert (empty[..., :4] == 0).all()
    assert torch.isnan(empty[..., 4]).all()
    with pytest.raises(ValueError, match=r"y_pred holds values from 0 to 255, expected class indices 0\.\.2"):
        metric(ignoring, reference)
    with pytest.raises(ValueError, match=r"ignore_value is 2, expected a number that is none of 0\.\.2"):
        CaseMetric(3, ignore_value=2)


def test_a_class_that_never_is_there_is_left_out() -> None:
    prediction, reference = maps()
    metric = CaseMetric(4)
    metric(prediction, reference)
    assert torch.isnan(metric.class_means()).tolist() == [False, False, True]
    assert float(metric.aggregate()) == pytest.approx(expected(prediction, reference).headline)


def test_wrong_inputs_are_refused() -> None:
    prediction, reference = maps(2)
    with pytest.raises(ValueError, match="num_classes is 1"):
        CaseMetric(1)
    metric = CaseMetric(2)
    for p, r, message in (
        (prediction, None, "needs the reference"),
        (prediction, reference, r"y_pred holds values from 0 to 2, expected class indices 0\.\.1"),
        (prediction * 0 + 0.5, reference * 0, "y_pred holds values from 0.5 to 0.5"),
        (prediction * 0, reference[:, :, 1:], r"y_pred has shape \(2, 1, 20, 24\), y \(2, 1, 19, 24\)"),
        (prediction.repeat(1, 2, 1, 1), reference.repeat(1, 2, 1, 1), "apply arg max"),
    ):
        with pytest.raises(ValueError, match=message):
            metric(p, r)


class Passed(torch.nn.Module):
    """A network that has nothing to learn: the input is the prediction."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Save:
    """Writes the predictions of an evaluator, as the bundle does by a transform."""

    def __init__(self, folder: Path, keys: KeysCollection = "pred") -> None:
        self.folder = folder

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        Image.fromarray(np.asarray(data["pred"][0]).astype(np.uint8)).save(self.folder / f"{data['case']}.png")
        return data


def build(tmp_path: Path) -> tuple[list[dict[str, Any]], SupervisedEvaluator]:
    prediction, reference = maps()
    data = []
    (tmp_path / "labels").mkdir()
    (tmp_path / "predictions").mkdir()
    for index in range(len(prediction)):
        label, image = tmp_path / "labels" / f"c{index}.png", tmp_path / f"image{index}.png"
        Image.fromarray(reference[index, 0].numpy()).save(label)
        Image.fromarray(np.full((20, 24, 3), 90, np.uint8)).save(image)
        data.append({"image": str(image), "label": str(label), "case": f"c{index}"})
    dataset = Dataset(
        [
            {"image": p.float(), "label": r, "case": f"c{i}"}
            for i, (p, r) in enumerate(zip(prediction, reference, strict=True))
        ]
    )
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(dataset, batch_size=4),
        network=Passed(),
        postprocessing=Save(tmp_path / "predictions"),
        key_val_metric={"dice": IgniteMetricHandler(CaseMetric(3), output_transform=from_engine(["pred", "label"]))},
        decollate=True,
    )
    return data, evaluator


def test_an_evaluator_ends_with_a_report(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data, evaluator = build(tmp_path)
    out = tmp_path / "report"
    handler = ReportHandler(tmp_path / "predictions", data, NAMES, out, overlays=1, tolerance=3, name="evaluation")
    handler.attach(evaluator)
    MetricsSaver(str(tmp_path / "saver"), metric_details="*").attach(evaluator)
    with caplog.at_level(logging.INFO, "evaluation"):
        evaluator.run()
    summary = json.loads((out / "metrics_summary.json").read_text())
    assert evaluator.state.report == json.loads(json.dumps(handler.result.summary)) == summary
    assert evaluator.state.metrics["dice"] == pytest.approx(
        summary["overall"]["dice"]["mean_of_class_means"], abs=1e-12
    )
    assert summary["protocol"]["tolerance"] == {"a": 3, "b": 3}
    assert (out / "table.txt").read_text() == handler.result.table() + "\n"
    assert handler.result.table() in caplog.text
    names = sorted(p.name.split("_dice")[0] for p in (out / "overlays").iterdir())
    assert [n.rsplit("_", 2)[0] for n in names] == ["best", "median", "worst"]
    # MONAI's own saver takes the rows as well: one column per class
    saved = (tmp_path / "saver" / "dice_raw.csv").read_text().splitlines()
    assert len(saved) == 1 + len(data)
    assert len(saved[0].split(",")) == 1 + 2 + 1


def test_an_error_of_the_report_reaches_the_caller(tmp_path: Path) -> None:
    engine = Engine(lambda engine, batch: None)
    data = [{"image": "i.png", "label": str(tmp_path / "gone.png"), "case": "x"}]
    ReportHandler({"x": np.zeros((3, 3), int)}, data, NAMES, tmp_path / "out").attach(engine)
    with pytest.raises(FileNotFoundError, match=r"gone\.png: no such file"):
        engine.run([0])
    assert not (tmp_path / "out").exists()


def test_a_bad_case_does_not_cost_the_report_of_the_others(tmp_path: Path) -> None:
    prediction, reference = maps(3)
    data = [{"label": r[0].numpy(), "case": str(i)} for i, r in enumerate(reference)]
    predictions = {str(i): p[0].numpy() for i, p in enumerate(prediction)}
    predictions["1"] = predictions["1"][:5]
    engine = Engine(lambda engine, batch: None)
    handler = ReportHandler(predictions, data, NAMES, tmp_path / "out", overlays=0, on_error="continue")
    handler.attach(engine)
    with pytest.raises(ValueError, match=r"1 of 3 cases failed, the others are finished:\n  1: case 1: shape: "):
        engine.run([0])
    summary = json.loads((tmp_path / "out" / "metrics_summary.json").read_text())
    assert summary["cases"] == 2
    assert [entry["case"] for entry in summary["failed"]] == ["1"]


def worker(rank: int, port: int, folder: str) -> None:
    """One of two processes: half of the cases each, the report on the first."""
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK=str(rank)
    )
    torch.set_num_threads(1)
    idist.initialize("gloo")
    try:
        prediction, reference = maps(5)
        part = slice(0, 3) if rank == 0 else slice(3, 5)  # not the same number on both
        metric = CaseMetric(3)
        metric(decollate_batch(prediction[part]), decollate_batch(reference[part]))
        pairs = [{"label": r[0].numpy(), "case": str(i)} for i, r in enumerate(reference)]
        predictions = {str(i): p[0].numpy() for i, p in enumerate(prediction)}
        handler = ReportHandler(predictions, pairs, NAMES, Path(folder) / f"report{rank}", overlays=0)
        engine = Engine(lambda engine, batch: None)
        handler.attach(engine)
        engine.run([0])
        Path(folder, f"{rank}.txt").write_text(f"{float(metric.aggregate())!r} {len(metric)}")
    finally:
        idist.finalize()


def test_two_processes_gather_all_cases_and_one_writes(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run_processes(worker, 2, port, str(tmp_path))
    wanted = expected(*maps(5)).headline
    for rank in range(2):
        value, number = (tmp_path / f"{rank}.txt").read_text().split()
        assert float(value) == pytest.approx(wanted, abs=1e-12)
        assert number == "5"
    assert (tmp_path / "report0" / "metrics_summary.json").is_file()
    assert not (tmp_path / "report1").exists()


def test_names_resolve_in_bundle_configurations() -> None:
    from monai.bundle import ConfigParser

    parser = ConfigParser({"metric": {"_target_": "sa2_monai.evaluation.CaseMetric", "num_classes": 2}})
    assert isinstance(parser.get_parsed_content("metric"), CaseMetric)
    report = {
        "_target_": "sa2_monai.evaluation.ReportHandler",
        "predictions_dir": "p",
        "data": "$[{'image': 'i.png', 'label': 'l.png', 'case': 'c'}]",
        "class_names": ["background", "nucleus"],
        "output_dir": "o",
    }
    handler = ConfigParser({"handlers": [report]}).get_parsed_content("handlers")[0]
    assert isinstance(handler, ReportHandler)
    assert handler.options == {"protocol": "clinical", "family": None, "label_values": None}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_maps_on_the_gpu_give_the_same_rows() -> None:
    prediction, reference = maps()
    metric, on_gpu = CaseMetric(3, distances=True), CaseMetric(3, distances=True)
    rows = metric(prediction, reference)
    assert torch.equal(torch.nan_to_num(on_gpu(prediction.cuda(), reference.cuda()).cpu()), torch.nan_to_num(rows))
    assert on_gpu.aggregate().is_cuda
