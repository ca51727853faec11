# SPDX-License-Identifier: Apache-2.0
"""Enhanced multi-frame images: frames are slices, and more than one volume in a file is refused by name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from sa2_monai.data import VolumeReader, list_volumes, read_volume, volume_header
from sa2_monai.inference import write_dicom_seg
from sa2_monai.io.volumes.geometry import corner_distance
from sa2_monai.slices import StrictLoadImaged
from tests.support.dicom_files import AXIAL, ROOT, SHAPE, edit, group, rotation, write_multiframe, write_series

TEST_CASE_READ: dict[str, dict[str, Any]] = {
    "ct": {},
    "mr": {"modality": "MR"},
    "frames in another order": {"order": [3, 0, 5, 1, 4, 2]},
    "monochrome1": {"PhotometricInterpretation": "MONOCHROME1"},
}


@pytest.mark.parametrize("place", ["file", "folder", "folder with notes"])
@pytest.mark.parametrize("name", TEST_CASE_READ)
def test_frames_are_slices(tmp_path: Path, name: str, place: str) -> None:
    path = tmp_path / "s" / "image.dcm"
    array, affine = write_multiframe(path, **TEST_CASE_READ[name])
    if place == "folder with notes":
        (path.parent / "readme.txt").write_text("x")
    source = path if place == "file" else path.parent
    volume = read_volume(source)
    assert np.array_equal(volume.array, array)
    assert corner_distance(SHAPE, volume.header.affine, affine) < 1e-6
    header = volume_header(source)
    assert (header.shape, header.kind, header.dtype) == (SHAPE, "dicom", volume.array.dtype)


def test_file_as_a_case(tmp_path: Path) -> None:
    array, _ = write_multiframe(tmp_path / "image.dcm")
    (case,) = list_volumes([tmp_path / "image.dcm"])
    image = StrictLoadImaged("image", VolumeReader(), ensure_channel_first=True, image_only=True)(case)["image"]
    assert np.array_equal(image[0].numpy(), array)


def test_geometry_of_every_frame(tmp_path: Path) -> None:
    """Legacy converted images repeat orientation and measures in every frame."""
    turned = rotation(x=12, y=7, z=30)
    normal = turned[:, 2]
    write_multiframe(tmp_path / "a.dcm", modality="MR")
    file = pydicom.dcmread(tmp_path / "a.dcm")
    shared = file.SharedFunctionalGroupsSequence[0]
    for k, frame in enumerate(file.PerFrameFunctionalGroupsSequence):
        more = group(
            PlaneOrientationSequence={"ImageOrientationPatient": [f"{v:.12f}" for v in (*turned[:, 0], *turned[:, 1])]},
            PixelMeasuresSequence={"PixelSpacing": [1.5, 1.25], "SliceThickness": 9},
            PlanePositionSequence={"ImagePositionPatient": [f"{v:.8f}" for v in normal * 4 * k]},
        )
        frame.update(more)
    del shared.PlaneOrientationSequence, shared.PixelMeasuresSequence
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.4"
    file.save_as(tmp_path / "a.dcm")
    header = volume_header(tmp_path / "a.dcm")
    assert header.spacing == pytest.approx((1.25, 1.5, 4))
    assert np.allclose(np.diag([-1, -1, 1]) @ header.affine[:3, :3] / header.spacing, turned, atol=1e-7)


def test_parts_of_a_concatenation(tmp_path: Path) -> None:
    array, _ = write_multiframe(tmp_path / "s" / "1.dcm", order=[0, 1, 2])
    write_multiframe(tmp_path / "s" / "2.dcm", order=[3, 4, 5], SOPInstanceUID=f"{ROOT}.5.2")
    # The second file counts its intercepts from 0 again.
    volume = read_volume(tmp_path / "s")
    assert volume.array.shape == SHAPE
    assert np.array_equal(volume.array, array)


def test_choice_between_series_and_multiframe(tmp_path: Path) -> None:
    write_series(tmp_path / "s")
    array, _ = write_multiframe(tmp_path / "s" / "m")
    with pytest.raises(ValueError, match="holds 2 series") as error:
        read_volume(tmp_path / "s")
    assert f"{ROOT}.5: number 5, CT, 'enhanced', 6 images" in str(error.value)
    assert np.array_equal(read_volume(tmp_path / "s", series="enhanced").array, array)


def frames_of(name: str, values: list[Any], element: str) -> list[dict[str, dict[str, Any]]]:
    return [{name: {element: value}} for value in values]


TEST_CASE_SEVERAL: dict[str, tuple[dict[str, Any], str]] = {
    "time points": (
        {
            "order": [0, 1, 2] * 2,
            "per_frame": frames_of("FrameContentSequence", [1, 1, 1, 2, 2, 2], "TemporalPositionIndex"),
        },
        r"holds 2 time points \(6 frames at 3 positions\), expected one volume",
    ),
    "echoes": (
        {
            "order": [0, 0, 0, 1, 1, 1],
            "per_frame": frames_of("MREchoSequence", [5.0, 10.0, 15.0] * 2, "EffectiveEchoTime"),
        },
        r"holds 3 echoes \(6 frames at 2 positions\)",
    ),
    "b-values": (
        {
            "order": [0, 1, 2] * 2,
            "per_frame": frames_of("MRDiffusionSequence", [0.0] * 3 + [1000.0] * 3, "DiffusionBValue"),
        },
        r"holds 2 b-values \(6 frames at 3 positions\)",
    ),
    "stacks": (
        {
            "order": [0, 1, 2, 3, 4, 5],
            "per_frame": frames_of("FrameContentSequence", ["1"] * 3 + ["2"] * 3, "StackID"),
        },
        r"holds 2 stacks \(6 frames at 6 positions\)",
    ),
    "magnitude and phase": (
        {
            "order": [0, 1, 2] * 2,
            "per_frame": frames_of(
                "MRImageFrameTypeSequence", ["MAGNITUDE"] * 3 + ["PHASE"] * 3, "ComplexImageComponent"
            ),
        },
        "holds 2 image components",
    ),
    "nothing that tells them apart": ({"order": [0, 1, 1, 2]}, r"holds several frames at one position \(4 frames at 3"),
}


@pytest.mark.parametrize("name", TEST_CASE_SEVERAL)
def test_several_volumes_in_a_file(tmp_path: Path, name: str) -> None:
    options, message = TEST_CASE_SEVERAL[name]
    write_multiframe(tmp_path / "a.dcm", modality="MR", **options)
    with pytest.raises(ValueError, match=message) as error:
        volume_header(tmp_path / "a.dcm")
    assert str(tmp_path / "a.dcm") in str(error.value)


def change(**tags: Any) -> Callable[[Path], None]:
    return lambda path: edit(path, **tags)


def without(holder: str, name: str) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        file = pydicom.dcmread(path)
        for item in file[holder].value:
            delattr(item, name)
        file.save_as(path)

    return apply


def lose_a_frame(path: Path) -> None:
    file = pydicom.dcmread(path)
    del file.PerFrameFunctionalGroupsSequence[2]
    file.PixelData = file.PixelData[: -32 * 24 * 2]
    file.NumberOfFrames = 5
    file.save_as(path)


TEST_CASE_BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "no groups": (change(PerFrameFunctionalGroupsSequence=None), r"\(1\):\n +a\.dcm: 6 frames, no functional groups"),
    "too few groups": (
        lambda p: change(PerFrameFunctionalGroupsSequence=pydicom.dcmread(p).PerFrameFunctionalGroupsSequence[:4])(p),
        r"a\.dcm: 6 frames, functional groups for 4",
    ),
    "no position": (
        without("PerFrameFunctionalGroupsSequence", "PlanePositionSequence"),
        r"without a valid ImagePositionPatient \(6\):\n.*frame 1\)",
    ),
    "no orientation": (
        without("SharedFunctionalGroupsSequence", "PlaneOrientationSequence"),
        r"without a valid ImageOrientationPatient \(6\)",
    ),
    "no rescale in CT": (
        without("PerFrameFunctionalGroupsSequence", "PixelValueTransformationSequence"),
        r"CT images without RescaleSlope and RescaleIntercept \(6\)",
    ),
    "a frame is missing": (lose_a_frame, r"slices are missing \(1\):\n +1 between a\.dcm \(frame 2\).*\(frame 3\)"),
    "truncated": (lambda p: p.write_bytes(p.read_bytes()[:-400]) and None, r"truncated DICOM files \(1\)"),
}


@pytest.mark.parametrize("name", TEST_CASE_BAD)
def test_bad_multiframe(tmp_path: Path, name: str) -> None:
    write_multiframe(tmp_path / "a.dcm")
    damage, message = TEST_CASE_BAD[name]
    damage(tmp_path / "a.dcm")
    with pytest.raises(ValueError, match=message):
        read_volume(tmp_path / "a.dcm")


def test_oblique_frames_of_different_orientation(tmp_path: Path) -> None:
    turned = rotation(x=20)
    orientations = [list(AXIAL)] * 3 + [[*turned[:, 0], *turned[:, 1]]] * 3
    write_multiframe(
        tmp_path / "a.dcm",
        modality="MR",
        per_frame=frames_of("PlaneOrientationSequence", orientations, "ImageOrientationPatient"),
    )
    with pytest.raises(ValueError, match=r"slices of different orientations \(3\)"):
        volume_header(tmp_path / "a.dcm")


def test_remarks_of_multiframe(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_multiframe(tmp_path / "a.dcm", modality="MR", PhotometricInterpretation="MONOCHROME1")
    with caplog.at_level(logging.WARNING):
        read_volume(tmp_path / "a.dcm")
    assert "not inverted" in caplog.text


def test_enhanced_images_of_one_frame(tmp_path: Path) -> None:
    """One file per slice, its place in functional groups all the same."""
    pytest.importorskip("highdicom", reason="the extra dicom is not installed")
    for k in range(6):
        array, affine = write_multiframe(tmp_path / "s" / f"{k}.dcm", order=[k], SOPInstanceUID=f"{ROOT}.5.{k + 1}")
    volume = read_volume(tmp_path / "s")
    assert np.array_equal(volume.array, array)
    assert corner_distance(SHAPE, volume.header.affine, affine) < 1e-6
    with pytest.raises(ValueError, match="the series is 6 multi-frame images, expected one"):
        write_dicom_seg(np.zeros(SHAPE, np.uint8), tmp_path / "s", tmp_path / "seg.dcm", ["background", "bone"])
