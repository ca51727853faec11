# SPDX-License-Identifier: Apache-2.0
"""CVC-ClinicDB: folders as downloaded, masks of one and three channels, splits by sequence and by frame."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sa2_monai.data import load_datalist, load_parts, read_label
from sa2_monai.data.datasets.cvc_clinicdb import LAST_FRAMES, cvc_clinicdb_parts
from tests.support.miniatures.images import cvc_clinicdb, image, save


@pytest.fixture
def cvc(tmp_path: Path) -> Path:
    cvc_clinicdb(tmp_path)
    return tmp_path


def groups(cases: list[dict[str, Any]]) -> list[str]:
    return sorted({case["group"] for case in cases})


def test_frames_are_split_by_sequence(cvc: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = {s: load_datalist(cvc, s, "cvc_clinicdb", in_channels=3) for s in ("training", "validation", "test")}
    assert "16 training images, the published data set has 612" in caplog.text
    assert [len(part) for part in parts.values()] == [8, 4, 4]
    assert sorted(g for part in parts.values() for g in groups(part)) == [f"sequence_{n:02d}" for n in range(1, 9)]
    listed = cvc_clinicdb_parts(cvc)["training"]
    assert [case["case"] for case in listed][:6] == ["1", "2", "26", "27", "51", "52"]  # in the order of the videos
    assert listed[3]["group"] == "sequence_02"


def test_a_handful_of_frames_is_divided_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(1, 6):  # all of the first sequence
        inside = image(tmp_path / "Original" / f"{number}.tif", number)
        save(tmp_path / "Ground Truth" / f"{number}.tif", inside.astype(np.uint8))
    parts = load_parts(tmp_path, "cvc_clinicdb")
    assert [len(part) for part in parts.values()] == [3, 1, 1]
    assert "frames of 1 of the 29 sequences only" in caplog.text
    with pytest.raises(ValueError, match=rf"{tmp_path.name}: 1 case.* too few to hold out 20% as test part"):
        load_parts(tmp_path, "cvc_clinicdb", split="by-sequence")


def test_the_frame_numbers_make_29_sequences() -> None:
    assert len(LAST_FRAMES) == 29
    assert LAST_FRAMES[-1] == 612
    assert min(np.diff((0, *LAST_FRAMES))) == 6
    assert max(np.diff((0, *LAST_FRAMES))) == 26


def test_masks_of_one_and_three_channels(cvc: Path) -> None:
    grey = np.arange(40 * 48, dtype=np.uint8).reshape(40, 48)
    save(cvc / "Ground Truth" / "2.tif", grey)
    colour = np.stack([grey, grey // 2, np.zeros_like(grey)], axis=2)  # the first channel counts
    save(cvc / "Ground Truth" / "1.tif", colour)
    first, second, third = cvc_clinicdb_parts(cvc)["training"][:3]
    for case in (first, second):
        assert Path(case["label"]) == cvc / ".sa2_monai" / "labels" / f"{case['case']}.png"
        np.testing.assert_array_equal(read_label(case["label"]), np.where(grey >= 128, 255, 0))
    source = np.asarray(Image.open(cvc / "Ground Truth" / "26.tif"))
    np.testing.assert_array_equal(read_label(third["label"]), source)


@pytest.mark.parametrize("inner", ["PNG", "CVC-ClinicDB/PNG", "CVC-ClinicDB"])
def test_copies(cvc: Path, tmp_path: Path, inner: str) -> None:
    copy = tmp_path / "copy"
    for name in ("Original", "Ground Truth"):
        for path in (cvc / name).iterdir():
            target = copy / inner / name / f"{path.stem}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.open(path).save(target)
    assert [c["case"] for c in load_parts(copy, "cvc_clinicdb")["test"]] == [
        c["case"] for c in load_parts(cvc, "cvc_clinicdb")["test"]
    ]
    if inner == "PNG":  # a copy with both: the TIFF files are the original ones
        (copy / "TIF").mkdir()
        for name in ("Original", "Ground Truth"):
            (cvc / name).rename(copy / "TIF" / name)
        assert load_parts(copy, "cvc_clinicdb")["test"][0]["image"].endswith(".tif")


@pytest.mark.parametrize(
    ("name", "header"), [("sequences.csv", "frame,sequence"), ("metadata.csv", "frame_id,sequence_id,tif_image_path")]
)
def test_a_table_says_the_sequences(cvc: Path, name: str, header: str) -> None:
    cases = cvc_clinicdb_parts(cvc)["training"]
    rows = [f"{case['case']},{index // 4},x" for index, case in enumerate(cases)]
    (cvc / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")
    assert groups(cvc_clinicdb_parts(cvc)["training"]) == [f"sequence_{n}" for n in range(4)]
    (cvc / name).write_text("\n".join([header, *rows[1:]]) + "\n")
    with pytest.raises(ValueError, match=r"(?s)frames that the table leaves out \(1\).*Original/1\.tif"):
        cvc_clinicdb_parts(cvc)
    (cvc / name).write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=rf"{name}: has the columns a, b, expected frame"):
        cvc_clinicdb_parts(cvc)


def test_other_names_are_kept_together_in_blocks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(60):
        inside = image(tmp_path / "images" / f"frame{number:03d}.png", number, (4, 4))
        save(tmp_path / "masks" / f"frame{number:03d}.png", inside.astype(np.uint8))
    cases = cvc_clinicdb_parts(tmp_path)["training"]
    assert "unverified" in caplog.text
    assert "frames of 3 sequences only" in caplog.text
    assert [case["group"] for case in cases[::25]] == [f"block_{n:02d}" for n in (1, 2, 3)]
    stored = np.asarray(Image.open(tmp_path / "masks" / "frame000.png"))  # 0 and 1, which are no shades of black
    np.testing.assert_array_equal(read_label(cases[0]["label"]), np.where(stored == 1, 255, 0))


@pytest.mark.parametrize(("split", "count"), [("random-80-20", 3), ("pranet", 2)])
def test_splits_by_frame_are_fixed_and_marked(
    cvc: Path, split: str, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        parts = load_parts(cvc, "cvc_clinicdb", split=split)
    assert "divides frames, not sequences" in caplog.text
    assert len(parts["test"]) == count
    assert "group" not in parts["test"][0]
    assert load_parts(cvc, "cvc_clinicdb", split=split, split_seed=1)["test"] == parts["test"]


def test_published_counts_of_the_splits() -> None:
    assert round(612 * 0.2) == 122
    assert 612 - round(612 * (62 / 612)) == 550


def test_errors(cvc: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="split is 'x', expected one of by-sequence, random-80-20, pranet"):
        load_parts(cvc, "cvc_clinicdb", split="x")
    (cvc / "Ground Truth" / "26.tif").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"(?s)unreadable label files \(1\).*26\.tif: is not a readable"):
        cvc_clinicdb_parts(cvc)
    (cvc / "Ground Truth" / "26.tif").unlink()
    with pytest.raises(ValueError, match=r"(?s)images without a label.*26\.tif"):
        cvc_clinicdb_parts(cvc)
    (tmp_path / "empty" / "Original").mkdir(parents=True)
    (tmp_path / "empty" / "Ground Truth").mkdir()
    with pytest.raises(ValueError, match="has no folders 'Original' and 'Ground Truth' with"):
        cvc_clinicdb_parts(tmp_path / "empty")


@pytest.mark.realdata
def test_real_polyps_in_the_original_layout(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "kvasir_polyps"
    for number, path in enumerate(sorted((source / "images").iterdir())[:14]):
        for kind, folder in (("images", "Original"), ("labels", "Ground Truth")):
            original = next((source / kind).glob(f"{path.stem}.*"))
            target = tmp_path / folder / f"{1 + 45 * (number // 2) + number % 2}.tif"
            target.parent.mkdir(exist_ok=True)
            Image.open(original).save(target)
    parts = {s: load_datalist(tmp_path, s, "cvc_clinicdb", in_channels=3) for s in ("training", "validation", "test")}
    assert [len(part) for part in parts.values()] == [8, 4, 2]
    for case in parts["test"]:
        number = Path(case["image"]).stem
        mask = np.asarray(Image.open(tmp_path / "Ground Truth" / f"{number}.tif"))
        np.testing.assert_array_equal(read_label(case["label"]), mask)
