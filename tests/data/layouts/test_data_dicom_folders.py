# SPDX-License-Identifier: Apache-2.0
"""Folders of DICOM files among the inputs: which are cases, and how little of them is read for that."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sa2_monai.data import find_data, load_datalist, read_volume
from sa2_monai.data.kinds import find_cases
from sa2_monai.data.layouts import input_volumes
from sa2_monai.io.dicom.files import read_header
from tests.support.dicom_files import edit, write_series

# Modality of each of three files, or None for one that is damaged; whether the folder is a case; headers that are read.
TEST_CASES = [
    (("CT", "CT", "CT"), True, 1),
    (("SR", "CT", "CT"), True, 2),
    (("CT", None, "CT"), True, 1),
    ((None, "CT", "CT"), True, 1),
    (("SR", None, "CT"), True, 2),
    (("SR", "SEG", "PR"), False, 3),
]


@pytest.mark.parametrize(("modalities", "is_case", "read"), TEST_CASES)
def test_folders_of_a_series(
    modalities: tuple[str | None, ...], is_case: bool, read: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_series(tmp_path / "other")
    write_series(tmp_path / "series", shape=(8, 8, len(modalities)))
    for modality, path in zip(modalities, sorted((tmp_path / "series").iterdir()), strict=True):
        if modality is None:
            path.write_bytes(path.read_bytes()[:400])
        else:
            edit(path, Modality=modality)
    opened: list[Path] = []

    def counted(path: Path) -> object:
        opened.append(path)
        return read_header(path)

    monkeypatch.setattr(input_volumes, "read_header", counted)
    cases, left_out = find_cases([tmp_path], "volumes", 1)
    assert [case["case"] for case in cases] == ["other", "series"][: 1 + is_case]
    assert str(left_out) == ("" if is_case else "left out: 1 folder of DICOM files without images (series)")
    assert sum(path.parent.name == "series" for path in opened) == read


FORMS = {
    "in a folder of the case": ("{}/CT", "{}/seg.nii.gz"),
    "images and labels": ("images/{}", "labels/{}.nii.gz"),
    "label beside the folder": ("{}", "{}_seg.nii.gz"),
    "label among the slices": ("{}", "{}/mask.nii.gz"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_series_per_case_with_its_label(form: str, tmp_path: Path) -> None:
    for case in ("case1", "case2", "case3"):
        image, label = (tmp_path / name.replace("{}", case) for name in FORMS[form])
        write_series(image, shape=(8, 8, 4))
        array = np.zeros((8, 8, 4), np.uint8)
        array[2:4, 2:4, 1:3] = 1
        label.parent.mkdir(exist_ok=True, parents=True)
        nib.save(nib.Nifti1Image(array, read_volume(image).header.affine), label)
    found = find_data(tmp_path)
    assert (found.dataset, found.channels, found.left_out) == ("volumes", 1, "")
    cases = load_datalist(found.path, "training", "volumes", num_folds=2, test_fraction=0)
    assert {case["case"] for case in found.parts["training"]} == {"case1", "case2", "case3"}
    for case in cases:
        image, label = (tmp_path / name.replace("{}", case["case"]) for name in FORMS[form])
        assert (case["image"], case["label"]) == (str(image), str(label))
