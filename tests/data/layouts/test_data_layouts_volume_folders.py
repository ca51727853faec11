# SPDX-License-Identifier: Apache-2.0
"""Data lists of volumes: layouts, patients, classes, and every error before training starts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from sa2_monai.data import dataset_classes, load_datalist, load_parts
from sa2_monai.io.names import volume_stem
from tests.data.volume_lists import dataset, error_of, listed, load, names_of, volume, write_json

# --- layouts ---


def test_names() -> None:
    for name, stem in [
        ("a/ct_01.nii.gz", "ct_01"),
        ("b.x.NII", "b.x"),
        ("c.mha", "c"),
        ("series", "series"),
        (".nii.gz", ".nii.gz"),
    ]:
        assert volume_stem(name) == stem


def test_pool_and_part_folders(tmp_path: Path) -> None:
    names = [f"ct_{i:02d}" for i in range(10)]
    dataset(tmp_path / "pool", names[::-1])
    (tmp_path / "pool" / "images" / "._ct_00.nii.gz").write_bytes(b"macOS")
    parts = load_parts(tmp_path / "pool", "volumes")
    assert sorted(name for part in parts.values() for name in names_of(part)) == names
    assert [len(part) for part in parts.values()] == [6, 2, 2]
    for part in ("train", "val", "test"):
        dataset(tmp_path / "parts" / part, ["a", f"{part}_b"], ".nii")
    case = load(tmp_path / "parts", "test")[0]
    assert case == {
        "image": str(tmp_path / "parts/test/images/a.nii"),
        "label": str(tmp_path / "parts/test/labels/a.nii"),
        "case": "test_a",
    }


def test_formats_of_itk(tmp_path: Path) -> None:
    for suffix in (".nrrd", ".mha"):
        for kind, value in (("images", 7), ("labels", 1)):
            image = sitk.GetImageFromArray(np.full((4, 5, 6), value, np.uint8))
            image.SetSpacing((1, 2, 3))
            (tmp_path / kind).mkdir(exist_ok=True)
            sitk.WriteImage(image, tmp_path / kind / f"x{suffix[1:]}{suffix}")
    assert len(load(tmp_path, "training", num_folds=2, test_fraction=0)) == 1


def test_decathlon_as_published(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Objects for training, plain paths for test, no labels there: the test part comes out of the training cases."""
    for i in range(8):
        volume(tmp_path / "imagesTr" / f"h_{i}.nii.gz", 9)
        volume(tmp_path / "labelsTr" / f"h_{i}.nii.gz", 1)
    training = [{"image": f"./imagesTr/h_{i}.nii.gz", "label": f"./labelsTr/h_{i}.nii.gz"} for i in range(8)]
    write_json(tmp_path, training=training, test=["./imagesTs/h_8.nii.gz"], labels={"0": "background", "1": "Front"})
    with caplog.at_level(logging.INFO):
        parts = load_parts(tmp_path, "volumes")
    assert [len(part) for part in parts.values()] == [4, 2, 2]
    assert "the 1 test images have no labels and are left out" in caplog.text
    assert names_of(parts["test"])[0].startswith("h_")
    assert dataset_classes(tmp_path) == (["background", "Front"], {0: 0, 1: 1})
    write_json(tmp_path, test=["./imagesTs/h_8.nii.gz"])
    assert "1 of 1 test cases have no label (h_8)" in error_of(tmp_path, "test")


def nnunet(folder: Path, names: Sequence[str], channels: int = 2, **content: Any) -> Path:
    for name in names:
        for c in range(channels):
            volume(folder / "imagesTr" / f"{name}_{c:04d}.nii.gz", c)
        volume(folder / "labelsTr" / f"{name}.nii.gz", 2)
    labels = {"background": 0, "liver": 1, "tumour": 2}
    channel_names = {str(c): f"mr{c}" for c in range(channels)}
    write_json(folder, channel_names=channel_names, labels=labels, file_ending=".nii.gz", **content)
    return folder


def test_nnunet(tmp_path: Path) -> None:
    names = [f"scan_{i:04d}" for i in range(6)]  # four digits of their own
    nnunet(tmp_path, names)
    volume(tmp_path / "imagesTs" / "other_0000.nii.gz")
    volume(tmp_path / "imagesTs" / "other_0001.nii.gz")
    parts = load_parts(tmp_path, "volumes", num_folds=2)
    assert sorted(name for part in parts.values() for name in names_of(part)) == names
    case = load(tmp_path, "training", num_folds=2, in_channels=2)[0]
    assert case["image"] == [str(tmp_path / f"imagesTr/{case['case']}_000{c}.nii.gz") for c in (0, 1)]
    assert dataset_classes(tmp_path) == (["background", "liver", "tumour"], {0: 0, 1: 1, 2: 2})
    assert "another number of files than in_channels 3" in error_of(tmp_path, "test", in_channels=3)
    volume(tmp_path / "labelsTs" / "other.nii.gz", 1)
    assert names_of(load(tmp_path, "test")) == ["other"]


def test_nnunet_of_one_channel_and_its_other_forms(tmp_path: Path) -> None:
    nnunet(tmp_path / "a", ["c0", "c1", "c2"], channels=1)
    case = load(tmp_path / "a", "test")[0]
    assert case["image"].endswith(f"imagesTr/{case['case']}_0000.nii.gz")
    # The explicit list of version 2, and the list of version 1, which leaves out the channel.
    entries = {f"k{i}": {"images": [f"imagesTr/c{i}_0000.nii.gz"], "label": f"labelsTr/c{i}.nii.gz"} for i in range(3)}
    nnunet(tmp_path / "a", ["c0"], channels=1, dataset=entries)
    case = load(tmp_path / "a", "test")[0]
    assert case["image"].endswith(f"imagesTr/c{case['case'][1:]}_0000.nii.gz")
    nnunet(tmp_path / "b", ["c0", "c1"])
    old = [{"image": f"./imagesTr/c{i}.nii.gz", "label": f"./labelsTr/c{i}.nii.gz"} for i in (0, 1)]
    write_json(tmp_path / "b", training=old, labels={"0": "background", "1": "a", "2": "b"})
    case = load(tmp_path / "b", "test")[0]
    assert [Path(p).name for p in case["image"]] == [f"{case['case']}_0000.nii.gz", f"{case['case']}_0001.nii.gz"]
    # The folders alone are understood, too.
    (tmp_path / "b" / "dataset.json").unlink()
    assert load(tmp_path / "b", "test", class_names=("background", "a", "b"))[0]["image"] == case["image"]


def test_channels_of_a_list(tmp_path: Path) -> None:
    for i in range(4):
        for c in range(2):
            volume(tmp_path / f"p{i}_{c:04d}.nii.gz")
        volume(tmp_path / f"p{i}_seg.nii.gz", 1)
    entries = [{"image": [f"p{i}_0000.nii.gz", f"p{i}_0001.nii.gz"], "label": f"p{i}_seg.nii.gz"} for i in range(4)]
    path = write_json(tmp_path, training=entries[1:], test=entries[:1])
    assert load(path, "test")[0]["case"] == "p0"
    assert len(load(path, "training", num_folds=3)) == 2


def test_errors_of_layout(tmp_path: Path) -> None:
    nnunet(tmp_path / "n", ["a", "b", "c"])
    (tmp_path / "n/imagesTr/a_0001.nii.gz").unlink()
    (tmp_path / "n/labelsTr/b.nii.gz").unlink()
    volume(tmp_path / "n/labelsTr/stray.nii.gz")
    text = error_of(tmp_path / "n", "training")
    assert "cases without the channels 0 to 1 (1):\n    a: has 0 in" in text
    assert "images without a label (2)" in text
    assert "labels without an image (1)" in text
    dataset(tmp_path / "t", ["a", "b"])
    volume(tmp_path / "t/images/a.nii")
    assert "two files of one name (1)" in error_of(tmp_path / "t", "training")
    write_json(tmp_path / "n", labels={}, file_ending=".png")
    assert "'file_ending' is '.png', expected one of .nii.gz" in error_of(tmp_path / "n", "training")
    path = write_json(tmp_path / "n", dataset={"a": 1})
    assert "'dataset' holds 'a': 1, expected 'images' and 'label'" in error_of(path, "training")
    path = write_json(tmp_path / "e", name="nothing")
    assert "lists no cases and has no imagesTr/ beside it" in error_of(path, "training")
    for name, what in (("i", "images"), ("j", "imagesTr")):
        (tmp_path / name / what).mkdir(parents=True)
        with pytest.raises(FileNotFoundError, match=r"labels.*: no such folder"):
            load(tmp_path / name, "training")
    (tmp_path / "i" / "labels").mkdir()
    assert "images: holds no volumes (.nii.gz" in error_of(tmp_path / "i", "training")
    assert "split is 'official', but 'volumes' has one split only" in error_of(tmp_path, "training", split="official")


def test_volumes_among_images_are_pointed_out(tmp_path: Path) -> None:
    dataset(tmp_path, ["a"])
    with pytest.raises(ValueError, match="its volumes are read with dataset 'volumes'"):
        load_datalist(tmp_path, "training")
    write_json(tmp_path, training=listed(["a"]), validation=[], test=listed(["a"]))
    write_json(tmp_path, test=listed(["a"]))
    with pytest.raises(ValueError, match="volumes by their suffix: read them with dataset 'volumes'"):
        load_datalist(tmp_path, "test")


# --- patients ---

SCANS = [f"patient{p:02d}_scan{s}" for p in range(10) for s in range(3)]


def patients_of(cases: Sequence[dict[str, Any]]) -> set[str]:
    return {case["case"].split("_")[-2] for case in cases}


def check_by_patient(folder: Path, **options: Any) -> None:
    for fold in (None, 0, 3):
        parts = load_parts(folder, "volumes", fold, **options)
        training, validation, test = (patients_of(part) for part in parts.values())
        assert training | validation | test == patients_of([{"case": name} for name in SCANS])
        assert not training & validation
        assert not training & test
        assert not validation & test
        assert [len(part) for part in parts.values()] in ([18, 6, 6], [21, 3, 6])


def test_patients_by_pattern_table_and_group(tmp_path: Path) -> None:
    dataset(tmp_path, SCANS)
    check_by_patient(tmp_path, patient_pattern=r"(patient\d+)")
    case = load(tmp_path, "test", patient_pattern=r"patient(\d+)")[0]
    assert case["group"] == case["case"][7:9]
    (tmp_path / "patients.csv").write_text("case,patient\n" + "".join(f"{n},{n[:9]}\n" for n in SCANS))
    check_by_patient(tmp_path)
    (tmp_path / "patients.csv").unlink()
    for key in ("group", "patient"):
        write_json(tmp_path, training=[listed([name], **{key: name[:9]})[0] for name in SCANS])
        check_by_patient(tmp_path)
        check_by_patient(tmp_path, patient_pattern="not used")


def test_a_listed_split_that_divides_a_patient_is_an_error(tmp_path: Path) -> None:
    dataset(tmp_path / "train", SCANS[:28])
    dataset(tmp_path / "test", SCANS[28:])
    assert load(tmp_path, "training")
    text = error_of(tmp_path, "training", patient_pattern=r"patient\d+")
    assert "the same group stands in two parts of the data: patient09 (training and test)" in text
    # Also where only some cases say whose they are.
    cases = listed(SCANS, group="")
    cases[0]["group"] = cases[1]["group"] = "p0"
    write_json(tmp_path / "j", training=cases[1:], test=cases[:1])
    assert "the same group stands in two parts" in error_of(tmp_path / "j", "training", check=False)
    write_json(tmp_path / "k", training=cases)
    parts = load_parts(tmp_path / "k", "volumes")
    assert all(case["group"] == ("p0" if case["case"] in SCANS[:2] else case["case"]) for case in parts["training"])


def test_errors_of_patients(tmp_path: Path) -> None:
    dataset(tmp_path, [*SCANS[:6], "other"])
    text = error_of(tmp_path, "training", patient_pattern=r"patient(\d+)")
    assert "case names that patient_pattern 'patient(\\\\d+)' finds no patient in (1):\n    other" in text
    assert "is no regular expression" in error_of(tmp_path, "training", patient_pattern="(")
    table = tmp_path / "patients.csv"
    table.write_text("case;patient\n")
    assert "patients.csv: expected a table with the columns case and patient, found no lines" in error_of(
        tmp_path, "test"
    )
    table.write_text("case,patient\npatient00_scan0,1\n")
    assert "cases that are not in patients.csv (6)" in error_of(tmp_path, "test")
    table.write_text("case,patient\na,1\na,2\n")
    assert "gives the case a to two patients (1 and 2)" in error_of(tmp_path, "test")


# --- classes ---


def test_classes_of_dataset_json(tmp_path: Path) -> None:
    path = write_json(tmp_path, labels={"0": "background", "2": "b", "5": "e"})
    assert dataset_classes(path) == (["background", "b", "e"], {0: 0, 2: 1, 5: 2})
    assert dataset_classes(tmp_path / "nowhere") == (["background", "foreground"], {0: 0, 1: 1, 255: 1})
    assert dataset_classes(tmp_path, class_names=("x", "y")) == (["x", "y"], {0: 0, 1: 1, 255: 1})
    # nnU-Net's value of voxels without a label is no class; find_data gives it as ignore_value.
    write_json(tmp_path, labels={"background": 0, "a": 1, "ignore": 2})
    assert dataset_classes(tmp_path) == (["background", "a"], {0: 0, 1: 1})
    for labels, message in [
        ({"background": 0, "whole": [1, 2]}, "regions of several values are not supported"),
        ({"a": 1, "b": 2}, "has no value 0"),
        ({"background": 0}, "names the background only"),
    ]:
        write_json(tmp_path, labels=labels)
        with pytest.raises(ValueError, match=message):
            dataset_classes(tmp_path)
    with pytest.raises(ValueError, match=r"expected one of .*decathlon, .* \(images\); acdc, .* \(volumes\)"):
        dataset_classes(tmp_path, "x")


# --- real volumes ---


@pytest.mark.realdata
def test_hippocampus(real_data: Path) -> None:
    folder = real_data / "msd_hippocampus"
    parts = {s: load(folder, s, in_channels=1) for s in ("training", "validation", "test")}
    assert [len(part) for part in parts.values()] == [60, 10, 30]
    assert parts["training"][0]["case"] == "hippocampus_001"
    assert dataset_classes(folder) == (["background", "Anterior", "Posterior"], {0: 0, 1: 1, 2: 2})
    folds = [load_parts(folder, "volumes", fold=k) for k in range(5)]
    assert [len(fold["validation"]) for fold in folds] == [12] * 5
    assert len({c["case"] for fold in folds for c in fold["validation"]}) == 60


@pytest.mark.realdata
def test_ct_and_a_dicom_series_with_its_label_turned(real_data: Path) -> None:
    names = ("background", *(f"structure {i}" for i in range(1, 118)))
    cases = load(real_data / "totalseg_ct_example", "test", class_names=names)
    assert names_of(cases) == ["ct_series", "ct_full", "ct_small"]
