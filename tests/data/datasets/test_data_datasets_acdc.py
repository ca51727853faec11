# SPDX-License-Identifier: Apache-2.0
"""ACDC: frames by Info.cfg, the splits by patient, and both preprocessed forms."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import pytest

from sa2_monai.data import ACDC_CLASSES, ACDC_SPLITS, dataset_classes, load_datalist, load_parts, read_preprocessed

# Printed lists of the papers' code.
TEST = [2, 3, 8, 9, 12, 14, 17, 24, 42, 48, 49, 53, 55, 64, 67, 79, 81, 88, 92, 95]
VALIDATION = [19, 21, 29, 33, 41, 50, 61, 71, 76, 80]
TRAINING = sorted(set(range(1, 101)) - set(TEST) - set(VALIDATION))


def patient(folder: Path, number: int, frames: tuple[int, int] = (1, 12), label: bool = True) -> Path:
    """Folder of a patient with three frames, of which Info.cfg names two."""
    name = f"patient{number:03d}"
    inside = folder / name
    inside.mkdir(parents=True)
    (inside / "Info.cfg").write_text(
        f"ED: {frames[0]}\r\nES: {frames[1]}\r\nGroup: NOR\r\nHeight: 184.0\r\nNbFrame: 30\r\nWeight: 95.0\r\n"
    )
    affine = np.diag([1.5, 1.5, 10, 1])
    for frame in {*frames, 20}:
        nib.save(nib.Nifti1Image(np.zeros((4, 5, 3), np.int16), affine), inside / f"{name}_frame{frame:02d}.nii.gz")
        if label:
            array = np.arange(60, dtype=np.uint8).reshape(4, 5, 3) % 4
            nib.save(nib.Nifti1Image(array, affine), inside / f"{name}_frame{frame:02d}_gt.nii.gz")
    return inside


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 150 patients; for speed the folders hold empty files, except those of three patients."""
    folder = tmp_path_factory.mktemp("acdc") / "database"
    for number in range(1, 151):
        part = folder / ("training" if number <= 100 else "testing")
        if number in (1, 2, 19):
            patient(part, number, (4, 12))
            continue
        name = f"patient{number:03d}"
        (part / name).mkdir(parents=True)
        (part / name / "Info.cfg").write_text("ED: 1\nES: 9\n")
        for frame in ("01", "01_gt", "09", "09_gt"):
            (part / name / f"{name}_frame{frame}.nii.gz").touch()
    return folder


def numbers(cases: Iterable[dict[str, Any]]) -> list[int]:
    return sorted({int(case["group"][-3:]) for case in cases})


def test_split_of_mtunet_is_the_default(database: Path) -> None:
    for folder in (database, database.parent):
        parts = load_parts(folder, "acdc")
        assert [numbers(part) for part in parts.values()] == [TRAINING, VALIDATION, TEST]
        assert [len(part) for part in parts.values()] == [140, 20, 40]
    assert load_parts(database / "training", "acdc") == parts == load_parts(database, "acdc", split="mtunet")
    first, second = parts["training"][:2]
    assert first == {
        "image": str(database / "training/patient001/patient001_frame04.nii.gz"),
        "label": str(database / "training/patient001/patient001_frame04_gt.nii.gz"),
        "case": "patient001_ED",
        "group": "patient001",
    }
    assert second["case"] == "patient001_ES"
    assert second["image"].endswith("patient001_frame12.nii.gz")
    folds = [load_parts(database, "acdc", fold=k) for k in range(5)]
    assert sorted(n for fold in folds for n in numbers(fold["validation"])) == TRAINING
    assert all(not set(numbers(fold["validation"])) & set(numbers(fold["training"])) for fold in folds)


def test_other_splits(database: Path) -> None:
    parts = load_parts(database, "acdc", split="official")
    assert numbers(parts["training"] + parts["validation"]) == list(range(1, 101))
    assert [len(part) for part in parts.values()] == [160, 40, 100]
    assert numbers(parts["test"]) == list(range(101, 151))
    parts = load_parts(database, "acdc", split="ssl4mis")
    assert [len(part) for part in parts.values()] == [140, 20, 40]
    assert numbers(parts["test"])[:4] == [1, 7, 8, 11]
    assert numbers(parts["validation"]) == list(ACDC_SPLITS["ssl4mis"]["validation"])
    with pytest.raises(ValueError, match="split is 'x', expected one of mtunet, ssl4mis, official"):
        load_parts(database, "acdc", split="x")


def test_part_of_the_patients_with_checks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in (1, 2, 4, 5, 6, 7):
        patient(tmp_path / "training", number)
    for number in (101, 102):
        patient(tmp_path / "testing", number, label=False)
    parts = {s: load_datalist(tmp_path, s, "acdc", in_channels=1) for s in ("training", "validation", "test")}
    assert numbers(parts["training"] + parts["validation"]) == [1, 4, 5, 6, 7]  # no validation patient: folded
    assert [len(part) for part in parts.values()] == [8, 2, 2]
    assert numbers(parts["test"]) == [2]
    assert "6 patients, the split 'mtunet' of the published data set has 100" in caplog.text
    assert dataset_classes(tmp_path, "acdc") == (list(ACDC_CLASSES), {0: 0, 1: 1, 2: 2, 3: 3})
    with pytest.raises(ValueError, match=r"4 of 4 test cases have no label \(patient101_ED, patient101_ES"):
        load_datalist(tmp_path, "test", "acdc", split="official")


def test_a_few_patients_as_downloaded(tmp_path: Path) -> None:
    """Parts that none of the patients is of are made of the others; copies of the folder's name do not matter."""
    base = tmp_path / "ACDC" / "database"
    for number in (1, 4, 5, 6, 7):  # training patients of mtunet
        patient(base / "training", number)
    parts = load_parts(tmp_path, "acdc")
    assert [len(part) for part in parts.values()] == [6, 2, 2]
    assert sorted(n for part in parts.values() for n in numbers(part)) == [1, 4, 5, 6, 7]
    assert [len(part) for part in load_parts(tmp_path, "acdc", split="official").values()] == [6, 2, 2]
    for number in (1, 2, 3):  # one training patient and two test patients
        patient(tmp_path / "three", number)
    parts = load_parts(tmp_path / "three", "acdc")
    assert [len(part) for part in parts.values()] == [2, 2, 2]
    with pytest.raises(ValueError, match=r"three: 2 training cases \(1 independent\) are too few"):
        load_parts(tmp_path / "three", "acdc", split="mtunet")
    patient(tmp_path / "other" / "testing", 101)
    with pytest.raises(ValueError, match=r"only patients of the official test part \(1\).* split 'official'"):
        load_parts(tmp_path / "other", "acdc")


def test_errors_of_raw_folders(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no folders patient001, .* use dataset 'acdc_archive'"):
        load_parts(tmp_path, "acdc")
    for number in range(1, 6):
        patient(tmp_path, number)
    (tmp_path / "patient001/Info.cfg").unlink()
    (tmp_path / "patient002/Info.cfg").write_text("ED: 1\nGroup: NOR\n")
    (tmp_path / "patient003/patient003_frame12_gt.nii.gz").unlink()
    (tmp_path / "patient004/patient004_frame01.nii.gz").unlink()
    with pytest.raises(ValueError, match="the data cannot be used") as caught:
        load_parts(tmp_path, "acdc")
    for text in (
        "unreadable Info.cfg files (1)",
        "no line such as 'ES: 1'",
        "missing label files (1)",
        "patient003_frame12_gt.nii.gz (ES of Info.cfg)",
        "missing image files (1)",
    ):
        assert text in str(caught.value)


# --- preprocessed ---


def mtunet(folder: Path) -> Path:
    """Two slices of both phases for six training patients and one of validation, volumes for one of test."""
    image, label = np.zeros((3, 4, 5), np.float32), np.arange(60).reshape(3, 4, 5) % 4
    for part, patients in (("train", (1, 4, 5, 6, 7, 10)), ("valid", (19,)), ("test", (2,))):
        (folder / part).mkdir(parents=True)
        for number in patients:
            for phase in ("ED", "ES"):
                if part == "test":
                    np.savez(folder / part / f"case_{number:03d}_volume_{phase}.npz", img=image, label=label)
                    continue
                for k in (0, 2, 10):
                    path = folder / part / f"case_{number:03d}_slice{phase}_{k}.npz"
                    np.savez(path, img=image[0], label=label[0])
    return folder


def test_archive_of_mtunet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mtunet(tmp_path)
    parts = {s: load_datalist(tmp_path, s, "acdc_archive") for s in ("training", "validation", "test")}
    assert [numbers(part) for part in parts.values()] == [[1, 4, 5, 6, 7, 10], [19], [2]]
    names = [case["case"] for case in parts["training"]]
    assert names[:3] == ["case_001_sliceED_0", "case_001_sliceED_2", "case_001_sliceED_10"]
    assert parts["test"][0]["case"] == "case_002_volume_ED"
    assert read_preprocessed(parts["test"][0]["image"]).shape == (4, 5, 3)
    assert "36 training images, the published data set has 1304" in caplog.text
    folded = load_parts(tmp_path, "acdc_archive", fold=1)
    assert not set(numbers(folded["training"])) & set(numbers(folded["validation"]))
    lists = tmp_path / "lists_ACDC"
    lists.mkdir()
    (lists / "train.txt").write_text("case_001_sliceED_0.npz\ncase_004_sliceES_2.npz")
    assert [c["case"] for c in load_parts(tmp_path, "acdc_archive")["training"]] == [
        "case_001_sliceED_0",
        "case_004_sliceES_2",
    ]
    shutil.copy(tmp_path / "train/case_001_sliceED_0.npz", tmp_path / "valid/case_001_sliceES_0.npz")
    with pytest.raises(ValueError, match=r"the same group stands in two parts of the data: patient001 \(training and"):
        load_parts(tmp_path, "acdc_archive")
    (tmp_path / "valid/other.npz").touch()
    with pytest.raises(ValueError, match="files of other names"):
        load_parts(tmp_path, "acdc_archive")
    with pytest.raises(ValueError, match="expected the archive of MT-UNet and CASCADE"):
        load_parts(lists, "acdc_archive")


def test_ssl4mis(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "slices").mkdir(parents=True)
    patients = (3, 4, 5, 6, 9, 10, 2, 1, 7)  # six of training, one of validation, two of test
    for number in patients:
        for frame in ("01", "02"):
            with h5py.File(data / f"patient{number:03d}_frame{frame}.h5", "w") as file:
                file["image"], file["label"] = np.zeros((3, 4, 5), np.float32), np.ones((3, 4, 5), np.uint8)
            for k in (1, 2, 10):
                with h5py.File(data / "slices" / f"patient{number:03d}_frame{frame}_slice_{k}.h5", "w") as file:
                    file["image"], file["label"] = np.zeros((4, 5), np.float32), np.ones((4, 5), np.uint8)
    for folder in (tmp_path, data):
        parts = {s: load_datalist(folder, s, "acdc_ssl4mis") for s in ("training", "validation", "test")}
        assert [numbers(part) for part in parts.values()] == [[3, 4, 5, 6, 9, 10], [2], [1, 7]]
        assert [len(part) for part in parts.values()] == [36, 2, 4]
    assert parts["training"][2]["case"] == "patient003_frame01_slice_10"
    assert parts["validation"][0]["case"] == "patient002_frame01"
    folded = load_parts(tmp_path, "acdc_ssl4mis", fold=0, num_folds=3)
    assert [len(part) for part in folded.values()] == [24, 12, 4]
    (tmp_path / "train_slices.list").write_text("patient003_frame01_slice_1\npatient004_frame02_slice_2\n")
    (tmp_path / "val.list").write_text("patient005_frame01\n")
    (tmp_path / "test.list").write_text("patient006_frame01\n")
    assert [numbers(part) for part in load_parts(tmp_path, "acdc_ssl4mis").values()] == [[3, 4], [5], [6]]
    with pytest.raises(ValueError, match="expected the files of SSL4MIS"):
        load_parts(data / "slices", "acdc_ssl4mis")
