# SPDX-License-Identifier: Apache-2.0
"""Calibration from end to end: labels are drawn from probabilities at a known temperature, which has to be found."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sa2_monai import load_bundle
from sa2_monai.bundle.calibration.checks import calibratable
from sa2_monai.bundle.calibration.fit import fit_part
from sa2_monai.bundle.calibration.forecast import Forecaster
from sa2_monai.bundle.calibration.run import calibrate_run
from sa2_monai.bundle.run.evaluate import data_of
from sa2_monai.cli.main import main
from sa2_monai.io.images.read import read_label
from sa2_monai.weights import read_info, sha256_of
from tests.bundle.calibration.made_data import (
    FACTOR,
    Calibrated,
    made_data,
    probabilities_of,
    sure,
    write_volume,
)
from tests.support.report_pages import Page
from tests.support.trained_run import TrainedRun


def test_a_known_temperature_is_found(calibrated: Calibrated) -> None:
    found, test = calibrated.document["temperature"], calibrated.document["test"]
    assert found == pytest.approx(FACTOR, rel=0.05)
    assert read_info(calibrated.bundle / "models" / "model.pt")["temperature"] == found
    assert test["after"]["nll"] < test["before"]["nll"]
    assert test["after"]["ece"] < 0.03 < test["before"]["ece"]
    assert test["after"]["per_class"]["gland"]["ece"] < 0.03
    assert calibrated.document["fit"]["pixels"] == 3 * 72 * 60
    assert calibrated.document["fit"]["nll_after"] < calibrated.document["fit"]["nll_before"]
    assert calibrated.document["warnings"] == []


def test_of_softmax_and_volumes(heart_bundle: Path, tmp_path: Path) -> None:
    bundle = sure(heart_bundle, tmp_path / "bundle")
    made_data(bundle, tmp_path / "data", write_volume)
    document, folder = calibrate_run(bundle, tmp_path / "data", tmp_path / "out", device="cpu")
    assert folder == tmp_path / "out"
    assert document["temperature"] == pytest.approx(FACTOR, rel=0.05)
    assert document["test"]["after"]["ece"] < 0.03 < document["test"]["before"]["ece"]
    assert list(document["test"]["after"]["per_class"]) == load_bundle(bundle).class_names[1:]


def test_files_tell_the_same(calibrated: Calibrated) -> None:
    folder = calibrated.bundle / "eval"
    assert json.loads((folder / "calibration.json").read_text(encoding="utf-8")) == calibrated.document
    with (folder / "calibration.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["case"] for row in rows] == ["test0", "test1", "test2"]
    for when in ("before", "after"):
        mean = np.mean([float(row[f"nll_{when}"]) for row in rows])  # all have the same number of pixels
        assert mean == pytest.approx(calibrated.document["test"][when]["nll"])
        risk = [1 - float(row[f"dice_{when}"]) for row in rows]
        assert calibrated.document["test"][when]["risk_coverage"]["chance"] == pytest.approx(np.mean(risk))
    page = Page((folder / "calibration.html").read_text(encoding="utf-8"))
    for text in ("Calibration, scored on 3 cases", "Temperature", "Reliability", "Risk (1 \u2212 Dice) by coverage"):
        assert text in page.text
    assert len([tag for tag, _ in page.elements if tag == "figure"]) == 3


def test_scores_are_those_of_the_files_of_a_prediction(calibrated: Calibrated, tmp_path: Path) -> None:
    """By plain code, from probabilities of 16 bit."""
    with (calibrated.bundle / "eval" / "calibration.csv").open(newline="", encoding="utf-8") as lines:
        rows = {row["case"]: row for row in csv.DictReader(lines)}
    for when, temperature in (("before", 1.0), ("after", calibrated.document["temperature"])):
        bins, likelihood, pixels = np.zeros((15, 2)), 0.0, 0
        for case, row in rows.items():
            found = probabilities_of(
                calibrated.bundle, calibrated.data / "images" / f"{case}.png", temperature, tmp_path
            )
            true = read_label(calibrated.data / "labels" / f"{case}.png")
            likelihood -= np.log(np.where(true == 1, found[1], found[0])).sum()
            predicted = found[1] >= 0.5
            for surest, right in zip(found.max(axis=0).ravel(), (predicted == true).ravel(), strict=True):
                bins[min(int(surest * 15), 14)] += surest, right
            pixels += true.size
            both = 2 * np.count_nonzero(predicted & (true == 1)) / (np.count_nonzero(predicted) + true.sum())
            assert float(row[f"dice_{when}"]) == pytest.approx(both, abs=1e-3)
        assert calibrated.document["test"][when]["nll"] == pytest.approx(likelihood / pixels, abs=2e-3)
        error = np.abs(bins[:, 0] - bins[:, 1]).sum() / pixels
        assert calibrated.document["test"][when]["ece"] == pytest.approx(error, abs=2e-3)
    load_bundle(calibrated.bundle, device="cpu").predict(
        calibrated.data / "images", tmp_path / "u", uncertainty="entropy"
    )
    with (tmp_path / "u" / "uncertainty.csv").open(newline="", encoding="utf-8") as lines:
        entropy = {row["case"]: float(row["entropy"]) for row in csv.DictReader(lines)}
    for case, row in rows.items():
        assert float(row["entropy_after"]) == pytest.approx(entropy[case], abs=1e-6)


def test_the_second_time_finds_the_same(calibrated: Calibrated, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(calibrated.bundle, tmp_path / "bundle"))
    document, _ = calibrate_run(bundle, calibrated.data, device="cpu")
    assert document["temperature"] == document["earlier_temperature"] == calibrated.document["temperature"]
    assert document["test"] == calibrated.document["test"]


def test_pixels_without_a_label_are_left_out(calibrated: Calibrated, tmp_path: Path) -> None:
    data = Path(shutil.copytree(calibrated.data, tmp_path / "data"))
    for file in (data / "labels").iterdir():
        label = np.array(Image.open(file))
        label[:, 36:] = 255
        label[0, 0] = 1
        Image.fromarray(label).save(file)
    loaded, _ = calibratable(calibrated.bundle, "cpu")
    where, switches = data_of(loaded, data)
    switches["ignore_value"] = 255
    cases = loaded.cases(where, section="validation", **switches)
    fit = fit_part(Forecaster(loaded, where, switches), cases)
    assert fit.pixels == 3 * 60 * 36
    assert fit.temperature == pytest.approx(FACTOR, rel=0.1)


def test_a_run_with_its_own_data(trained_run: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Path(shutil.copytree(trained_run.folder, tmp_path / "run"))
    assert main(["calibrate", "--bundle", str(run), "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    document = json.loads((run / "eval" / "calibration.json").read_text(encoding="utf-8"))
    assert f"temperature {document['temperature']:g}, from " in printed
    assert "test part, 4 cases" in printed
    assert document["weights"]["sha256"] == sha256_of(run / "models" / "model.pt")
