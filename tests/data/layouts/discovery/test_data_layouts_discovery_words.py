# SPDX-License-Identifier: Apache-2.0
"""What names of folders and files say."""

from __future__ import annotations

import pytest

from sa2_monai.data.layouts.discovery.words import (
    folder_meaning,
    is_patient_name,
    label_names_of,
    without_image_word,
)

# name of a folder: role and part, and whether only the loose reading gives them
TEST_CASES = {
    "images": ("image", "", False),
    "IMG": ("image", "", False),
    "imagesTr": ("image", "training", False),
    "imagesTs": ("image", "test", False),
    "labelsTr": ("label", "training", False),
    "Ground Truth": ("label", "", False),
    "groundtruth": ("label", "", False),
    "GroundTruth": ("label", "", False),
    "SegmentationClass": ("label", "", False),
    "SegmentationObject": ("instances", "", False),
    "train_masks": ("label", "training", False),
    "trainannot": ("label", "training", False),
    "x": ("image", "", False),
    "y": ("label", "", False),
    "y_train": ("label", "training", False),
    "1st_manual": ("label", "", False),
    "val": ("", "validation", False),
    "Test_Folder": ("", "test", False),
    "label_images": ("label", "", False),
    "ISIC2017_Training_Part1_GroundTruth": ("label", "training", True),
    "gtFine": ("label", "", True),
    "leftMask": ("label", "", True),
    "scan_01": ("image", "", True),
    "patient01": ("", "", False),
    "X ray y plane": ("", "", True),
    "tr": ("", "", False),
}


@pytest.mark.parametrize("name", TEST_CASES)
def test_folders(name: str) -> None:
    role, part, loose = TEST_CASES[name]
    assert folder_meaning(name, loose=True) == (role, part)
    assert folder_meaning(name) == (("", "") if loose else (role, part))


@pytest.mark.parametrize(
    ("stem", "readings"),
    [
        ("case_1_mask", [("case_1", "_mask")]),
        ("case-1-Labels", [("case-1", "-Labels")]),
        ("a.label", [("a", ".label")]),
        ("x_manual1", [("x", "_manual1")]),
        ("L_1stHO", [("L", "_1stHO")]),
        ("mask_7", [("7", "mask_")]),
        ("label0001", [("0001", "label")]),
        ("seg", [("", "seg")]),
        ("unmask", []),
        ("masked_1", []),
    ],
)
def test_files(stem: str, readings: list[tuple[str, str]]) -> None:
    assert list(label_names_of(stem)) == readings


def test_words_for_images_and_patients() -> None:
    assert without_image_word("case_1_image") == {"case_1_image", "case_1"}
    assert without_image_word("img_7") == {"img_7", "7"}
    assert [name for name in ("pat01", "sub-3", "fold1", "benign", "Grade2", "40X") if is_patient_name(name)] == [
        "pat01",
        "sub-3",
    ]
