# SPDX-License-Identifier: Apache-2.0
"""Models of the preprocessed data sets predict such files, and the label maps are scored against them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from sa2_monai.bundle import load_bundle
from sa2_monai.cli import main
from sa2_monai.data import read_preprocessed
from sa2_monai.evaluation import evaluate
from sa2_monai.inference import VolumeInferer
from sa2_monai.networks import create_network
from sa2_monai.weights import load_weights
from tests.support.small_models import HEART, save_model

ORGANS: dict[str, Any] = {
    **HEART,
    "network": "daeformer",
    "kind": "preprocessed",
    "intensity": "window",  # for volumes only: the files are scaled already
    "intensity_range": [-125, 275],
}
ORGANS.pop("window_size")
BEATS: dict[str, Any] = {
    **HEART,
    "network": "sa2net",
    "base_channels": 4,
    "kind": "preprocessed",
    "intensity": "none",
}
for key in ("window_size", "embed_dims", "channel_heads", "normalize", "resize"):
    BEATS.pop(key)
MODELS = {"daeformer": ORGANS, "sa2net": BEATS}


def write(folder: Path) -> dict[str, Path]:
    """A slice and a volume in either format, as the two data sets name their arrays."""
    h5py = pytest.importorskip("h5py", reason="extra `archives` is not installed")
    rng = np.random.default_rng(0)
    image = rng.random((3, 40, 36), dtype=np.float32)
    label = np.zeros(image.shape, np.float32)
    label[:, 4:30, 6:20], label[:, 8:16, 22:34] = 1, 3
    files = {
        "case0005_slice000": folder / "train_npz" / "case0005_slice000.npz",
        "case_002_volume_ED": folder / "test" / "case_002_volume_ED.npz",
        "case0001": folder / "test_vol_h5" / "case0001.npy.h5",
    }
    for path in files.values():
        path.parent.mkdir(parents=True)
    np.savez(files["case0005_slice000"], image=image[0], label=label[0])
    np.savez(files["case_002_volume_ED"], img=image, label=label)
    with h5py.File(files["case0001"], "w") as file:
        file["image"], file["label"] = image, label
    return files


@pytest.mark.parametrize("name", MODELS)
def test_predict_takes_what_the_model_was_trained_on(name: str, repository: Path, tmp_path: Path) -> None:
    info = MODELS[name]
    files, model = write(tmp_path / "data"), save_model(tmp_path / "model.pt", info)
    words = ["--output", str(tmp_path / "out"), "--weights", str(model), "--device", "cpu"]
    assert main(["predict", str(tmp_path / "data"), *words]) == 0
    kept = ("in_channels", "out_channels", "base_channels", "embed_dims", "channel_heads")
    network = create_network(name, **{key: info[key] for key in kept if key in info})
    load_weights(network, model)
    inferer = VolumeInferer(info["roi_size"], normalize=info.get("normalize"), resize=info.get("resize", "spline"))
    for case, path in files.items():
        image = read_preprocessed(path)
        image = image[:, :, None] if image.ndim == 2 else image
        expected = inferer(torch.from_numpy(image)[None, None], network.eval())[0, 0].numpy()
        found = nib.load(tmp_path / "out" / "predictions" / f"{case}.nii.gz")
        assert len(np.unique(expected)) > 1
        np.testing.assert_array_equal(np.asarray(found.dataobj), expected)
        np.testing.assert_array_equal(found.affine, np.eye(4))
    result = evaluate(tmp_path / "out" / "predictions", list(files.values()), info["class_names"], bootstrap_samples=5)
    assert sorted(result.cases) == sorted(files)
    assert result.failed == []
    assert {row["unit"] for row in result.per_case} == {"px"}
    loaded = load_bundle(repository / "bundles" / name, weights=model, device="cpu")
    maps = loaded.predict([str(path) for path in files.values()])
    for case, found in zip(files, maps, strict=True):
        stored = nib.load(tmp_path / "out" / "predictions" / f"{case}.nii.gz")
        np.testing.assert_array_equal(found, np.asarray(stored.dataobj))


def test_volumes_are_windowed_and_other_models_refuse_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, model = write(tmp_path / "data"), save_model(tmp_path / "model.pt", ORGANS)
    image = read_preprocessed(files["case0001"])
    nib.save(nib.Nifti1Image(image * 400 - 125, np.diag([-1.0, -1, 1, 1])), tmp_path / "case0001.nii.gz")  # axes LPS
    common = ["--weights", str(model), "--device", "cpu"]
    assert main(["predict", str(tmp_path / "case0001.nii.gz"), "--output", str(tmp_path / "a"), *common]) == 0
    assert main(["predict", str(files["case0001"]), "--output", str(tmp_path / "b"), *common]) == 0
    maps = [np.asarray(nib.load(tmp_path / o / "predictions" / "case0001.nii.gz").dataobj) for o in "ab"]
    assert np.mean(maps[0] != maps[1]) < 0.01  # but for the rounding of the scaled intensities
    other = save_model(tmp_path / "other.pt", {**ORGANS, "kind": "volumes"})
    for source, weights, message in (
        (tmp_path, model, "in separate runs"),
        (files["case0001"], other, "not a volume by its name or content"),
    ):
        words = ["--output", str(tmp_path / "c"), "--weights", str(weights), "--device", "cpu"]
        assert main(["predict", str(source), *words]) == 1
        assert message in capsys.readouterr().err
