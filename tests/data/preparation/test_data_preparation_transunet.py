# SPDX-License-Identifier: Apache-2.0
"""Synapse laid down as TransUNet's archive: arrays, orientation, the same bytes on each run, the way back."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import pytest

from sa2_monai.data import (
    DATASETS,
    SYNAPSE_TABLES,
    calibrate,
    load_datalist,
    orient,
    read_preprocessed,
    read_volume,
)
from sa2_monai.data.dataset import Job, ListOptions
from sa2_monai.data.preparation.preprocessed_writer import write_h5, write_npz
from sa2_monai.data.preparation.transunet import ORIENTATION, preprocessed_jobs, read_orientation, write_preprocessed
from sa2_monai.data.preparation.transunet_form import canonical
from sa2_monai.data.prepare import prepare_dataset

SHAPE = (6, 5, 4)
TURNED: dict[str, Any] = {"transpose": True, "flip": [1], "reverse_z": True, "relative_to": "LPS"}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Two training cases and one test case, stored left-anterior-superior."""
    folder = tmp_path / "RawData/Training"
    for kind in ("img", "label"):
        (folder / kind).mkdir(parents=True)
    for number in (5, 6, 8):
        rng = np.random.RandomState(number)
        affine = np.diag([-0.8, 0.8, 3, 1])
        image, label = rng.randint(-1000, 1000, SHAPE).astype(np.int16), rng.randint(0, 14, SHAPE).astype(np.uint8)
        label[0] = 1  # a spleen larger than the aorta
        nib.save(nib.Nifti1Image(image, affine), folder / f"img/img{number:04d}.nii.gz")
        nib.save(nib.Nifti1Image(label, affine), folder / f"label/label{number:04d}.nii.gz")
    return tmp_path


def volumes(raw: Path, number: int) -> tuple[np.ndarray, np.ndarray]:
    files = (raw / "RawData/Training" / f"{kind}/{kind}{number:04d}.nii.gz" for kind in ("img", "label"))
    image, label = (np.asarray(nib.load(path).dataobj) for path in files)
    return image, np.vectorize(SYNAPSE_TABLES["raw"].get)(label)


def jobs(folder: Path) -> list[Job]:
    return DATASETS["synapse"].preparations["transunet"].jobs(folder, ListOptions())


def test_archive_by_default(raw: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out = tmp_path / "out"
    prepare_dataset("synapse", raw / "RawData", out, progress=False)
    assert "the orientation of the slices is unverified" in caplog.text
    image, label = volumes(raw, 5)
    # MMSegmentation's form of files stored left-anterior-superior: (x, y reversed) for each z.
    for k in range(SHAPE[2]):
        with np.load(out / f"train_npz/case0005_slice{k:03d}.npz") as stored:
            assert {name: stored[name].dtype for name in stored} == dict.fromkeys(("image", "label"), np.float32)
            np.testing.assert_allclose(
                stored["image"], (np.clip(image[:, ::-1, k], -125.0, 275.0) + 125) / 400, atol=1e-6
            )
            np.testing.assert_array_equal(stored["label"], label[:, ::-1, k])
    image, label = volumes(raw, 8)
    with h5py.File(out / "test_vol_h5/case0008.npy.h5") as stored:
        assert stored["image"].shape == (4, 6, 5)
        assert stored["image"].dtype == stored["label"].dtype == np.float32
        assert stored["image"][()].min() == 0
        assert stored["image"][()].max() == 1
        np.testing.assert_array_equal(stored["label"][()], label[:, ::-1].transpose(2, 0, 1))
    options = json.loads((out / "manifest.json").read_text())["jobs"]["case0005"]["options"]
    assert options["orientation"] == ORIENTATION
    assert options["orientation_verified"] is False
    # It is read as the archive of the literature.
    assert len(load_datalist(out, "training", "synapse_archive", num_folds=2)) == SHAPE[2]
    (case,) = load_datalist(out, "test", "synapse_archive")
    assert case["case"] == "case0008"
    listed = json.loads((out / "dataset.json").read_text())
    assert [len(listed[part]) for part in ("training", "validation", "test")] == [8, 0, 1]
    assert listed["labels"]["7"] == "spleen"


def test_calibrated_orientation_and_the_way_back(raw: Path, tmp_path: Path) -> None:
    folder = raw / "RawData/Training"
    (raw / "orientation.json").write_text(json.dumps(TURNED))
    (job,) = (job for job in jobs(raw) if job.options["section"] == "test")
    assert job.options["orientation_verified"] is True
    (case,) = job.run(job, tmp_path)
    archive, image, label = (tmp_path / case["image"], folder / "img/img0008.nii.gz", folder / "label/label0008.nii.gz")
    assert calibrate(archive, image, label) == TURNED
    # Back: labels in the order of the file, voxel for voxel.
    stored = read_preprocessed(archive, "label")
    original = read_volume(label)
    indices = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    places = orient(canonical(type(original)(indices, original.header)), TURNED)
    back = np.empty(SHAPE, stored.dtype)
    back.ravel()[places.ravel()] = stored.ravel()
    np.testing.assert_array_equal(back, np.vectorize(SYNAPSE_TABLES["raw"].get)(original.array))


def test_same_bytes_again(raw: Path, tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        for job in jobs(raw):
            job.run(job, tmp_path / name)
        made.append({p.name: p.read_bytes() for p in (tmp_path / name).rglob("*.*") if p.is_file()})
        time.sleep(1.1 if name == "one" else 0)  # seconds are what times in files are counted in
    assert len(made[0]) == 9
    assert made[0] == made[1]


@pytest.mark.parametrize(
    "content",
    ["[]", "{", '{"transpose": true}', json.dumps({**TURNED, "flip": [2]}), json.dumps({**TURNED, "transpose": 1})],
)
def test_orientation_files_that_say_nothing(tmp_path: Path, content: str) -> None:
    assert read_orientation(tmp_path) is None
    (tmp_path / "orientation.json").write_text(content)
    with pytest.raises(ValueError, match=r"orientation\.json: .*calibrate again"):
        read_orientation(tmp_path)


def test_files_that_cannot_be_prepared(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs(raw)[0]
    (narrow,) = preprocessed_jobs(raw, {"training": [_case(job)]}, {0: 0, 1: 7})
    with pytest.raises(ValueError, match=r"label0005\.nii\.gz: holds the value 2, which is not in the label table"):
        write_preprocessed(narrow, tmp_path)
    remapped = np.full(SHAPE, 7, np.uint8)  # a spleen in TransUNet's numbering
    nib.save(nib.Nifti1Image(remapped, np.diag([-0.8, 0.8, 3, 1])), job.sources[1])
    with pytest.raises(ValueError, match="the 8 organs in TransUNet's order, not the 13 structures as downloaded"):
        job.run(job, tmp_path)
    nib.save(nib.Nifti1Image(np.zeros((2, 3, 4), np.uint8), np.eye(4)), job.sources[1])
    with pytest.raises(ValueError, match=r"has the shape \(2, 3, 4\) \(LPS\), its image \(6, 5, 4\)"):
        job.run(job, tmp_path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"writing HDF5 needs h5py, .* pip install sa2_monai\[archives\]"):
        write_h5(tmp_path / "a.h5", {"image": np.zeros((1, 2, 3))})


def _case(job: Job) -> dict[str, str]:
    return {"image": str(job.sources[0]), "label": str(job.sources[1]), "case": job.name}


def test_npz_is_what_numpy_reads(tmp_path: Path) -> None:
    arrays = {"image": np.random.RandomState(0).rand(3, 4).T, "label": np.arange(3)}
    write_npz(tmp_path / "a/b.npz", arrays)
    with np.load(tmp_path / "a/b.npz", allow_pickle=False) as read:
        assert list(read) == ["image", "label"]
        for name, array in arrays.items():
            np.testing.assert_array_equal(read[name], array)
