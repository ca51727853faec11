# SPDX-License-Identifier: Apache-2.0
"""DICOM SEG: every voxel at its place in the patient, references to the source, codes of the segments."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from sa2_monai.data import VolumeReader, read_volume
from sa2_monai.inference import VolumeSaveImaged, read_dicom_seg, write_dicom_seg
from sa2_monai.io.dicom.seg import segment_names
from sa2_monai.io.dicom.segment_codes import _CODES, FALLBACK, segment_code
from sa2_monai.slices import StrictLoadImaged

highdicom = pytest.importorskip("highdicom", reason="the extra dicom is not installed")
import pydicom  # noqa: E402

from tests.support.dicom_files import ROOT, SHAPE, rotation, tilted, write_multiframe, write_series  # noqa: E402

CLASSES = ["background", "spleen", "Left_Kidney", "thing"]


def some_labels(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray:
    """Three classes as blocks and single voxels; the first and last slice and one in the middle are empty."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(shape) > 0.9).astype(np.uint8)
    labels[3:9, 2:12, 1:3] = 2
    labels[20:30, 10:20, 2:5] = 3
    labels[:, :, [0, 3, shape[2] - 1]] = 0
    return labels


def turned(**angles: float) -> np.ndarray:
    matrix = rotation(**angles)
    return np.r_[matrix[:, 0], matrix[:, 1]]


TEST_CASE_SERIES: dict[str, dict[str, Any]] = {
    "axial": {},
    "gantry tilt": tilted(15),
    "shuffled instance numbers": {"numbers": [4, 1, 6, 2, 5, 3]},
    "feet first": {"orientation": (-1, 0, 0, 0, 1, 0), "PatientPosition": "FFS"},
    "oblique": {"orientation": turned(x=12, y=7, z=30), "modality": "MR"},
    "sagittal": {"orientation": (0, 1, 0, 0, 0, -1), "modality": "MR"},
    "odd size": {"shape": (31, 23, 6)},
}


@pytest.mark.parametrize("name", TEST_CASE_SERIES)
def test_round_trip(tmp_path: Path, name: str) -> None:
    _, affine = write_series(tmp_path / "s", **TEST_CASE_SERIES[name])
    labels = some_labels(TEST_CASE_SERIES[name].get("shape", SHAPE))
    path = tmp_path / "out" / "seg.dcm"
    write_dicom_seg(labels, tmp_path / "s", path, CLASSES)
    back, grid = read_dicom_seg(path, tmp_path / "s")
    assert np.array_equal(back, labels)
    assert back.dtype == np.uint8
    assert np.allclose(grid, affine, atol=1e-6)
    # Without the series: from the first to the last slice that is not empty.
    slab, grid = read_dicom_seg(path)
    assert np.array_equal(slab, labels[:, :, 1:-1])
    shifted = affine.copy()
    shifted[:3, 3] += affine[:3, 2]
    assert np.allclose(grid, shifted, atol=1e-6)
    # highdicom's own reading, by the instances that the frames refer to.
    seg = highdicom.seg.segread(path)
    instances = [f"{ROOT}.1.{k + 1}" for k in range(6)]
    frames = seg.get_pixels_by_source_instance(
        instances, assert_missing_frames_are_empty=True, combine_segments=True, ignore_spatial_locations=False
    )
    assert np.array_equal(frames, labels.transpose(2, 1, 0))


def test_what_stands_in_the_file(tmp_path: Path) -> None:
    write_series(tmp_path / "s")
    write_dicom_seg(
        some_labels(), tmp_path / "s", tmp_path / "a.dcm", CLASSES, model_name="DAEFormer", model_version="1.2.3"
    )
    seg = pydicom.dcmread(tmp_path / "a.dcm")
    assert (seg.Modality, seg.SegmentationType, seg.ContentLabel) == ("SEG", "BINARY", "RESEARCH")
    assert seg.SeriesDescription == "RESEARCH segmentation (DAEFormer)"
    assert "not for diagnosis" in seg.ContentDescription
    assert (seg.PatientID, seg.StudyInstanceUID, seg.FrameOfReferenceUID) == ("7", f"{ROOT}.0", f"{ROOT}.9")
    assert seg.SeriesInstanceUID != f"{ROOT}.1"
    series = seg.ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == f"{ROOT}.1"
    assert {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence} == {
        f"{ROOT}.1.{k + 1}" for k in range(6)
    }
    found = []
    for item in seg.SegmentSequence:
        kind, category = item.SegmentedPropertyTypeCodeSequence[0], item.SegmentedPropertyCategoryCodeSequence[0]
        found.append((item.SegmentNumber, item.SegmentLabel, kind.CodeValue, category.CodeValue))
        assert item.SegmentAlgorithmType == "AUTOMATIC"
        assert item.SegmentAlgorithmName == "DAEFormer"
        assert item.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == "1.2.3"
    assert found == [
        (1, "spleen", "78961009", "91723000"),
        (2, "Left_Kidney", "18639004", "91723000"),
        (3, "thing", "91723000", "91723000"),
    ]
    # Slices of a segment without a voxel are not in the file.
    assert int(seg.NumberOfFrames) == sum(bool((some_labels()[..., k] == c).any()) for k in range(6) for c in (1, 2, 3))


def test_the_name_of_the_patient_is_copied_and_not_told(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    write_series(tmp_path / "s", PatientName="Jane_Doe")  # without ^: highdicom warns, and shows the name
    write_dicom_seg(some_labels(), tmp_path / "s", tmp_path / "a.dcm", CLASSES)
    assert str(pydicom.dcmread(tmp_path / "a.dcm").PatientName) == "Jane_Doe"
    assert "Jane" not in "".join(capfd.readouterr())


def test_empty_result(tmp_path: Path) -> None:
    write_series(tmp_path / "s")
    empty = np.zeros(SHAPE, np.uint8)
    write_dicom_seg(empty, tmp_path / "s", tmp_path / "a.dcm", {1: "spleen", 2: "liver"})
    back, _ = read_dicom_seg(tmp_path / "a.dcm", tmp_path / "s")
    assert np.array_equal(back, empty)
    assert len(pydicom.dcmread(tmp_path / "a.dcm").SegmentSequence) == 2


def test_one_slice_with_foreground(tmp_path: Path) -> None:
    _, affine = write_series(tmp_path / "s")
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:9, 5, 3] = 1
    write_dicom_seg(labels, tmp_path / "s", tmp_path / "a.dcm", ["background", "liver"])
    slab, grid = read_dicom_seg(tmp_path / "a.dcm")
    assert np.array_equal(slab, labels[:, :, 3:4])
    assert np.allclose(grid[:3, 3], affine[:3] @ [0, 0, 3, 1], atol=1e-6)
    assert np.allclose(grid[:3, :2], affine[:3, :2], atol=1e-6)


def test_anonymised_series(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_series(
        tmp_path / "s",
        StudyInstanceUID="",
        SeriesInstanceUID="",
        SOPInstanceUID="",
        SOPClassUID="",
        FrameOfReferenceUID=None,
        PatientID=None,
        StudyDate=None,
    )
    for name in ("a.dcm", "b.dcm"):
        write_dicom_seg(some_labels(), tmp_path / "s", tmp_path / name, CLASSES)
    for tag in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert re.search(rf"f00: {tag} \(0020,00..\) is missing \(anonymised\?\)", caplog.text)
    first, second = (pydicom.dcmread(tmp_path / name) for name in ("a.dcm", "b.dcm"))
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.FrameOfReferenceUID == second.FrameOfReferenceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert np.array_equal(read_dicom_seg(tmp_path / "a.dcm", tmp_path / "s")[0], some_labels())


def test_writer_of_the_bundle(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _, affine = write_series(tmp_path / "ct", **tilted(12))
    write_series(tmp_path / "ct", series=2, seed=1, modality="MR", orientation=(0, 1, 0, 0, 0, -1))
    (tmp_path / "ct").rename(tmp_path / "two")
    _, affine = write_series(tmp_path / "ct", **tilted(12))
    load = StrictLoadImaged("image", VolumeReader(), ensure_channel_first=True, image_only=True)
    image = load({"image": tmp_path / "ct"})["image"]
    pred = MetaTensor(torch.as_tensor(some_labels()[None]), meta=dict(image.meta))
    writer = VolumeSaveImaged("pred", tmp_path / "out", "seg", dicom_seg=True, class_names=CLASSES)
    writer({"pred": pred, "case": "p1"})
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["p1_seg.dcm", "p1_seg.nii.gz"]
    nifti = nib.load(tmp_path / "out" / "p1_seg.nii.gz")
    back, grid = read_dicom_seg(tmp_path / "out" / "p1_seg.dcm", tmp_path / "ct")
    assert np.array_equal(np.asanyarray(nifti.dataobj), back)
    assert np.allclose(nifti.affine, affine, atol=1e-5)
    assert np.allclose(grid, affine, atol=1e-6)
    # A NIfTI input has no source instances: no SEG.
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.int16), np.eye(4)), tmp_path / "n.nii.gz")
    image = load({"image": tmp_path / "n.nii.gz"})["image"]
    writer({"pred": MetaTensor(torch.as_tensor(some_labels()[None]), meta=dict(image.meta)), "case": "n"})
    assert not (tmp_path / "out" / "n_seg.dcm").exists()


def test_a_multiframe_file_is_not_overwritten_by_its_seg(tmp_path: Path) -> None:
    write_multiframe(tmp_path / "a.dcm")
    before = (tmp_path / "a.dcm").read_bytes()
    load = StrictLoadImaged("image", VolumeReader(), ensure_channel_first=True, image_only=True)
    image = load({"image": tmp_path / "a.dcm"})["image"]
    pred = MetaTensor(torch.as_tensor(some_labels()[None]), meta=dict(image.meta))
    writer = VolumeSaveImaged("pred", tmp_path, dicom_seg=True, class_names=CLASSES)
    with pytest.raises(ValueError, match=r"the prediction of .*a\.dcm would overwrite it"):
        writer({"pred": pred, "case": "a"})
    assert (tmp_path / "a.dcm").read_bytes() == before


def test_series_uid_travels_to_the_file(tmp_path: Path) -> None:
    write_series(tmp_path / "two", series=1)
    for path in list((tmp_path / "two").iterdir()):
        path.rename(path.with_name("one" + path.name))
    write_series(tmp_path / "two", series=2, thickness=4)
    load = StrictLoadImaged("image", VolumeReader(series_uid=f"{ROOT}.2"), ensure_channel_first=True, image_only=True)
    image = load({"image": tmp_path / "two"})["image"]
    pred = MetaTensor(torch.as_tensor(some_labels()[None]), meta=dict(image.meta))
    VolumeSaveImaged("pred", tmp_path / "o", dicom_seg=True, class_names=CLASSES)({"pred": pred, "case": "a"})
    assert pydicom.dcmread(tmp_path / "o" / "a.dcm").ReferencedSeriesSequence[0].SeriesInstanceUID == f"{ROOT}.2"


def test_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "s")
    path = tmp_path / "a.dcm"
    for labels, message in (
        (np.zeros((32, 24, 5), np.uint8), r"has the shape \(32, 24, 5\), the series .* has \(32, 24, 6\)"),
        (np.full(SHAPE, 4, np.uint8), "holds uint8 values from 4 to 4, expected whole numbers 0 to 3 for the classes"),
        (np.full(SHAPE, 0.5), "holds float64 values"),
        (np.full(SHAPE, -1), "holds int64 values from -1"),
    ):
        with pytest.raises(ValueError, match=message):
            write_dicom_seg(labels, tmp_path / "s", path, CLASSES)
    assert not path.exists()
    with pytest.raises(FileNotFoundError, match=r"a\.dcm: no such file"):
        read_dicom_seg(path)
    path.write_bytes(b"rubbish")
    with pytest.raises(ValueError, match=r"a\.dcm: cannot be read as DICOM"):
        read_dicom_seg(path)
    with pytest.raises(ValueError, match="is CT, expected a DICOM SEG of type BINARY, LABELMAP, FRACTIONAL"):
        read_dicom_seg(next((tmp_path / "s").iterdir()))


def test_other_series_and_overlap_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "s")
    write_dicom_seg(some_labels(), tmp_path / "s", tmp_path / "a.dcm", CLASSES)
    write_series(tmp_path / "t", thickness=3)
    with pytest.raises(
        ValueError, match=r"frames lie up to .* mm beside the slices of the grid; it belongs to another"
    ):
        read_dicom_seg(tmp_path / "a.dcm", tmp_path / "t")
    write_series(tmp_path / "u", shape=(32, 20, 6))
    with pytest.raises(
        ValueError, match=r"\d+ voxels of its segments lie outside the series .* of 32 columns, 20 rows and 6"
    ):
        read_dicom_seg(tmp_path / "a.dcm", tmp_path / "u")
    seg = pydicom.dcmread(tmp_path / "a.dcm")
    groups = seg.PerFrameFunctionalGroupsSequence
    for item in groups:
        item.PlanePositionSequence = groups[0].PlanePositionSequence
    seg.PixelData = b"\xff" * len(seg.PixelData)
    seg.save_as(tmp_path / "b.dcm")
    with pytest.raises(ValueError, match=r"cannot be read as a label map .*uniquely identify frames"):
        read_dicom_seg(tmp_path / "b.dcm")
    del groups[2].PlanePositionSequence
    seg.save_as(tmp_path / "c.dcm")
    with pytest.raises(ValueError, match="damaged, or a frame has no place"):
        read_dicom_seg(tmp_path / "c.dcm")


@pytest.mark.parametrize("names", ["spleen", [], ["background"], {1: "a", 3: "b"}, ["background", " "]])
def test_names_of_segments_refused(names: Any) -> None:
    with pytest.raises(ValueError, match="class_names is"):
        segment_names(names)


def test_names_of_segments() -> None:
    assert segment_names({"0": "background", "2": "b", "1": "a"}) == ["a", "b"]
    assert segment_names(["background", "a", "b"]) == ["a", "b"]


def test_codes() -> None:
    """The table against pydicom's dictionary; the sided kidneys are not in it."""
    from pydicom.sr._concepts_dict import concepts

    known = {(value, meaning.lower()) for entry in concepts["SCT"].values() for value, (meaning, *_) in entry.items()}
    for name, code in _CODES.items():
        if name not in ("left kidney", "right kidney"):
            assert (code.value, code.meaning.lower()) in known, name
    assert segment_code("Right_Kidney").value == "9846003"
    assert segment_code("tumour") == segment_code("Neoplasm")
    assert segment_code("tumour").abnormal
    assert segment_code("whatever") is FALLBACK
    assert segment_code("anterior") is FALLBACK


def test_without_highdicom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(ImportError, match=r"pip install sa2_monai\[dicom\]"):
        VolumeSaveImaged("pred", dicom_seg=True, class_names=CLASSES)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["dicom_mr_t1w/dicom", "totalseg_ct_example/dicom/ct_series"])
def test_real_series(real_data: Path, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    volume = read_volume(real_data / name)
    labels = np.zeros(volume.array.shape, np.uint8)
    low, high = np.percentile(volume.array[:, :, 9:12], (60, 90))
    for k in (8, 9, 11):
        labels[:, :, k] = 1 + (volume.array[:, :, k] > high)
        labels[:, :, k][volume.array[:, :, k] < low] = 0
    with caplog.at_level(logging.ERROR):
        write_dicom_seg(labels, real_data / name, tmp_path / "a.dcm", ["background", "heart", "skin"])
    back, affine = read_dicom_seg(tmp_path / "a.dcm", real_data / name)
    assert np.array_equal(back, labels)
    assert np.array_equal(affine, volume.header.affine)
    slab, grid = read_dicom_seg(tmp_path / "a.dcm")
    assert np.array_equal(slab, labels[:, :, 8:12])
    assert np.allclose(grid @ [3, 4, 2, 1], volume.header.affine @ [3, 4, 10, 1], atol=1e-4)
