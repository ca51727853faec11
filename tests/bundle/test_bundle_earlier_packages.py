# SPDX-License-Identifier: Apache-2.0
"""Packages made by earlier versions predict for ever what they predicted on the day they were made, and still train.

``tests/packaged`` holds two narrow bundles with untrained weights, packaged by version 0.1.0 before the readers moved
to ``sa2_monai.io`` (their TorchScript left out), an image and an oblique volume, and what that version made of them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow
from PIL import Image

from sa2_monai import load_bundle
from sa2_monai.bundle import open_bundle
from sa2_monai.cli import main
from sa2_monai.data import read_label

# Names that have moved since are found where they were.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.* has moved:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:kind .* is called .* now:DeprecationWarning"),
]
PACKAGED = Path(__file__).resolve().parents[1] / "packaged"
TEST_CASES = [
    ("glas_sa2net_v0.1.0.zip", "image.png", "image_label.png"),
    ("nifti_folder_daeformer_v0.1.0.zip", "volume.nii.gz", "volume_label.nii.gz"),
]


def labels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj) if path.name.endswith(".nii.gz") else read_label(path)


@pytest.mark.parametrize(("package", "source", "expected"), TEST_CASES)
def test_predict_is_unchanged(package: str, source: str, expected: str, tmp_path: Path) -> None:
    command = ["predict", str(PACKAGED / source), "--bundle", str(PACKAGED / package), "--output", str(tmp_path)]
    assert main([*command, "--device", "cpu"]) == 0
    written, wanted = labels(tmp_path / "predictions" / source), labels(PACKAGED / expected)
    assert len(np.unique(wanted)) > 1
    np.testing.assert_array_equal(written, wanted)


def test_geometry_is_unchanged(tmp_path: Path) -> None:
    package, source, expected = TEST_CASES[1]
    load_bundle(PACKAGED / package, device="cpu").predict(PACKAGED / source, output_dir=tmp_path)
    (written,) = tmp_path.rglob("*.nii.gz")
    assert nib.load(written).header == nib.load(PACKAGED / expected).header


def test_arrays_give_the_same(tmp_path: Path) -> None:
    package, source, expected = TEST_CASES[0]
    image = np.asarray(Image.open(PACKAGED / source))
    np.testing.assert_array_equal(
        load_bundle(PACKAGED / package, device="cpu").predict(image), labels(PACKAGED / expected)
    )


@pytest.mark.parametrize(("package", "source", "label"), TEST_CASES)
def test_training_from_python_is_a_run(package: str, source: str, label: str, tmp_path: Path) -> None:
    suffix = "".join(Path(source).suffixes)
    for kind, file in (("images", source), ("labels", label)):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for number in range(4):
            shutil.copy(PACKAGED / file, tmp_path / "data" / kind / f"{number}{suffix}")
    overlay = tmp_path / "mine.yaml"
    overlay.write_text(f"layout: {'volumes' if suffix == '.nii.gz' else 'folder'}\n")
    bundle = load_bundle(PACKAGED / package, device="cpu")
    short = {"roi_size": [32, 32], "num_workers": 0, "max_epochs": 1}
    trained = bundle.train(tmp_path / "data", overlay, tmp_path / "run", **short)
    assert trained == tmp_path / "run" / "models" / "model.pt"
    predicted = load_bundle(tmp_path / "run", device="cpu").predict(PACKAGED / source)
    assert predicted.shape == labels(PACKAGED / label).shape


@pytest.mark.parametrize(("package", "source", "label"), TEST_CASES)
@pytest.mark.filterwarnings("ignore:parsing (config|meta)_file:UserWarning")
def test_training_still_works(package: str, source: str, label: str, tmp_path: Path) -> None:
    """An epoch as MONAI Label asks for it; of volumes with ``RandSliced``, which their configurations name."""
    data = [{"image": str(PACKAGED / source), "label": str(PACKAGED / label)}] * 2
    with open_bundle(PACKAGED / package) as root:
        config = root / "configs" / "train.json"
        assert "sa2_monai.transforms.RandSliced" in config.read_text(encoding="utf-8")
        workflow = ConfigWorkflow(
            str(config),
            workflow_type="train",
            logging_file=False,
            **{"bundle_root": str(tmp_path), "device": "cpu", "num_workers": 0, "max_epochs": 1, "roi_size": [32, 32]},
            **{"train#dataset#data": data, "validate#dataset#data": data[:1], "pretrained": None},
        )
        workflow.initialize()
        workflow.run()
        workflow.finalize()
    trained = torch.load(tmp_path / "models" / "model.pt", weights_only=True)
    assert all(torch.isfinite(tensor).all() for tensor in trained.values())
