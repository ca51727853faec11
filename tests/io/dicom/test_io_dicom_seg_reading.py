# SPDX-License-Identifier: Apache-2.0
"""DICOM SEG of other programs: every type, order and storage of frames gives the same label map."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sa2_monai.inference import read_dicom_seg, write_dicom_seg
from sa2_monai.io.dicom.seg_reading import _on_grid
from sa2_monai.io.dicom.series import find_series
from sa2_monai.io.dicom.source_datasets import read_source_datasets

highdicom = pytest.importorskip("highdicom", reason="the extra dicom is not installed")
import pydicom  # noqa: E402
from pydicom.sr.codedict import codes  # noqa: E402
from pydicom.uid import RLELossless  # noqa: E402

from tests.support.dicom_files import SHAPE, edit, rotation, tilted, write_multiframe, write_series  # noqa: E402


def some_labels(numbers: tuple[int, ...] = (1, 2, 3)) -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint16)
    labels[3:9, 2:12, 1:3] = numbers[0]
    labels[20:30, 10:20, 2:5] = numbers[1]
    labels[12:14, 3, 4] = numbers[2]
    return labels


def write_seg(
    folder: Path,
    path: Path,
    array: np.ndarray,
    kind: str = "BINARY",
    numbers: tuple[int, ...] = (1, 2, 3),
    **options: Any,
) -> None:
    """A SEG by highdicom; the array is (slice, row, column), or has the segments along a fourth axis."""
    descriptions = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"s{number}",
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=codes.SCT.AnatomicalStructure,
            algorithm_type="MANUAL",
        )
        for number in numbers
    ]
    sources = options.pop("sources", None) or read_source_datasets(find_series(folder))
    highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=array,
        segmentation_type=kind,
        segment_descriptions=descriptions,
        series_instance_uid=highdicom.UID(),
        series_number=9,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="x",
        manufacturer_model_name="x",
        software_versions="1",
        device_serial_number="1",
        **options,
    ).save_as(path)


TEST_CASE_TYPES: dict[str, dict[str, Any]] = {
    "binary": {},
    "binary, empty frames kept": {"omit_empty_frames": False},
    "label map": {"kind": "LABELMAP"},
    "label map, numbers with gaps": {"kind": "LABELMAP", "numbers": (2, 7, 40)},
    "label map above 255": {"kind": "LABELMAP", "numbers": (2, 7, 300)},
    "label map, compressed": {"kind": "LABELMAP", "transfer_syntax_uid": RLELossless},
    "fractional that is 0 or 1": {"kind": "FRACTIONAL"},
}


@pytest.mark.parametrize("source", ["axial", "gantry tilt", "multi-frame"])
@pytest.mark.parametrize("name", TEST_CASE_TYPES)
def test_types(tmp_path: Path, name: str, source: str) -> None:
    if source == "multi-frame":
        write_multiframe(tmp_path / "s" / "m")
    else:
        write_series(tmp_path / "s", **(tilted(15) if source == "gantry tilt" else {}))
    options = dict(TEST_CASE_TYPES[name])
    labels = some_labels(options.get("numbers", (1, 2, 3)))
    array = labels.transpose(2, 1, 0)
    if options.get("kind") == "FRACTIONAL":
        array = (array[..., None] == [1, 2, 3]).astype(float)
    write_seg(tmp_path / "s", tmp_path / "seg.dcm", array, **options)
    back, affine = read_dicom_seg(tmp_path / "seg.dcm", tmp_path / "s")
    series = find_series(tmp_path / "s")
    assert np.array_equal(back, labels)
    assert back.dtype == (np.uint16 if "255" in name else np.uint8)
    assert np.array_equal(affine, series.affine)
    slab, grid = read_dicom_seg(tmp_path / "seg.dcm")
    first = 0 if "kept" in name else 1
    assert np.array_equal(slab, labels[:, :, first : 6 if "kept" in name else 5])
    assert np.allclose(grid @ [3, 4, 1, 1], affine @ [3, 4, 1 + first, 1], atol=1e-5)


def test_fractions(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_series(tmp_path / "s")
    shares = np.random.default_rng(0).dirichlet([0.3, 0.3, 0.3], SHAPE[::-1])
    write_seg(tmp_path / "s", tmp_path / "seg.dcm", shares, "FRACTIONAL", max_fractional_value=255)
    stored = np.around(shares * 255) / 255
    expected = np.where(stored.max(-1) > 0.5, stored.argmax(-1) + 1, 0).T
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(read_dicom_seg(tmp_path / "seg.dcm", tmp_path / "s")[0], expected)
    assert f"{tmp_path / 'seg.dcm'}: is of type FRACTIONAL; voxels above 0.5 belong to a segment" in caplog.text


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
def test_overlapping_segments_are_refused(tmp_path: Path, kind: str) -> None:
    write_series(tmp_path / "s")
    array = (some_labels().transpose(2, 1, 0)[..., None] == [1, 2, 3]).astype(float)
    array[2, 5, 5, :2] = 1
    write_seg(tmp_path / "s", tmp_path / "seg.dcm", array if kind == "FRACTIONAL" else array.astype(np.uint8), kind)
    with pytest.raises(ValueError, match="segments overlap each other, expected one class per voxel"):
        read_dicom_seg(tmp_path / "seg.dcm", tmp_path / "s")


TEST_CASE_SPARSE: dict[str, list[int]] = {
    "every other slice": [0, 2, 4],
    "the ends": [0, 5],
    "one slice": [3],
    "with gaps": [1, 4, 5],
}


@pytest.mark.parametrize("hint", [True, False])
@pytest.mark.parametrize("name", TEST_CASE_SPARSE)
def test_sparse_frames(tmp_path: Path, name: str, hint: bool) -> None:
    """Frames of few slices, with and without SpacingBetweenSlices: the series says where the others are."""
    write_series(tmp_path / "s")
    labels = np.zeros(SHAPE, np.uint8)
    for k in TEST_CASE_SPARSE[name]:
        labels[k : k + 9, 4:8, k] = 1 + k % 2
    write_dicom_seg(labels, tmp_path / "s", tmp_path / "seg.dcm", ["background", "a", "b"])
    if not hint:
        file = pydicom.dcmread(tmp_path / "seg.dcm")
        del file.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices
        file.save_as(tmp_path / "seg.dcm")
    assert np.array_equal(read_dicom_seg(tmp_path / "seg.dcm", tmp_path / "s")[0], labels)


@pytest.mark.parametrize("step", [None, "0", "-2.5", "5", "2.5"])
def test_positions_count_and_not_the_spacing_that_is_written(tmp_path: Path, step: str | None) -> None:
    write_series(tmp_path / "s")
    write_dicom_seg(some_labels().astype(np.uint8), tmp_path / "s", tmp_path / "seg.dcm", ["b", "x", "y", "z"])
    file = pydicom.dcmread(tmp_path / "seg.dcm")
    measures = file.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    del measures.SpacingBetweenSlices
    if step is not None:
        measures.SpacingBetweenSlices = step
    file.save_as(tmp_path / "seg.dcm")
    labels, affine = read_dicom_seg(tmp_path / "seg.dcm")
    assert np.array_equal(labels, some_labels()[:, :, 1:5])
    assert affine[2, 2] == 2.5


def renumber(file: Any) -> None:
    for segment in file.SegmentSequence:
        segment.SegmentNumber = {1: 2, 2: 5, 3: 9}[segment.SegmentNumber]
    for frame in file.PerFrameFunctionalGroupsSequence:
        part = frame.SegmentIdentificationSequence[0]
        part.ReferencedSegmentNumber = {1: 2, 2: 5, 3: 9}[part.ReferencedSegmentNumber]


def repeat_measures(file: Any) -> None:
    shared = file.SharedFunctionalGroupsSequence[0]
    for frame in file.PerFrameFunctionalGroupsSequence:
        frame.PixelMeasuresSequence = shared.PixelMeasuresSequence
        frame.PlaneOrientationSequence = shared.PlaneOrientationSequence
    del shared.PixelMeasuresSequence, shared.PlaneOrientationSequence


def forget_source(file: Any) -> None:
    for frame in file.PerFrameFunctionalGroupsSequence:
        del frame.DerivationImageSequence
    del file.ReferencedSeriesSequence


@pytest.mark.parametrize("change", [renumber, repeat_measures, forget_source])
def test_other_ways_to_write_it(tmp_path: Path, change: Callable[[Any], None]) -> None:
    write_series(tmp_path / "s")
    write_dicom_seg(some_labels().astype(np.uint8), tmp_path / "s", tmp_path / "seg.dcm", ["b", "x", "y", "z"])
    file = pydicom.dcmread(tmp_path / "seg.dcm")
    change(file)
    file.save_as(tmp_path / "seg.dcm")
    numbers = np.array([0, 2, 5, 9] if change is renumber else [0, 1, 2, 3])
    assert np.array_equal(read_dicom_seg(tmp_path / "seg.dcm", tmp_path / "s")[0], numbers[some_labels()])
    assert np.array_equal(read_dicom_seg(tmp_path / "seg.dcm")[0], numbers[some_labels()[:, :, 1:5]])


def test_frames_in_any_order(tmp_path: Path) -> None:
    write_series(tmp_path / "s")
    write_dicom_seg(some_labels().astype(np.uint8), tmp_path / "s", tmp_path / "seg.dcm", ["b", "x", "y", "z"])
    file = pydicom.dcmread(tmp_path / "seg.dcm")
    planes = np.packbits(file.pixel_array[::-1].ravel(), bitorder="little").tobytes()
    file.PixelData = planes + b"\0" * (len(planes) % 2)
    file.PerFrameFunctionalGroupsSequence = list(file.PerFrameFunctionalGroupsSequence)[::-1]
    file.save_as(tmp_path / "seg.dcm")
    assert np.array_equal(read_dicom_seg(tmp_path / "seg.dcm", tmp_path / "s")[0], some_labels())
    assert np.array_equal(read_dicom_seg(tmp_path / "seg.dcm")[0], some_labels()[:, :, 1:5])


def geometry(folder: Path) -> Any:
    affine = (np.diag([-1, -1, 1, 1]) @ find_series(folder).affine)[:, [2, 1, 0, 3]]
    return highdicom.VolumeGeometry(affine, SHAPE[::-1], coordinate_system="PATIENT")


TEST_CASE_STORED: dict[str, Callable[[Any], Any]] = {
    "columns from right to left": lambda volume: volume.flip_spatial(2),
    "rows from below": lambda volume: volume.flip_spatial(1),
    "slices from above": lambda volume: volume.flip_spatial(0),
    "sagittal": lambda volume: volume.permute_spatial_axes([2, 0, 1]),
    "coronal, turned": lambda volume: volume.permute_spatial_axes([1, 2, 0]).flip_spatial([0, 2]),
    "cropped": lambda volume: volume[1:5, 1:, :31],
    "with a margin": lambda volume: volume.pad(2),
}


@pytest.mark.parametrize("orientation", ["axial", "oblique"])
@pytest.mark.parametrize("name", TEST_CASE_STORED)
def test_same_lattice_in_another_storage_order(tmp_path: Path, name: str, orientation: str) -> None:
    matrix = rotation(x=12, y=7, z=30) if orientation == "oblique" else np.eye(3)
    write_series(tmp_path / "s", orientation=np.r_[matrix[:, 0], matrix[:, 1]], modality="MR")
    labels = some_labels()
    target = geometry(tmp_path / "s")
    volume = target.with_array(labels.transpose(2, 1, 0).astype(np.uint8))
    write_seg(tmp_path / "s", tmp_path / "seg.dcm", TEST_CASE_STORED[name](volume))
    back, affine = read_dicom_seg(tmp_path / "seg.dcm", tmp_path / "s")
    assert np.array_equal(back, labels)
    assert np.array_equal(affine, find_series(tmp_path / "s").affine)
    # Alone it lies at the same places, whatever its axes.
    own, grid = read_dicom_seg(tmp_path / "seg.dcm")
    found = (grid[:3] @ np.c_[np.argwhere(own == 2), np.ones((own == 2).sum())].T).T
    there = (affine[:3] @ np.c_[np.argwhere(labels == 2), np.ones((labels == 2).sum())].T).T
    assert np.allclose(sorted(map(tuple, found.round(4))), sorted(map(tuple, there.round(4))), atol=1e-3)


TEST_CASE_ELSEWHERE: dict[str, tuple[dict[str, Any], str]] = {
    "another step": ({"thickness": 3.0}, "beside the slices of the grid; it belongs to another series"),
    "half a slice above": ({"origin": (0, 0, 1.25)}, r"up to 1\.25 mm beside the slices"),
    "half a pixel aside": ({"origin": (0.35, 0, 0)}, "beside the slices of the grid"),
    "another spacing": ({"spacing": (0.8, 0.75)}, "beside the slices of the grid"),
    "turned": ({"orientation": (0, 1, 0, 0, 0, -1)}, "beside the slices of the grid|lie outside the series"),
    "far away": ({"origin": (0, 0, 250.0)}, "voxels of its segments lie outside the series"),
}


@pytest.mark.parametrize("name", TEST_CASE_ELSEWHERE)
def test_other_series(tmp_path: Path, name: str) -> None:
    write_series(tmp_path / "s", modality="MR")
    write_dicom_seg(some_labels().astype(np.uint8), tmp_path / "s", tmp_path / "seg.dcm", ["b", "x", "y", "z"])
    options, message = TEST_CASE_ELSEWHERE[name]
    shift = options.get("origin", (0, 0, 0))
    write_series(tmp_path / "t", modality="MR", **{key: value for key, value in options.items() if key != "origin"})
    for path in (tmp_path / "t").iterdir():
        position = np.array(pydicom.dcmread(path).ImagePositionPatient, float)
        edit(path, ImagePositionPatient=[f"{value:.6g}" for value in position + shift])
    with pytest.raises(ValueError, match=message):
        read_dicom_seg(tmp_path / "seg.dcm", tmp_path / "t")


def test_positions_rounded_to_a_tenth(tmp_path: Path) -> None:
    write_series(tmp_path / "s", thickness=0.625, shape=(32, 24, 30))
    for path in (tmp_path / "s").iterdir():
        position = pydicom.dcmread(path).ImagePositionPatient
        edit(path, ImagePositionPatient=[f"{float(value):.1f}" for value in position])
    labels = np.zeros((32, 24, 30), np.uint8)
    labels[4:9, 5:7, 3:28:4] = 1
    write_dicom_seg(labels, tmp_path / "s", tmp_path / "seg.dcm", ["background", "a"])
    assert np.array_equal(read_dicom_seg(tmp_path / "seg.dcm", tmp_path / "s")[0], labels)
    assert np.array_equal(read_dicom_seg(tmp_path / "seg.dcm")[0], labels[:, :, 3:28])


def displace(file: Any) -> None:
    place = file.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
    place.ImagePositionPatient = [float(v) + d for v, d in zip(place.ImagePositionPatient, (3, 0, 0), strict=True)]


def lose_place(file: Any) -> None:
    del file.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence


def turn(file: Any) -> None:
    for k, item in enumerate(file.PerFrameFunctionalGroupsSequence):
        part = pydicom.Dataset()
        part.ImageOrientationPatient = [1, 0, 0, 0, 1, 0] if k else [1, 0, 0, 0, 0, -1]
        item.PlaneOrientationSequence = [part]
    del file.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence


TEST_CASE_BAD: dict[str, tuple[Callable[[Any], None], str]] = {
    "displaced frame": (displace, "beside a line, expected slices above each other"),
    "frame without a place": (lose_place, "damaged, or a frame has no place in the patient"),
    "frames of different orientation": (turn, "cannot be read as a label map of parallel, equally spaced slices"),
    "no frame of reference": (
        lambda f: delattr(f, "FrameOfReferenceUID"),
        "cannot be read as a label map of parallel, equally spaced slices",
    ),
    "no frames": (lambda f: delattr(f, "PerFrameFunctionalGroupsSequence"), "has no frames"),
    "another modality": (lambda f: setattr(f, "Modality", "OT"), "is OT BINARY, expected a DICOM SEG of type"),
    "an unknown type": (lambda f: setattr(f, "SegmentationType", "CONTOUR"), "is SEG CONTOUR, expected a DICOM SEG"),
    "pixels missing": (lambda f: setattr(f, "PixelData", f.PixelData[:8]), "cannot be read as a label map|damaged"),
}


@pytest.mark.parametrize("name", TEST_CASE_BAD)
def test_bad_seg(tmp_path: Path, name: str) -> None:
    write_series(tmp_path / "s")
    write_dicom_seg(some_labels().astype(np.uint8), tmp_path / "s", tmp_path / "seg.dcm", ["b", "x", "y", "z"])
    damage, message = TEST_CASE_BAD[name]
    file = pydicom.dcmread(tmp_path / "seg.dcm")
    damage(file)
    file.save_as(tmp_path / "bad.dcm")
    with pytest.raises(ValueError, match=message) as error:
        read_dicom_seg(tmp_path / "bad.dcm")
    assert str(tmp_path / "bad.dcm") in str(error.value)


def test_choice_of_the_series(tmp_path: Path) -> None:
    write_series(tmp_path / "s", series=1)
    for path in list((tmp_path / "s").iterdir()):
        path.rename(path.with_name("one" + path.name))
    write_series(tmp_path / "s", series=2, thickness=4, SeriesDescription="thick")
    labels = some_labels().astype(np.uint8)
    write_dicom_seg(labels, tmp_path / "s", tmp_path / "a.dcm", ["b", "x", "y", "z"], series="THICK")
    assert np.array_equal(read_dicom_seg(tmp_path / "a.dcm", tmp_path / "s", series=2)[0], labels)
    with pytest.raises(ValueError, match="holds 2 series"):
        read_dicom_seg(tmp_path / "a.dcm", tmp_path / "s")
    with pytest.raises(ValueError, match="belongs to another series"):
        read_dicom_seg(tmp_path / "a.dcm", tmp_path / "s", series="1")


def test_nothing_is_cropped_in_silence(tmp_path: Path) -> None:
    write_series(tmp_path / "s")
    series = find_series(tmp_path / "s")
    labels = np.zeros((40, 30, 9), np.uint8)
    labels[:32, :24, :6] = some_labels()
    assert np.array_equal(_on_grid(highdicom, tmp_path, labels, series.affine, series), some_labels())
    labels[32, 0, 0] = 1
    with pytest.raises(ValueError, match="1 voxels of its segments lie outside"):
        _on_grid(highdicom, tmp_path, labels, series.affine, series)
