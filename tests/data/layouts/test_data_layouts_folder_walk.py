# SPDX-License-Identifier: Apache-2.0
"""What a folder holds: everything is used, or named as left out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sa2_monai.data.kinds import find_cases, list_cases
from sa2_monai.data.layouts.folder_walk import LeftOut, is_label_folder, unused_files, walk
from sa2_monai.io.images.read import IMAGE_SUFFIXES

DICOM = bytes(128) + b"DICM"  # enough to be recognised; damaged as an image, which is that case's error


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(DICOM if path.name.startswith(("IM", "DICOMDIR")) or path.suffix == ".dcm" else b"")
    return root


# Kind, files of a folder, cases, what is left out.
TEST_CASES: list[tuple[str, list[str], list[str], str]] = [
    ("images", ["b.png", "a.JPG"], ["a", "b"], ""),
    ("images", ["a.png", "sub/deep/b.png"], ["a", "b"], ""),
    ("images", ["p1/x.png", "p2/x.png"], ["p1_x", "p2_x"], ""),
    ("images", ["images/a.png", "labels/a.png"], ["a"], "left out: 1 folder (labels)"),
    ("images", ["train/images/a.png", "train/masks/a.png", "test/images/a.png"], ["test_a", "train_a"], "1 folder"),
    ("images", ["a.png", "x.czi", "y.czi", "z.CZI", "notes"], ["a"], "1 file without a suffix (notes), 3 .czi"),
    ("images", ["a.png", "b.nii.gz"], ["a"], "left out: 1 .nii.gz"),
    (
        "images",
        ["a.png", ".b.png", "._a.png", "__MACOSX/a.png", "Thumbs.db", "@eaDir/a.png"],
        ["a"],
        "",
    ),
    ("images", ["a.png", "a_anno.png", "a_mask.png", "b_mask.png"], ["a", "b_mask"], "2 labels beside an image"),
    ("images", ["a.png", "run/predict_summary.json", "run/b.png"], ["a"], "left out: 1 folder of results (run)"),
    ("images", ["a.png", "run/predictions/a.png", "overlays/a.png"], ["a"], "2 folders (overlays, predictions)"),
    ("volumes", ["a.nii.gz", "sub/b.mha"], ["a", "b"], ""),
    ("volumes", ["IM1", "IM2", "a.nii"], ["folder", "a"], ""),
    ("volumes", ["pat1/st/se/IM1", "pat2/st/se/IM1"], ["pat1_se", "pat2_se"], ""),
    ("volumes", ["pat1/st/se/I.dcm", "pat1/st/se2/I.dcm", "flat/IM1"], ["flat", "se", "se2"], ""),
    ("volumes", ["DICOMDIR", "pat/se/IM1"], ["se"], ""),
    ("volumes", ["a.mhd", "a.raw", "b.raw"], ["a"], "left out: 1 .raw"),
    (
        "volumes",
        ["imagesTr/a_0000.nii", "imagesTs/b_0000.nii", "labelsTr/a.nii"],
        ["b"],
        "2 folders (imagesTr, labelsTr)",
    ),
    (
        "volumes",
        ["a.nii", "a_seg.nii", "x_seg.nii", "p.png"],
        ["a", "x_seg"],
        "1 label beside an image (a_seg.nii), 1 .png",
    ),
]


@pytest.mark.parametrize(("kind", "files", "cases", "left_out"), TEST_CASES)
def test_cases_of_a_folder(tmp_path: Path, kind: str, files: list[str], cases: list[str], left_out: str) -> None:
    folder = make(tmp_path / "folder", *files)
    found, line = find_cases([folder], kind, 1)
    assert [case["case"] for case in found] == cases
    assert left_out in str(line)
    assert bool(left_out) == bool(line)
    assert [case["case"] for case in list_cases(folder, kind, 1)] == cases


# Channels of the network, files, cases with the number of their files.
CHANNELS: list[tuple[int | None, list[str], dict[str, int] | str]] = [
    (1, ["p0_0000.nii", "p0_0001.nii", "p1_0000.nii"], {"p0_0000": 1, "p0_0001": 1, "p1": 1}),
    (1, ["p0_0000.nii", "p1_0000.nii"], {"p0": 1, "p1": 1}),
    (1, ["p0.nii", "p0_0000.nii"], {"p0": 1, "p0_0000": 1}),
    (1, ["a/p0_0000.nii", "b/p0_0000.nii"], {"a_p0": 1, "b_p0": 1}),
    (2, ["p0_0000.nii", "p0_0001.nii"], {"p0": 2}),
    (2, ["a/p0_0000.nii", "a/p0_0001.nii", "b/p0_0000.nii", "b/p0_0001.nii"], {"a_p0": 2, "b_p0": 2}),
    (2, ["t1/p0_0000.nii", "t2/p0_0001.nii"], {"p0": 2}),
    (2, ["p0_0000.nii", "p0_0001.nii", "p1_0000.nii"], "p1: has .*p1_0000.nii"),
    (3, ["p0_0000.nii", "p0_0001.nii"], "cases without the 3 files"),
    (None, ["p0_0000.nii", "p0_0001.nii", "p1_0000.nii", "p1_0001.nii"], {"p0": 2, "p1": 2}),
    (None, ["p0_0000.nii", "p0_0001.nii", "p1_0000.nii"], {"p0_0000": 1, "p0_0001": 1, "p1": 1}),
]


@pytest.mark.parametrize(("channels", "files", "expected"), CHANNELS)
def test_numbered_volumes(
    tmp_path: Path, channels: int | None, files: list[str], expected: dict[str, int] | str
) -> None:
    """As nnU-Net numbers channels; with one channel they are time points, and each is a case of its own."""
    folder = make(tmp_path / "folder", *files)
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            list_cases(folder, "volumes", channels)
        return
    found = list_cases(folder, "volumes", channels)
    number = {case["case"]: len(case["image"]) if isinstance(case["image"], list) else 1 for case in found}
    assert number == expected


def test_several_sources_are_named_together(tmp_path: Path) -> None:
    make(tmp_path, "siteA/x.png", "siteB/x.png", "siteB/note.txt", "y.png")
    (tmp_path / "list.txt").write_text("y.png\n")
    found, line = find_cases([tmp_path / "siteA", tmp_path / "siteB", tmp_path / "list.txt"], "images", 3)
    assert [case["case"] for case in found] == ["siteA_x", "siteB_x", "y"]
    assert str(line) == "left out: 1 .txt"


def test_links(tmp_path: Path) -> None:
    folder = make(tmp_path / "folder", "a.png", "sub/b.png")
    make(tmp_path / "elsewhere", "c.png")
    for name, target in {
        "again": folder / "sub",
        "loop": folder,
        "sub/up": folder,
        "other": tmp_path / "elsewhere",
        "l.png": folder / "a.png",
        "gone.png": tmp_path / "gone.png",
    }.items():
        (folder / name).symlink_to(target)
    found, line = find_cases([folder], "images", 3)
    assert [case["case"] for case in found] == ["a", "l", "b", "c"]
    assert str(line) == "left out: 1 broken link (gone.png)"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything can be read here")
def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    folder = make(tmp_path / "folder", "a.png", "closed/b.png")
    (folder / "closed").chmod(0)
    found, line = find_cases([folder], "images", 3)
    (folder / "closed").chmod(0o700)
    assert len(found) == 1
    assert str(line) == "left out: 1 folder that cannot be read (closed)"


def test_special_files_and_odd_names(tmp_path: Path) -> None:
    folder = make(tmp_path / "folder", "a.png", "x.b\x1b[2J", "no\nsuffix")
    os.mkfifo(folder / "pipe.png")
    found, line = find_cases([folder], "images", 3)
    assert len(found) == 1
    assert str(line) == (r"left out: 1 special file (pipe.png), 1 file without a suffix (no\nsuffix), 1 .b\u001b[2j")


@pytest.mark.parametrize("kind", ["images", "volumes"])
def test_nothing_to_predict(tmp_path: Path, kind: str) -> None:
    folder = make(tmp_path / "folder", "a.czi", "labels/a.png", "labels/a.nii")
    with pytest.raises(ValueError, match=r"folder: no .* found, expected .*; left out: 1 \.czi, 1 folder \(labels\)"):
        list_cases(folder, kind)


def test_data_lists_are_returned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cases: list[dict[str, Any]] = [{"image": str(tmp_path / "x.png"), "case": "#1"}]
    for kind in ("images", "volumes"):
        assert list_cases(cases, kind) == cases
    make(tmp_path / "folder", "a.png", "b.czi")
    list_cases(tmp_path / "folder", "images")
    assert "left out: 1 .czi" in caplog.text


@pytest.mark.skipif(".dcm" not in IMAGE_SUFFIXES, reason="2D DICOM is not read")
def test_dicom_images_without_a_suffix(tmp_path: Path) -> None:
    make(tmp_path / "folder", "IM1.2.3", "a.png")
    assert [case["case"] for case in list_cases(tmp_path / "folder", "images")] == ["IM1.2.3", "a"]


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        *((name, True) for name in ("labels", "labelsTr", "Masks", "GroundTruth", "Ground Truth", "train_masks", "gt")),
        *((name, True) for name in ("ISIC2018_Task1_Training_GroundTruth", "instances", "labelcol", "labels_v2")),
        *((name, False) for name in ("images", "imagesTr", "unmasked", "patient_1", "segpc", "legal", "masked")),
    ],
)
def test_folders_of_labels(name: str, labels: bool) -> None:
    assert is_label_folder(name) is labels


def test_unused_files(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "images/b.czi", "labels/a.png", "images/sub/c.png", "dataset.json")
    used = [tmp_path / "images/a.png", tmp_path / "labels/a.png", tmp_path / "dataset.json"]
    assert str(unused_files(tmp_path, used)) == "left out: 1 .czi, 1 .png"
    assert not unused_files(tmp_path / "labels", used)


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(walk(tmp_path / "gone", LeftOut()))


@pytest.mark.realdata
def test_the_awkward_examples(real_data: Path) -> None:
    cases = real_data.parent / "cases"
    if not cases.is_dir():
        pytest.skip(f"{cases} is not there")
    found, line = find_cases([cases / "dicom" / "nested"], "volumes", 1)
    assert ([case["case"] for case in found], str(line)) == (["pat2flat", "se1"], "")
    found, line = find_cases([cases / "dicom" / "mixed_folder"], "volumes", 1)
    assert ([case["case"] for case in found], str(line)) == (["mixed_folder", "seg_from_other"], "")
    found, _ = find_cases([cases / "volumes" / "two_channels_or_timepoints"], "volumes", 1)
    assert [case["case"] for case in found] == ["pat0_0000", "pat0_0001", "pat1_0000", "pat1_0001"]
