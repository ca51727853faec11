# SPDX-License-Identifier: Apache-2.0
"""The look at a whole data set: numbers, sizes, values, what is missing, what cannot be used."""

from __future__ import annotations

import json
import logging
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from sa2_monai.cli import main
from sa2_monai.cli.datasets.check import text
from sa2_monai.data import DATASETS, examine_dataset
from sa2_monai.data.dataset import DataSet, Job, ListOptions, Preparation, report_counts
from sa2_monai.data.layouts.cases import Case, Parts
from sa2_monai.data.layouts.missing import missing_from_series
from tests.support.miniatures import MINI


@pytest.fixture
def glas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """GlaS of 5 training and 3 test images, which is what this test takes as published."""
    folder = tmp_path / "glas"
    folder.mkdir()
    for stem in ("train_1", "train_2", "train_3", "train_4", "train_5", "testA_1", "testA_2", "testB_1"):
        instances = np.zeros((6, 8), dtype=np.uint8)
        instances[:3, :4] = 7
        instances[4] = 9
        rows = 6 if stem.startswith("train") else 9
        pixels = np.arange(rows * 8 * 3, dtype=np.uint8).reshape(rows, 8, 3)
        Image.fromarray(pixels).save(folder / f"{stem}.bmp")
        Image.fromarray(np.resize(instances, (rows, 8))).save(folder / f"{stem}_anno.bmp")
    expected = {"training": (5,), "test": (3,)}
    monkeypatch.setattr("sa2_monai.data.datasets.glas.EXPECTED", expected)
    return folder


def test_in_order(glas: Path) -> None:
    report = examine_dataset("glas", glas)
    assert report.pop("label_values") == pytest.approx({"0": 1 - 196 / 456, "nonzero": 196 / 456})
    assert report == {
        "dataset": "glas",
        "directory": str(glas),
        "split": None,
        "files": "images",
        "preparation": None,
        "classes": list(DATASETS["glas"].classes or ("background", "foreground")),
        "parts": {
            "training": {"cases": 5, "labelled": 5, "groups": None},
            "test": {"cases": 3, "labelled": 3, "groups": None},
        },
        "published": [
            {"part": "training", "found": 5, "expected": "5", "ok": True},
            {"part": "test", "found": 3, "expected": "3", "ok": True},
        ],
        "sizes": [{"smallest": [6, 8], "largest": [9, 8]}],
        "deviations": [],
        "remarks": [],
        "problems": [],
        "left_out": "",
        "ok": True,
    }


def test_unlabelled_images_and_empty_labels_are_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part, name in (("train", "a"), ("test", "b")):
        for folder in ("images", "labels"):
            (tmp_path / part / folder).mkdir(parents=True)
        Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(tmp_path / part / f"images/{name}.png")
        Image.fromarray(np.zeros((3, 4), np.uint8)).save(tmp_path / part / f"labels/{name}.png")
    (problem,) = examine_dataset("folder", tmp_path)["problems"]
    assert "none of the 2 labels holds a voxel of a class" in problem
    Image.fromarray(np.eye(3, 4, dtype=np.uint8)).save(tmp_path / "train/labels/a.png")
    assert main(["datasets", "check", "folder", str(tmp_path)]) == 0
    assert f"labels without any class (1): {tmp_path}/test/labels/b.png" in capsys.readouterr().out
    description = {
        "training": [{"image": "train/images/a.png", "label": "train/labels/a.png"}], "test": ["test/images/c.png"]
    }  # fmt: skip
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    (tmp_path / "test/images/c.png").write_bytes(b"no image")
    (problem,) = examine_dataset("folder", tmp_path)["problems"]
    assert "c.png: is not a readable image" in problem


def test_missing_files_are_named(glas: Path, caplog: pytest.LogCaptureFixture) -> None:
    for stem in ("train_2", "train_5", "testA_1"):
        (glas / f"{stem}.bmp").unlink()
        (glas / f"{stem}_anno.bmp").unlink()
    level = logging.getLogger("sa2_monai.data").level
    report = examine_dataset("glas", glas)
    assert not report["ok"]
    assert report["problems"] == []
    assert report["deviations"] == [
        "3 training images, the published data set has 5",
        "2 test images, the published data set has 3",
        "training images that are not there: train_2, train_5",
        "test images that are not there: testA_1",
    ]
    assert caplog.records == []  # said once
    assert (logging.getLogger("sa2_monai.data").level, logging.getLogger("sa2_monai.data").propagate) == (level, True)


def test_a_missing_partner_is_named(glas: Path) -> None:
    (glas / "train_3.bmp").unlink()
    report = examine_dataset("glas", glas)
    assert (report["ok"], report["parts"], report["sizes"]) == (False, {}, [])
    assert "train_3_anno.bmp" in report["problems"][0]


def test_unreadable_files_are_named(glas: Path) -> None:
    (glas / "train_3.bmp").write_bytes(b"BM")
    report = examine_dataset("glas", glas)
    assert report["deviations"] == []
    (problem,) = report["problems"]
    assert "train_3.bmp" in problem
    assert report["sizes"] == [{"smallest": [6, 8], "largest": [9, 8]}]


def test_values_outside_the_table(tmp_path: Path) -> None:
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        for number in range(2):
            Image.fromarray(np.full((4, 5), 3 * number, dtype=np.uint8)).save(tmp_path / kind / f"{number}.png")
    Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5)).save(tmp_path / "images" / "0.png")
    report = examine_dataset("folder", tmp_path)
    assert report["label_values"] == {"0": 0.5, "3": 0.5}
    assert "label values outside the table" in report["problems"][0]
    assert "labels/1.png: 3" in report["problems"][0]
    report = examine_dataset("folder", tmp_path, class_names=("background", "cell"), label_values={"0": 0, "3": 1})
    assert report["ok"]
    assert report["classes"] == ["background", "cell"]
    assert examine_dataset("folder", tmp_path, label_values="nonzero")["label_values"] == {"0": 0.5, "nonzero": 0.5}
    assert "label_values is 'any'" in examine_dataset("folder", tmp_path, label_values="any")["problems"][0]
    shutil.rmtree(tmp_path / "labels")
    assert "labels: no such folder" in examine_dataset("folder", tmp_path)["problems"][0]


def test_volumes_with_and_without_labels(tmp_path: Path) -> None:
    for name in ("imagesTr", "labelsTr", "imagesTs"):
        (tmp_path / name).mkdir()
        for number in range(2):
            array = np.zeros((4 + number, 5, 6), dtype=np.uint8)
            array[0, 0] = 1
            nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / name / f"case{number}{name[-2:]}.nii.gz")
    report = examine_dataset("volumes", tmp_path)
    assert report["ok"], report["problems"]
    assert report["sizes"] == [{"smallest": [4, 5, 6], "largest": [5, 5, 6]}]
    assert report["label_values"] == pytest.approx({"0": 1 - 12 / 270, "1": 12 / 270})


def volumes(folder: Path, **arrays: np.ndarray) -> Path:
    """Two labelled training cases, and a test image without a label, ``t``."""
    rng = np.random.default_rng(0)
    for name in ("imagesTr", "labelsTr", "imagesTs"):
        (folder / name).mkdir(parents=True)
    label = np.zeros((5, 4, 3), np.uint8)
    label[1:3, 1:3] = 1
    default = {name: rng.normal(size=label.shape).astype(np.float32) for name in ("a", "b", "t")}
    default |= {"a_label": label, "b_label": label}
    for name, array in {**default, **arrays}.items():
        part = "imagesTs" if name == "t" else "labelsTr" if "label" in name else "imagesTr"
        nib.save(nib.Nifti1Image(array, np.eye(4)), folder / part / f"{name.removesuffix('_label')}.nii.gz")
    return folder


EMPTY, CONSTANT = np.zeros((5, 4, 3), np.uint8), np.full((5, 4, 3), 7, np.int16)
NAN, INFINITE = np.full((5, 4, 3), np.nan, np.float32), np.full((5, 4, 3), -np.inf, np.float32)
ALMOST = np.full((5, 4, 3), 1.0000001, np.float32)

TEST_CASE_VOXELS: dict[str, tuple[dict[str, np.ndarray], bool, str]] = {
    "in order": ({}, True, ""),
    "NaN": ({"a": NAN}, False, "imagesTr/a.nii.gz: 60 of 60 voxels are NaN or infinite"),
    "NaN in an unlabelled image": ({"t": NAN}, False, "imagesTs/t.nii.gz: 60 of 60 voxels are NaN"),
    "infinite": ({"b": INFINITE}, False, "imagesTr/b.nii.gz: 60 of 60 voxels are NaN or infinite"),
    "NaN in a label": ({"a_label": NAN}, False, "labelsTr/a.nii.gz: 60 of 60 voxels are NaN"),
    "constant": ({"a": CONSTANT}, True, "images with one value everywhere (1): .*imagesTr/a.nii.gz"),
    "constant and unlabelled": ({"t": EMPTY}, True, "images with one value everywhere (1): .*imagesTs/t.nii.gz"),
    "all constant": (dict.fromkeys("abt", CONSTANT), False, "images with one value everywhere (1):\n    all 3 images"),
    "empty label": ({"b_label": EMPTY}, True, "labels without any class (1): .*labelsTr/b.nii.gz"),
    "empty labels": (dict.fromkeys(("a_label", "b_label"), EMPTY), False, "none of the 2 labels holds a voxel of a cl"),
    "almost whole": ({"a_label": ALMOST}, True, "labelsTr/a.nii.gz: the class numbers are up to 1.2e-07 from whole"),
    "two axes": ({"t": EMPTY[0]}, False, "imagesTs/t.nii.gz: is a 2D image"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEST_CASE_VOXELS)
def test_every_image_is_opened(tmp_path: Path, name: str) -> None:
    arrays, ok, message = TEST_CASE_VOXELS[name]
    report = examine_dataset("volumes", volumes(tmp_path / "d", **arrays))
    assert report["ok"] == ok
    told = report["remarks"] if ok else report["problems"]
    assert len(told) == bool(message)
    pattern = re.escape(message).replace(r"\.\*", ".*")
    assert not message or re.search(pattern, told[0].replace(f"{tmp_path}/d/", "")), told
    assert ("remark: " in text(report)) == (ok and bool(message))


@pytest.mark.parametrize("labelled", [True, False])
def test_files_that_are_no_images(tmp_path: Path, labelled: bool) -> None:
    folder = volumes(tmp_path / "d")
    path = folder / ("imagesTr/a.nii.gz" if labelled else "imagesTs/t.nii.gz")
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # of the checksum
    for broken in (b"nothing", bytes(content), bytes(content[:-20])):
        path.write_bytes(broken)
        (problem,) = examine_dataset("volumes", folder)["problems"]
        assert str(path) in problem


def test_unlabelled_images_are_opened(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part, names in (("images", "abc"), ("labels", "ab")):
        (tmp_path / part).mkdir()
        for name in names:
            Image.fromarray(rng.integers(0, 2, (6, 5), dtype=np.uint8)).save(tmp_path / part / f"{name}.png")
    entry = {
        p: [{"image": f"images/{c}.png", "label": f"labels/{c}.png"}]
        for p, c in (("training", "a"), ("validation", "b"))
    }
    listed = {**entry, "test": [{"image": "images/c.png"}]}
    (tmp_path / "dataset.json").write_text(json.dumps(listed))
    assert examine_dataset("decathlon", tmp_path)["ok"]
    (tmp_path / "images/c.png").write_bytes(b"nothing")
    (problem,) = examine_dataset("decathlon", tmp_path)["problems"]
    assert "images/c.png" in problem


def test_archives(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    for number in (1, 3):
        label = np.zeros((4, 6), dtype=np.uint8)
        label[0] = number
        np.savez(tmp_path / "train" / f"case_{number:03d}_sliceED_0.npz", image=np.zeros((4, 6), "f4"), label=label)
    report = examine_dataset("acdc_archive", tmp_path)
    assert report["parts"]["training"] == {"cases": 2, "labelled": 2, "groups": 2}
    assert report["sizes"] == [{"smallest": [4, 6], "largest": [4, 6]}]
    assert report["label_values"] == pytest.approx({"0": 0.75, "1": 0.125, "3": 0.125})
    assert report["deviations"][0] == "2 training images, the published data set has 1304"


def test_a_module_that_does_not_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = []
    for number in (1, 2, 4):
        path = tmp_path / f"{number:02d}.png"
        Image.fromarray(np.eye(4, dtype=np.uint8)).save(path)
        images.append({"image": str(path), "label": str(path), "case": path.stem})
    entry = DataSet(lambda directory, options: {"training": images}, expected={"training": (4, 5)}, splits=("a", "b"))
    monkeypatch.setitem(DATASETS, "plain", entry)
    assert examine_dataset("plain", tmp_path)["deviations"] == [
        "3 training cases, the published data set has 4 or 5",
        "training images that are not there: 03",
    ]
    assert examine_dataset("plain", tmp_path, split="b")["ok"]  # the numbers are those of the default split

    def divided(directory: Path, options: ListOptions) -> Parts:
        """Compares before it divides: 3 images are there, of which 1 validates."""
        report_counts(directory, {"training": images}, {"training": (5,)})
        return {"training": images[:2], "validation": images[2:]}

    monkeypatch.setitem(DATASETS, "plain", DataSet(divided))
    assert examine_dataset("plain", tmp_path)["deviations"] == [
        "3 training images, the published data set has 5",
        "training images that are not there: 03, 05",
    ]
    monkeypatch.setitem(DATASETS, "plain", DataSet(lambda directory, options: {}))
    assert "holds no cases of 'plain'" in examine_dataset("plain", tmp_path)["problems"][0]


@pytest.mark.parametrize("damage", ["", "image", "archive", "volume"])
def test_what_has_to_be_prepared(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(tmp_path / "a.png")
    np.savez(tmp_path / "b.npz", image=np.zeros(1000))
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)), tmp_path / "c.nii")
    (tmp_path / "d.txt").write_text("text")
    damaged = {"image": "a.png", "archive": "b.npz", "volume": "c.nii"}.get(damage)
    if damaged:
        data = bytearray((tmp_path / damaged).read_bytes())
        data[200 if damage == "archive" else 0] ^= 255
        (tmp_path / damaged).write_bytes(data)

    def parts(directory: Path, options: ListOptions) -> Parts:
        raise ValueError(f"{directory}: prepare it first")

    def run(job: Job, folder: Path) -> list[Case]:
        raise NotImplementedError

    def jobs(directory: Path, options: ListOptions) -> list[Job]:
        if not (directory / "d.txt").exists():
            raise ValueError(f"{directory / 'd.txt'}: is missing")
        logging.getLogger("sa2_monai.data.plain").warning("%s: one is missing", directory)
        files = [path for path in directory.iterdir() if path.is_file()]
        return [Job("one", tuple(files), run), Job("two", (directory / "a.png",), run)]

    entry = DataSet(parts, preparations={"usual": Preparation("", "images", jobs)}, expected={"training": (1,)})
    monkeypatch.setitem(DATASETS, "plain", entry)
    report = examine_dataset("plain", tmp_path)
    assert report["preparation"] == {"form": "usual", "jobs": 2, "files": 4}
    assert report["deviations"] == ["one is missing"]
    assert [str(damaged) in problem for problem in report["problems"]] == ([True] if damaged else [])
    (tmp_path / "d.txt").unlink()
    problem = f"{tmp_path / 'd.txt'}: is missing\n{tmp_path}: prepare it first"
    assert examine_dataset("plain", tmp_path)["problems"] == [problem]


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="dataset is 'nothing', expected one of"):
        examine_dataset("nothing", tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        examine_dataset("folder", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("stems", "expected", "missing"),
    [
        (["a1", "a2", "a4"], 4, ["a3"]),
        (["a02", "a03"], 4, ["a01", "a04"]),
        (["1_A", "2_D", "5_N"], 5, ["3", "4"]),
        (["0", "1", "3"], 4, ["2"]),
        (["A1", "A3", "B1"], 5, ["A2"]),
        (["ISIC_0000005", "ISIC_0000008", "ISIC_0000100"], 4, []),  # numbers of another collection
        (["TCGA-A", "TCGA-B"], 3, []),
        (["TCGA-2Z-A9J9-01A-01-TS1", "TCGA-44-2665-01B-06-BS6"], 14, []),  # identifiers with numbers in them
        ([], 3, []),
    ],
)
def test_series(stems: list[str], expected: int, missing: list[str]) -> None:
    assert missing_from_series(stems, expected) == missing


@pytest.mark.parametrize("name", sorted(MINI.keys() & DATASETS.keys()))
def test_every_layout(name: str, tmp_path: Path) -> None:
    """Miniatures are too small, but nothing else is wrong with them."""
    build: Callable[[Path], Any] = MINI[name]
    build(tmp_path)
    report = examine_dataset(name, tmp_path)
    assert report["problems"] == []
    assert report["preparation"] or (report["sizes"] and len(report["label_values"]) > 1)


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "folder"), [("volumes", "msd_hippocampus"), ("folder", "isic2017_skin")])
def test_real_data(name: str, folder: str, real_data: Path) -> None:
    report = examine_dataset(name, real_data / folder)
    described = json.loads((real_data / folder / "dataset.json").read_text(encoding="utf-8"))
    assert report["ok"], report
    assert {part: numbers["cases"] for part, numbers in report["parts"].items()} == {
        part: described[f"num{part.capitalize()}"] for part in ("training", "validation", "test")
    }
    assert list(report["label_values"]) == sorted(described["labels"], key=int)


@pytest.mark.parametrize("key", ["image", "label"])
def test_whatever_a_file_makes_a_library_raise_is_its_problem(
    glas: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    def fail(path: Any, *_: Any, **__: Any) -> Any:
        raise struct.error("unpack requires 4 bytes")

    monkeypatch.setattr(f"sa2_monai.data.checks.opened_files.read_{key}", fail)
    report = examine_dataset("glas", glas)
    assert not report["ok"]
    assert f"unreadable {key} files" in report["problems"][0]
    assert "train_1" in report["problems"][0]
    assert "error: unpack requires 4 bytes" in report["problems"][0]
