# SPDX-License-Identifier: Apache-2.0
"""Calibration from end to end: labels are drawn from probabilities at a known temperature, which has to be found."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from sa2_monai import load_bundle
from sa2_monai.bundle import as_validated
from sa2_monai.bundle.calibration.checks import calibratable
from sa2_monai.bundle.calibration.fit import fit_part
from sa2_monai.bundle.calibration.forecast import Forecaster
from sa2_monai.bundle.calibration.run import calibrate_run
from sa2_monai.bundle.locate import find_config
from sa2_monai.bundle.run.evaluate import data_of
from sa2_monai.cli.main import main
from sa2_monai.io.images.read import read_label
from sa2_monai.weights import read_info, save_weights, sha256_of
from sa2_monai.weights.save import _OWN_KEYS
from tests.support.report_pages import Page
from tests.support.trained_run import TrainedRun

FACTOR, SPREAD = 4.0, 1.5
PARTS = {"training": 2, "validation": 3, "test": 3}


class Calibrated(NamedTuple):
    """A bundle that was calibrated on made data, and what came of it."""

    bundle: Path
    data: Path
    document: dict[str, Any]


def sure(source: Path, folder: Path) -> Path:
    """A copy of a bundle whose logits are FACTOR times as large as those from which labels will be drawn."""
    shutil.copytree(source, folder)
    loaded, file = load_bundle(folder, device="cpu"), folder / "models" / "model.pt"
    channels, classes = loaded.settings["in_channels"], loaded.settings["out_channels"]
    network = loaded.network()
    image = torch.rand(1, channels, 4, 4, generator=torch.Generator().manual_seed(1))
    image = torch.nn.functional.interpolate(image, size=(32, 32), mode="bicubic").clamp(0, 1)
    with torch.no_grad():
        logits = network(image)
        for name, bias in network.named_parameters():
            if name.endswith("bias") and len(bias) == classes:
                bias += 1
                last = torch.allclose(network(image), logits + 1, atol=1e-3)
                bias -= 1
                if last:
                    break
        by = FACTOR * SPREAD / float(logits.std())
        weights = torch.load(file, weights_only=True)
        for tensor in (name, f"{name.removesuffix('bias')}weight"):
            weights[tensor] = weights[tensor] * by
    about = {key: value for key, value in read_info(file).items() if key not in _OWN_KEYS}
    save_weights(weights, file, about)
    return folder


def probabilities_of(bundle: Path, image: Path, temperature: float, out: Path) -> np.ndarray:
    """(K, ...) as they are written: 16 bit."""
    loaded = load_bundle(bundle, device="cpu")
    loaded.predict([image], out, save_probabilities=True, temperature=temperature)
    if not loaded.sees_volumes:
        of_one = read_label(out / f"{image.stem}_prob.png") / 65535
        return np.stack([1 - of_one, of_one]).clip(1e-5, 1)
    names = [name.replace(" ", "_") for name in loaded.class_names]
    files = [out / f"{image.name.split('.')[0]}_prob_{name}.nii.gz" for name in names]
    return np.stack([nib.load(file).get_fdata() for file in files]).clip(1e-5, 1)


def write_image(path: Path, rng: np.random.Generator) -> Path:
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    coarse.resize((72, 60), Image.Resampling.BICUBIC).save(path.with_suffix(".png"))
    return path.with_suffix(".png")


def write_volume(path: Path, rng: np.random.Generator) -> Path:
    coarse = Image.fromarray(rng.random((8, 8), dtype=np.float32))
    plane = np.asarray(coarse.resize((40, 40), Image.Resampling.BICUBIC))
    volume = np.stack([np.roll(plane, 3 * index) for index in range(4)], axis=-1)
    nib.save(nib.Nifti1Image(1000 * volume, np.diag([1.5, 1.5, 8, 1])), path.with_suffix(".nii"))
    return path.with_suffix(".nii")


def made_data(bundle: Path, folder: Path, write: Callable[[Path, np.random.Generator], Path]) -> None:
    """Images, and labels drawn from what the bundle says of them when its logits are divided by FACTOR."""
    rng = np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    document: dict[str, Any] = {"labels": {"0": "background", "1": "object"}}
    for part, count in PARTS.items():
        document[part] = []
        for index in range(count):
            image = write(folder / "images" / f"{part}{index}", rng)
            found = probabilities_of(bundle, image, FACTOR, folder / "scratch")
            drawn = (rng.random(found.shape[1:]) > found.cumsum(axis=0)).sum(axis=0).clip(0, len(found) - 1)
            if image.suffix == ".png":
                Image.fromarray(drawn.astype(np.uint8)).save(folder / "labels" / image.name)
            else:
                affine = nib.load(image).affine
                nib.save(nib.Nifti1Image(drawn.astype(np.uint8), affine), folder / "labels" / image.name)
            document[part].append({kind: f"{kind}s/{image.name}" for kind in ("image", "label")})
    shutil.rmtree(folder / "scratch")
    (folder / "dataset.json").write_text(json.dumps(document))


@pytest.fixture(scope="module")
def calibrated(glands_bundle: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Calibrated:
    """Images of another size than the network's, one output channel."""
    place = tmp_path_factory.mktemp("calibrated")
    bundle = sure(glands_bundle[0], place / "bundle")
    made_data(bundle, place / "data", write_image)
    document, folder = calibrate_run(bundle, place / "data", device="cpu")
    assert folder == bundle / "eval"
    return Calibrated(bundle, place / "data", document)


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


def test_predictions_use_it_where_nothing_else_is_said(calibrated: Calibrated, tmp_path: Path) -> None:
    image = calibrated.data / "images" / "test0.png"
    found = calibrated.document["temperature"]
    files = {}
    for name, given in {"as calibrated": {}, "told": {"temperature": found}, "plain": {"temperature": 1.0}}.items():
        load_bundle(calibrated.bundle, device="cpu").predict([image], tmp_path / name, save_probabilities=True, **given)
        files[name] = sha256_of(tmp_path / name / "test0_prob.png")
    assert files["as calibrated"] == files["told"] != files["plain"]
    words = [
        "predict",
        str(image),
        "--bundle",
        str(calibrated.bundle),
        "--output",
        str(tmp_path / "o"),
        "--probabilities",
    ]
    assert main([*words, "--device", "cpu"]) == 0
    assert sha256_of(tmp_path / "o" / "predictions" / "test0_prob.png") == files["as calibrated"]


def test_finished_cases_are_done_again_with_another_temperature(
    calibrated: Calibrated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = Path(shutil.copytree(calibrated.bundle, tmp_path / "bundle"))
    image, out = calibrated.data / "images" / "test0.png", tmp_path / "o"
    words = ["predict", str(image), "--bundle", str(bundle), "--output", str(out), "--device", "cpu"]
    assert main(words) == main(words) == 0
    assert "1 of 1 are finished already" in capsys.readouterr().out
    sidecar = bundle / "models" / "model.json"
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "temperature": 3.0}))
    assert main(words) == 0
    assert "finished already" not in capsys.readouterr().out


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


def test_published_views_have_no_probabilities(heart_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(heart_bundle, tmp_path / "bundle"))
    sidecar = bundle / "models" / "model.json"
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "view": "paper"}))
    with pytest.raises(ValueError, match="its view is 'paper', which has label maps only"):
        calibratable(bundle)


@pytest.mark.parametrize("settings", [{}, {"roi_size": [48, 48]}], ids=["one view", "two views"])
def test_members_of_an_ensemble_have_their_own(
    settings: dict[str, Any], calibrated: Calibrated, tmp_path: Path
) -> None:
    members, image = [], calibrated.data / "images" / "test0.png"
    for name, entries in {"calibrated": {}, "plain": {"temperature": None, **settings}}.items():
        bundle = Path(shutil.copytree(calibrated.bundle, tmp_path / name))
        sidecar = bundle / "models" / "model.json"
        sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), **entries}))
        members.append(bundle)
    ensemble = load_bundle(members, device="cpu")
    assert "temperature" not in read_info(ensemble.root / "models" / "model.pt")
    found = []
    for name, bundle in {"both": ensemble, **{file.name: load_bundle(file, device="cpu") for file in members}}.items():
        out = tmp_path / "o" / name
        bundle.predict([image], out, save_probabilities=True)
        one, both = out / "test0_prob.png", out / "test0_prob.npy"  # of members with two views each class has a channel
        found.append(read_label(one) / 65535 if one.is_file() else np.load(both)[1].astype(float))
    assert np.abs(found[1] - found[2]).max() > 0.05
    np.testing.assert_allclose(found[0], (found[1] + found[2]) / 2, atol=1e-3)


def test_as_validated(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    assert as_validated(file, temperature=None) == {"temperature": None}
    save_weights({"w": torch.zeros(1)}, file, {"network": "sa2net", "temperature": 2.5})
    assert as_validated(file, temperature=None) == {"temperature": 2.5}
    assert as_validated(file, temperature=1.0) == {"temperature": 1.0}
    assert as_validated([file, file], temperature=None) == {"temperature": None}, "the networks have their own"


def _zip(calibrated: Calibrated, place: Path) -> Path:
    return Path(shutil.make_archive(str(place / "bundle"), "zip", calibrated.bundle.parent, "bundle"))


def _crossval(_calibrated: Calibrated, place: Path) -> Path:
    for name in ("fold0", "fold1"):
        (place / name / "models").mkdir(parents=True)
        (place / name / "models" / "model.pt").touch()
    (place / "crossval.json").write_text("{}")
    return place


def _with(**entries: Any) -> Callable[[Calibrated, Path], Path]:
    def make(calibrated: Calibrated, place: Path) -> Path:
        bundle = Path(shutil.copytree(calibrated.bundle, place / "bundle"))
        sidecar = bundle / "models" / "model.json"
        sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), **entries}))
        return bundle

    return make


def _without(name: str) -> Callable[[Calibrated, Path], Path]:
    def make(calibrated: Calibrated, place: Path) -> Path:
        bundle = Path(shutil.copytree(calibrated.bundle, place / "bundle"))
        (bundle / "models" / name).unlink()
        return bundle

    return make


def _unvalidated(calibrated: Calibrated, place: Path) -> Path:
    bundle = _with()(calibrated, place)
    config = find_config(bundle, "train")
    config.write_text(json.dumps({**json.loads(config.read_text()), "validation": "none"}))
    return bundle


TEST_CASES_REFUSED = {
    "zip": (_zip, "is a zip file, beside whose weights nothing can be written"),
    "crossval": (_crossval, r"is an ensemble, .*Calibrate its members"),
    "packaged ensemble": (_with(ensemble=[{"network": "sa2net", "sha256": "0"}]), "is an ensemble, whose networks have a temperature each"),
    "no sidecar": (_without("model.json"), r"model.pt has no model.json beside it, in which the temperature"),
    "no weights": (_without("model.pt"), "has no models/model.pt"),
    "validation: none": (_unvalidated, "has no validation part, on which a temperature could be fitted"),
    "included": (lambda _calibrated, _place: "sa2net", "has no models/model.pt"),
    "nowhere": (lambda _calibrated, place: place / "none", "none"),
}


@pytest.mark.parametrize("case", TEST_CASES_REFUSED)
def test_refused_in_one_line(
    case: str, calibrated: Calibrated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = TEST_CASES_REFUSED[case]
    words = [
        "calibrate",
        "--bundle",
        str(make(calibrated, tmp_path)),
        "--data",
        str(calibrated.data),
        "--device",
        "cpu",
    ]
    assert main(words) == 1
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1
    assert re.search(message, error), error
