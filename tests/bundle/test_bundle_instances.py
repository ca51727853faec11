# SPDX-License-Identifier: Apache-2.0
"""Instances from end to end: chosen for a run, predicted, measured, scored, by every way into a bundle."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sa2_monai import load_bundle
from sa2_monai.bundle.packaging.weights import write_weights
from sa2_monai.cli.main import main
from sa2_monai.inference.instances import SplitSettings, split_image
from sa2_monai.io.images.read import read_label
from sa2_monai.weights import read_info, sha256_of
from tests.support.small_models import GLANDS, HEART, save_model
from tests.support.trained_run import TrainedRun

OWN = {"method": "distance", "threshold": 0.4, "sigma": 1.0, "depth": 0.2, "min_area": 5}


@pytest.fixture(scope="module")
def gland_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights whose sidecar has settings of objects."""
    return save_model(tmp_path_factory.mktemp("weights") / "model.pt", GLANDS, instances={"gland": OWN})


@pytest.fixture(scope="module")
def images(sample_dir: Path) -> list[Path]:
    return sorted((sample_dir / "images").glob("*.png"))[:2]


def expected_numbers(probabilities: Path, settings: SplitSettings) -> np.ndarray:
    probability = read_label(probabilities).astype(np.float32) / 65535
    return split_image(probability[None], [settings])[0]


def test_predict_writes_numbers_and_measures(
    gland_weights: Path, images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", *map(str, images), "--bundle", "sa2net", "--weights", str(gland_weights), "--device", "cpu"]
    plain, out = tmp_path / "plain", tmp_path / "out"
    assert main([*words, "--output", str(plain)]) == 0
    capsys.readouterr()
    more = ["--instances", "--measure", "--spacing", "0.5", "--probabilities", "--output", str(out)]
    assert main([*words, *more]) == 0
    printed = capsys.readouterr().out
    assert "objects, gland: method distance, threshold 0.4, sigma 1.0, depth 0.2, min_area 5" in printed
    assert "no settings of objects" not in printed
    with open(out / "measurements.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for image in images:
        numbers = read_label(out / "instances" / f"{image.stem}.png")
        assert numbers.dtype == np.uint16
        assert numbers.max() > 0
        assert np.array_equal(
            numbers, expected_numbers(out / "predictions" / f"{image.stem}_prob.png", SplitSettings.of(OWN))
        )
        # the label map is the one that is written without them
        assert sha256_of(out / "predictions" / image.name) == sha256_of(plain / "predictions" / image.name)
        assert f"{image.stem}.png, {numbers.max()} object" in printed
        whole, *objects = [row for row in rows if row["case"] == image.stem]
        assert (int(whole["count"]), len(objects)) == (numbers.max(), numbers.max())
        assert int(whole["area_px"]) == np.count_nonzero(read_label(out / "predictions" / image.name))
        assert [int(row["area_px"]) for row in objects] == np.bincount(numbers.ravel())[1:].tolist()
        assert [float(row["area_mm2"]) for row in objects] == [int(row["area_px"]) / 4 for row in objects]
    assert main([*words, *more]) == 0
    assert "2 of 2 are finished already" in capsys.readouterr().out


def test_defaults_are_told(images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = save_model(tmp_path / "model.pt", GLANDS)
    words = [
        "predict",
        str(images[0]),
        "--bundle",
        "sa2net",
        "--weights",
        str(weights),
        "--output",
        str(tmp_path / "out"),
    ]
    assert main([*words, "--instances"]) == 0
    assert "model.json has no settings of objects: these are the defaults" in capsys.readouterr().out


def test_a_bundle_in_python(gland_weights: Path, images: list[Path], tmp_path: Path) -> None:
    bundle = load_bundle("sa2net", weights=gland_weights, device="cpu")
    files = bundle.predict(images, tmp_path, instances=True, save_probabilities=True)
    assert files == [tmp_path / "instances" / image.name for image in images]
    assert np.array_equal(bundle.predict(images[0], instances=True), read_label(files[0]))
    own = bundle.predict(images[0], instances={"method": "components"})
    expected = expected_numbers(tmp_path / f"{images[0].stem}_prob.png", SplitSettings("components"))
    assert np.array_equal(own, expected)
    assert bundle.predict(images[0]).max() == 1


def test_volumes_are_measured_and_not_divided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = save_model(tmp_path / "model.pt", HEART)
    words = [
        "predict",
        str(tmp_path),
        "--bundle",
        "hsaunet",
        "--weights",
        str(weights),
        "--output",
        str(tmp_path / "out"),
    ]
    for option, message in (("--instances", "for images only"), ("--spacing=1", "--spacing belongs to --measure")):
        with pytest.raises(SystemExit) as stopped:
            main([*words, option])
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    nib.save(
        nib.Nifti1Image(np.random.default_rng(0).integers(0, 99, (32, 32, 4), np.int16), affine), tmp_path / "h.nii"
    )
    assert main([*words, "--measure"]) == 0
    labels = np.asarray(nib.load(tmp_path / "out" / "predictions" / "h.nii.gz").dataobj)
    with open(tmp_path / "out" / "measurements.csv", newline="") as file:
        wholes = [row for row in csv.DictReader(file) if not row["object"]]
    assert [row["class_name"] for row in wholes] == HEART["class_names"][1:]
    for value, row in enumerate(wholes, start=1):
        assert float(row["volume_ml"]) == pytest.approx(np.count_nonzero(labels == value) * 2 / 1000)
        assert (row["area_mm2"], row["unit"]) == ("", "mm")
    with pytest.raises(ValueError, match="objects are divided in 2D images only"):
        load_bundle("hsaunet", weights=weights, device="cpu").predict(np.zeros((8, 8, 4), np.int16), instances=True)


def test_settings_are_chosen_for_a_run_and_scored(
    trained_run: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(trained_run.folder, tmp_path / "run"))
    before = read_info(run / "models" / "model.pt")
    assert main(["instances", "--bundle", str(run), "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    after = read_info(run / "models" / "model.pt")
    chosen = after.pop("instances")["nucleus"]
    assert after == before
    assert (chosen["chosen"]["criterion"], chosen["chosen"]["images"]) == ("mean", 4)
    assert f"nucleus: {SplitSettings.of(chosen)}" in printed
    objects = sum(
        len(np.unique(read_label(trained_run.data / case["instances"]))) - 1
        for case in json.loads((trained_run.data / "dataset.json").read_text())["validation"]
    )
    assert chosen["chosen"]["objects"] == objects

    packed = tmp_path / "packed" / "model.pt"
    write_weights(run / "models" / "model.pt", packed, read_info(run / "models" / "model.pt"))
    assert read_info(packed)["instances"]["nucleus"] == chosen

    # files that the data set names "instances" are not taken for numbers that were predicted
    assert main(["evaluate", "--bundle", str(run), "--output", str(tmp_path / "plain")]) == 0
    assert not (tmp_path / "plain" / "instances").exists()
    capsys.readouterr()
    out = tmp_path / "scores"
    assert main(["evaluate", "--bundle", str(run), "--instances", "--measure", "--output", str(out)]) == 0
    assert "Single objects (IoU above 0.5)" in capsys.readouterr().out
    with open(out / "instances_per_case.csv", newline="") as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    with open(out / "measurements.csv", newline="") as file:
        measured = [row for row in csv.DictReader(file) if not row["object"]]
    assert len(measured) == 2 * len(rows)
    for case, row in rows.items():
        counts = {row["map"]: int(row["count"]) for row in measured if row["case"] == case}
        assert counts == {"prediction": int(row["objects_pred"]), "reference": int(row["objects_ref"])}
        assert int(row["objects_pred"]) == read_label(out / "instances" / f"{case}.png").max()
        assert int(row["objects_ref"]) == len(np.unique(read_label(trained_run.data / "instances" / f"{case}.png"))) - 1
