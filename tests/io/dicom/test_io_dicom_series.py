# SPDX-License-Identifier: Apache-2.0
"""DICOM series: order and geometry from positions, everything doubtful refused by name."""

from __future__ import annotations

import io
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate

from sa2_monai.data import read_volume, volume_header
from sa2_monai.inference import read_dicom_seg, write_dicom_seg
from sa2_monai.io.dicom.series import find_series
from sa2_monai.io.volumes.geometry import corner_distance
from tests.support.dicom_files import SHAPE, edit, rotation, tilted, write_series


def turned(**angles: float) -> np.ndarray:
    matrix = rotation(**angles)
    return np.r_[matrix[:, 0], matrix[:, 1]]


def by_position(folder: Path) -> list[Path]:
    return [item.path for item in find_series(folder).slices]


TEST_CASE_SERIES: dict[str, dict[str, Any]] = {
    "axial": {},
    "shuffled instance numbers": {"numbers": [4, 1, 6, 2, 5, 3]},
    "feet first": {"orientation": (-1, 0, 0, 0, 1, 0), "PatientPosition": "FFS"},
    "coronal": {"orientation": (1, 0, 0, 0, 0, -1)},
    "sagittal": {"orientation": (0, 1, 0, 0, 0, -1), "modality": "MR"},
    "oblique": {"orientation": turned(x=12, y=7, z=30), "modality": "MR"},
    "one direction of two files": {"thickness": 9.0, "shape": (32, 24, 2)},
}


@pytest.mark.parametrize("name", TEST_CASE_SERIES)
def test_array_and_affine(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    array, affine = write_series(tmp_path / "s", **TEST_CASE_SERIES[name])
    volume = read_volume(tmp_path / "s")
    assert np.array_equal(volume.array, array)
    assert volume.array.dtype.kind in "iu"
    assert corner_distance(array.shape, volume.header.affine, affine) < 1e-6
    assert not caplog.records
    header = volume_header(tmp_path / "s")
    assert (header.shape, header.kind, header.dtype) == (array.shape, "dicom", volume.array.dtype)
    assert header.spacing == pytest.approx((0.7, 0.8, TEST_CASE_SERIES[name].get("thickness", 2.5)))


@pytest.mark.parametrize("angle", [15.0, -20.0])
def test_gantry_tilt_is_kept_with_a_warning(tmp_path: Path, angle: float, caplog: pytest.LogCaptureFixture) -> None:
    array, affine = write_series(tmp_path / "s", **tilted(angle))
    with caplog.at_level(logging.WARNING):
        volume = read_volume(tmp_path / "s")
    assert np.array_equal(volume.array, array)
    assert corner_distance(SHAPE, volume.header.affine, affine) < 1e-6
    assert f"leans {abs(angle):.1f} degrees" in caplog.text
    # The slices stand above each other along the table, not along their normal.
    assert np.allclose(volume.header.affine[:2, 2], 0)


def test_agrees_with_sitk(tmp_path: Path) -> None:
    import SimpleITK as sitk

    write_series(tmp_path / "s", orientation=turned(x=9, z=4), modality="MR")
    volume = read_volume(tmp_path / "s")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "s")))
    image = reader.Execute()
    assert np.array_equal(volume.array, sitk.GetArrayFromImage(image).T)
    for index in np.ndindex(2, 2, 2):
        corner = [int(i * (n - 1)) for i, n in zip(index, SHAPE, strict=True)]
        point = np.diag([-1, -1, 1]) @ image.TransformIndexToPhysicalPoint(corner)
        assert np.allclose(volume.header.affine[:3] @ [*corner, 1], point, atol=1e-5)


@pytest.mark.parametrize("start", [132, 0])
def test_files_without_preamble(tmp_path: Path, start: int) -> None:
    array, _ = write_series(tmp_path / "s")
    for path in (tmp_path / "s").iterdir():
        block = path.read_bytes()[132:]
        # With and without the group of meta information (its length stands in its first element).
        path.write_bytes(block if start else implicit(path))
    assert np.array_equal(read_volume(tmp_path / "s").array, array)


def implicit(path: Path) -> bytes:
    """The data set alone, in implicit little endian."""
    file, bare = io.BytesIO(), pydicom.Dataset()
    bare.update(pydicom.dcmread(path))
    pydicom.dcmwrite(file, bare, implicit_vr=True, little_endian=True, enforce_file_format=False)
    return file.getvalue()


def shift(vector: tuple[float, ...]) -> Any:
    def apply(paths: list[Path]) -> None:
        position = np.array(pydicom.dcmread(paths[3]).ImagePositionPatient, float) + vector
        edit(paths[3], ImagePositionPatient=list(position))

    return apply


def double(paths: list[Path]) -> None:
    shutil.copy(paths[2], paths[2].with_name("again"))


TEST_CASE_BAD: dict[str, tuple[Any, str]] = {
    "missing slice": (
        lambda p: p[3].unlink(),
        r"slices are missing \(1\):\n +1 between .*instance 3\) at 35\.000 mm and .*5\) at 40",
    ),
    "two missing": (lambda p: (p[2].unlink(), p[3].unlink()), r"slices are missing \(1\):\n +2 between"),
    "double": (double, r"same position \(1\):\n.*again.*instance 3.*both at 35\.000 mm"),
    "along": (shift((0, 0, 0.6)), r"not equally spaced \(2\):\n.*instance 3.*instance 4.*step 3\.100 mm, usual 2\.500"),
    "beside": (shift((0.6, 0, 0)), r"displaced slices \(1\):\n.*instance 4\): 0\.600 mm"),
    "turned": (
        lambda p: edit(p[1], ImageOrientationPatient=list(turned(x=1))),
        r"different orientations \(1\):\n.*instance 2",
    ),
    "pixel spacing": (lambda p: edit(p[1], PixelSpacing=[0.8, 0.8]), r"pixel spacings .*\n.*2\): 0\.8, 0\.8, others"),
    "modality": (lambda p: edit(p[5], Modality="MR"), "different modalities"),
    "no position": (lambda p: edit(p[5], ImagePositionPatient=None), "without a valid ImagePositionPatient"),
    "no orientation": (lambda p: edit(p[5], ImageOrientationPatient=None), "without a valid ImageOrientationPatient"),
    "no spacing": (lambda p: edit(p[5], PixelSpacing=None), "without a valid PixelSpacing"),
    "no spacing at all": (lambda p: [edit(q, PixelSpacing=None) for q in p], r"without a valid PixelSpacing \(6\)"),
    "spacing of the detector": (
        lambda p: [edit(q, PixelSpacing=None, ImagerPixelSpacing=[0.8, 0.7]) for q in p],
        r"PixelSpacing \(6\):\n.*instance 6\) has ImagerPixelSpacing, which is not the spacing in the patient",
    ),
    "no rescale": (lambda p: edit(p[5], RescaleSlope=None), "CT images without RescaleSlope and RescaleIntercept"),
    "one slice": (lambda p: [path.unlink() for path in p[1:]], "has one image .*instance 1.*expected at least two"),
    "truncated": (lambda p: p[4].write_bytes(p[4].read_bytes()[:900]), "damaged or truncated DICOM files .1."),
    "empty file": (lambda p: p[4].with_name("x.dcm").write_bytes(b""), r"truncated DICOM files .*\n.*x\.dcm: 0 bytes"),
    "link to nothing": (
        lambda p: p[5].with_name("x").symlink_to("gone"),
        r"DICOM files \(1\):\n +x: a link that leads",
    ),
    "zero spacing": (lambda p: [edit(path, PixelSpacing=[0.8, 0]) for path in p], "has zero spacing"),
    "crooked": (
        lambda p: [edit(path, ImageOrientationPatient=[1, 0, 0, 1, 1, 0]) for path in p],
        "expected two orthogonal unit vectors",
    ),
    "localizers": (
        lambda p: [edit(path, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]) for path in p],
        r"only localizers \(6\)",
    ),
    "nothing": (lambda p: [path.unlink() for path in p], "no DICOM images"),
}


@pytest.mark.parametrize("name", TEST_CASE_BAD)
def test_bad_series(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "s"
    write_series(folder)
    damage, message = TEST_CASE_BAD[name]
    damage(by_position(folder))
    with pytest.raises(ValueError, match=message) as error:
        volume_header(folder)
    assert str(folder) in str(error.value)


def test_other_size_multiframe_and_colour(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    write_series(folder)
    paths = by_position(folder)
    edit(paths[1], Rows=12, Columns=64)
    with pytest.raises(ValueError, match=r"different sizes \(1\):\n.*instance 2\): 64, 12, others 32, 24"):
        read_volume(folder)
    edit(paths[1], Rows=24, Columns=32)
    pixels = pydicom.dcmread(paths[1]).PixelData
    edit(paths[1], NumberOfFrames=2, PixelData=pixels * 2)
    with pytest.raises(ValueError, match=r"multi-frame images .* \(1\):\n.*2 frames, no functional groups"):
        read_volume(folder)
    edit(
        paths[1],
        NumberOfFrames=None,
        PixelData=bytes(32 * 24 * 3),
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation="RGB",
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
    )
    with pytest.raises(ValueError, match=r"colour images \(1\):\n.*3 samples"):
        read_volume(folder)


def test_pixels_that_cannot_be_decoded(tmp_path: Path) -> None:
    write_series(tmp_path / "s")
    path = by_position(tmp_path / "s")[3]
    file = pydicom.dcmread(path)
    file.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
    file.PixelData = encapsulate([b"\xff\x4f\xff\x51 no JPEG 2000 " * 9])
    file["PixelData"].VR = "OB"
    file.save_as(path)
    assert volume_header(tmp_path / "s").shape == SHAPE
    with pytest.raises(ValueError, match=f"{path.name}: the pixels cannot be decoded"):
        read_volume(tmp_path / "s")
    with pytest.raises(FileNotFoundError, match="gone: no such folder"):
        find_series(tmp_path / "gone")


def test_rounded_tags_pass(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    array, affine = write_series(folder, orientation=turned(x=10))
    paths = by_position(folder)
    file = pydicom.dcmread(paths[2])
    edit(
        paths[2],
        ImageOrientationPatient=[f"{value:.5f}" for value in file.ImageOrientationPatient],
        ImagePositionPatient=[f"{value:.2f}" for value in file.ImagePositionPatient],
    )
    volume = read_volume(folder)
    assert np.array_equal(volume.array, array)
    assert corner_distance(SHAPE, volume.header.affine, affine) < 1e-6


def test_ct_without_air_is_suspected(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_series(tmp_path / "s", RescaleIntercept="0")
    with caplog.at_level(logging.WARNING):
        read_volume(tmp_path / "s")
    assert "without a value below -200 (smallest 0)" in caplog.text


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["dicom_mr_t1w/dicom", "totalseg_ct_example/dicom/ct_series"])
def test_real_series_as_sitk_reads_it(real_data: Path, name: str) -> None:
    import SimpleITK as sitk

    volume = read_volume(real_data / name)
    reader = sitk.ImageSeriesReader()
    identifier = reader.GetGDCMSeriesIDs(str(real_data / name))[0]
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(real_data / name), identifier))
    image = reader.Execute()
    assert np.array_equal(volume.array, sitk.GetArrayFromImage(image).T)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    assert corner_distance(volume.array.shape, volume.header.affine, np.diag([-1, -1, 1, 1]) @ affine) < 1e-4
    assert volume.header.remarks == ()


CASES = {
    "dicom_monochrome1_ct": "",
    "dicom_no_slice_thickness": "",
    "dicom_charset_japanese": "",
    "dicom_frame_of_reference_per_slice": "12 frames of reference in 12 slices",
    "dicom_positions_0.1mm": "the positions are written to 0.1 mm",
    "mixed_folder": "",
    "nested/pat2flat": "",
    "nested/siteA/pat1/st1/se1": "",
}


@pytest.mark.realdata
@pytest.mark.parametrize("name", CASES)
def test_awkward_series(real_data: Path, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The example folders: Hounsfield units of air and of the object, remarks, and a SEG that comes back."""
    folder = real_data.parent / "cases" / "dicom" / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    with caplog.at_level(logging.WARNING):
        volume = read_volume(folder)
    assert volume.array.shape == (56, 48, 12)
    assert (volume.array.min(), volume.array.max()) == (-1000, 200)
    assert [record.message.split(": ", 1)[1].startswith(CASES[name]) for record in caplog.records] == [True] * bool(
        CASES[name]
    )
    pytest.importorskip("highdicom", reason="the extra dicom is not installed")
    labels = (volume.array > 0).astype(np.uint8)
    write_dicom_seg(labels, folder, tmp_path / "a.dcm", ["background", "object"])
    back, affine = read_dicom_seg(tmp_path / "a.dcm", folder)
    assert np.array_equal(back, labels)
    assert np.array_equal(affine, volume.header.affine)


@pytest.mark.realdata
def test_awkward_header(real_data: Path) -> None:
    folder = real_data.parent / "cases" / "untrusted" / "dicom_4gb"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    with pytest.raises(ValueError, match=r"damaged or truncated DICOM files \(1\):\n +001\.dcm"):
        read_volume(folder)
