# SPDX-License-Identifier: Apache-2.0
"""Several runs as one bundle: its labels are those of the mean of the probabilities, wherever a bundle can be used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import monai.bundle
import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from PIL import Image

from sa2_monai import load_bundle
from sa2_monai.bundle import package_bundle
from sa2_monai.bundle.ensemble.open import open_bundles
from sa2_monai.bundle.ensemble.paths import bundles_first
from sa2_monai.bundle.run.evaluate import evaluate_run
from sa2_monai.bundle.run.results import results_of_ensemble
from sa2_monai.cli.main import main
from sa2_monai.data import make_sample
from sa2_monai.weights import read_info, save_weights, sha256_of
from tests.support.small_models import HEART, script_in_process

pytestmark = pytest.mark.filterwarnings("ignore:parsing (config|meta)_file:UserWarning")


def member(source: Path, folder: Path, seed: int, **settings: Any) -> Path:
    """The bundle with other weights, and a model that sees an image in another way."""
    shutil.copytree(source, folder)
    file = folder / "models" / "model.pt"
    generator = torch.Generator().manual_seed(seed)
    weights = torch.load(file, weights_only=True)
    for name, value in weights.items():
        if name.endswith("weight"):
            weights[name] = value * (1 + 0.5 * torch.randn(value.shape, generator=generator))
    about = {key: value for key, value in read_info(file).items() if key not in ("file", "sha256", "bytes", "tensors")}
    for key in ("parameters", "sa2_monai"):
        del about[key]
    save_weights(weights, file, {**about, **settings})
    for stem in ("train", "inference"):
        config = folder / "configs" / f"{stem}.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), **settings}))
    return folder


@pytest.fixture(scope="module")
def folds(glands_bundle: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two models of one architecture and one view, as the folds of a cross-validation."""
    place = tmp_path_factory.mktemp("crossval")
    (place / "crossval.json").write_text("{}")
    return [member(glands_bundle[0], place / f"fold{index}", index) for index in range(2)]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(3)
    for index in range(2):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        coarse.resize((40 + 8 * index, 36)).save(folder / f"image{index}.png")
    return folder


def served(bundle: Path, image: Path, output: str = "probabilities") -> np.ndarray:
    """What a bundle makes of a file as MONAI Label runs it: built from its configuration, without the evaluator."""
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    parser["bundle_root"], parser["image_source"], parser["device"] = str(bundle), str(image), "cpu"
    parser["save_probabilities"] = output == "probabilities"
    network = parser.get_parsed_content("network_def")
    state = torch.load(bundle / "models" / "model.pt", weights_only=True)
    network.load_state_dict(state.get("model", state), strict=True)
    data = parser.get_parsed_content("preprocessing")({"image": str(image), "case": image.stem})
    found = parser.get_parsed_content("inferer")(data["image"][None], network.eval())
    return np.asarray(found[0].as_tensor())


def labels_of(probabilities: np.ndarray) -> np.ndarray:
    return (probabilities[0] >= 0.5) if len(probabilities) == 1 else probabilities.argmax(0)


def test_equal_members_are_one(folds: list[Path], images: Path) -> None:
    one, three = (load_bundle(path, device="cpu").predict(images) for path in (folds[0], [folds[0]] * 3))
    assert all(np.array_equal(first, second) for first, second in zip(one, three, strict=True))
    assert any(0 < label.mean() < 1 for label in one)


def test_the_mean_of_probabilities(
    folds: list[Path], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cross-validation, or its folds one by one: the command, Python and the run of a configuration agree."""
    with open_bundles([folds[0].parent]) as ensemble, open_bundles(folds) as again:
        for image in sorted(images.iterdir()):
            each = [served(fold, image) for fold in folds]
            assert np.abs(each[0] - each[1]).max() > 0.01
            assert np.abs(served(ensemble, image) - np.mean(each, axis=0)).max() < 1e-6
        assert all(
            (ensemble / name).read_bytes() == (again / name).read_bytes()
            for name in ("models/model.pt", "models/model.json", "configs/inference.json", "configs/train.json")
        )
    expected = {
        image.stem: labels_of(np.mean([served(fold, image) for fold in folds], axis=0))[..., 0]
        for image in images.iterdir()
    }
    found = load_bundle(folds[0].parent, device="cpu").predict(images)
    assert (
        main(["predict", str(images), "--bundle", *map(str, folds), "--output", str(tmp_path), "--device", "cpu"]) == 0
    )
    assert "ensemble of 2 (sa2net, sa2net): class_names ['background', 'gland']" in capsys.readouterr().out
    for (name, labels), label in zip(sorted(expected.items()), found, strict=True):
        assert np.array_equal(label, labels)
        assert np.array_equal(np.asarray(Image.open(tmp_path / "predictions" / f"{name}.png")) > 0, labels > 0)


def test_scores_of_the_ensemble_go_with_it(tmp_path: Path) -> None:
    """Those of the test part of its cross-validation, as long as the models are those that were scored."""
    digests = []
    for fold in range(2):
        (tmp_path / f"fold{fold}" / "models").mkdir(parents=True)
        (tmp_path / f"fold{fold}" / "models" / "model.pt").write_text(str(fold))
        digests.append(sha256_of(tmp_path / f"fold{fold}" / "models" / "model.pt"))
    (tmp_path / "crossval.json").write_text(json.dumps({"configuration": {"folds": 2}}))
    assert results_of_ensemble(tmp_path) is None
    (tmp_path / "ensemble").mkdir()
    (tmp_path / "ensemble" / "metrics_summary.json").write_text("{}")
    (tmp_path / "ensemble" / "models.json").write_text(json.dumps({"sha256": digests}))
    assert results_of_ensemble(tmp_path) == tmp_path / "ensemble" / "metrics_summary.json"
    (tmp_path / "fold1" / "models" / "model.pt").write_text("another")
    assert results_of_ensemble(tmp_path) is None


def test_evaluate(folds: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    make_sample(data, seed=0, num_training=1, num_validation=1, num_test=2, size=(40, 40))
    words = ["evaluate", "--bundle", *map(str, folds), "--data", str(data), "--device", "cpu"]
    assert main(words) == 1
    assert "give --output, the folder for the results of an ensemble" in capsys.readouterr().err
    assert main([*words, "--output", str(tmp_path / "out")]) == 0
    summary = json.loads((tmp_path / "out" / "metrics_summary.json").read_text())
    assert summary["cases"] == 2
    result, _ = evaluate_run(folds[0].parent, data, tmp_path / "again", "cpu")
    assert result.summary["overall"] == summary["overall"]


def test_package(folds: list[Path], images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle that stands alone, for MONAI, MONAI Label and this package."""
    script_in_process(monkeypatch)
    assert main(["package", "--bundle", str(folds[0].parent), "--output", str(tmp_path), "--name", "both"]) == 0
    packaged = tmp_path / "both"
    with open_bundles(folds) as ensemble:
        for image in sorted(images.iterdir()):
            assert np.array_equal(served(packaged, image), served(ensemble, image))
    expected = load_bundle(folds, device="cpu").predict(images)
    found = load_bundle(packaged, device="cpu").predict(images)
    assert all(np.array_equal(first, second) for first, second in zip(expected, found, strict=True))
    monai.bundle.run(
        config_file=str(packaged / "configs" / "inference.json"),
        logging_file=False,
        bundle_root=str(packaged),
        dataset_dir=str(images),
        output_dir=str(tmp_path / "eval"),
        device="cpu",
        num_workers=0,
    )
    for image, label in zip(sorted(images.iterdir()), expected, strict=True):
        assert np.array_equal(np.asarray(Image.open(tmp_path / "eval" / "predictions" / image.name)) > 0, label > 0)
    scripted = torch.jit.load(str(packaged / "models" / "model.ts"))
    assert scripted(torch.rand(1, 3, 32, 32)).shape == (1, 1, 32, 32)
    info = read_info(packaged / "models" / "model.pt")
    assert [entry["network"] for entry in info["ensemble"]] == ["sa2net", "sa2net"]
    with pytest.raises(ValueError, match="is an ensemble itself; give its members"):
        load_bundle([packaged, folds[0]])


def test_members_with_views_of_their_own(
    folds: list[Path], images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is given what it was trained on; the mean is taken on the pixels of the image."""
    other = member(folds[1], tmp_path / "other", 7, view="windows", roi_size=[48, 32], intensity="percentiles")
    script_in_process(monkeypatch)
    both = [folds[0], other]
    (packaged,) = _package(both, tmp_path)
    for image in sorted(images.iterdir()):
        each = [served(path, image) for path in both]
        mean = np.mean(each, axis=0)
        assert np.abs(served(packaged, image) - np.concatenate([1 - mean, mean])).max() < 1e-6
        expected = mean[0, ..., 0] >= 0.5
        assert np.array_equal(load_bundle(both, device="cpu").predict(image) > 0, expected)
        assert np.array_equal(load_bundle(packaged, device="cpu").predict(image) > 0, expected)
    assert not (packaged / "models" / "model.ts").exists()


def _package(members: list[Path], place: Path) -> list[Path]:
    with open_bundles(members) as ensemble:
        return package_bundle(ensemble, ensemble / "models" / "model.pt", place, name="views")


def test_volumes_of_two_views(heart_bundle: Path, tmp_path: Path) -> None:
    """Slices of another axis and windows of another size, brought back to the voxels of the file."""
    other = member(heart_bundle, tmp_path / "other", 7, slice_axis="sagittal", roi_size=[64, 32], intensity="minmax")
    rng = np.random.default_rng(0)
    affine = np.diag([-2.0, 1.5, 4.0, 1.0])
    volume = nib.Nifti1Image(rng.integers(-100, 400, (20, 24, 6)).astype(np.int16), affine)
    nib.save(volume, tmp_path / "scan.nii.gz")
    both = [heart_bundle, other]
    for index, path in enumerate([*both, both]):
        load_bundle(path, device="cpu").predict(
            tmp_path / "scan.nii.gz", tmp_path / str(index), save_probabilities=True
        )
    means = []
    for name in HEART["class_names"]:
        files = [tmp_path / str(index) / f"scan_prob_{name.replace(' ', '_')}.nii.gz" for index in range(3)]
        values = [np.asarray(nib.load(file).dataobj, np.float64) for file in files]
        assert np.abs((values[0] + values[1]) / 2 - values[2]).max() < 1e-4  # files hold rounded values
        means.append(values[2])
    label = np.asarray(nib.load(tmp_path / "2" / "scan.nii.gz").dataobj)
    assert label.shape == (20, 24, 6)
    clear = np.sort(means, axis=0)[-1] - np.sort(means, axis=0)[-2] > 1e-3
    assert np.array_equal(label[clear], np.argmax(means, axis=0)[clear])


def test_what_cannot_be_one(
    folds: list[Path], heart_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, message in (
        ([folds[0], heart_bundle], "cannot be one ensemble: kind is 'volumes' and 'images'"),
        ([folds[0], "sa2net"], "has no models/model.pt"),
        ([folds[0], tmp_path / "nowhere"], "no such bundle"),
    ):
        assert main(["predict", "x.png", "--bundle", *map(str, words), "--output", str(tmp_path / "out")]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    (tmp_path / "crossval.json").write_text("{}")
    (tmp_path / "fold0").mkdir()
    with pytest.raises(ValueError, match=r"not finished: fold0 has no models/model\.pt"):
        load_bundle(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "x.png", "--bundle", *map(str, folds), "--weights", "w.pt", "--output", str(tmp_path / "o")])
    with pytest.raises(ValueError, match="an ensemble has its own"):
        load_bundle(folds, weights="w.pt")


def test_inputs_behind_the_bundles(folds: list[Path], images: Path, tmp_path: Path) -> None:
    """``--bundle RUN1 RUN2 INPUT``: what can be a bundle is one."""
    words = [*map(str, folds), str(images)]
    assert bundles_first(words) == (words[:2], words[2:])
    assert bundles_first([str(folds[0].parent), "sa2net", "scan.nii.gz"])[1] == ["scan.nii.gz"]
    assert bundles_first(["nowhere", str(images)]) == (["nowhere"], [str(images)])
    assert main(["predict", "--bundle", *words, "--output", str(tmp_path), "--device", "cpu"]) == 0
    assert len(list((tmp_path / "predictions").iterdir())) == 2
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "--bundle", *map(str, folds), "--output", str(tmp_path)])
