# SPDX-License-Identifier: Apache-2.0
"""Volumes: NIfTI, NRRD, MHA and MHD as arrays with their place; the reader in MONAI's chain; lists of volumes."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from monai.data import NibabelReader

from sa2_monai.data import VolumeReader, list_volumes, read_volume, volume_header
from sa2_monai.io.volumes.geometry import corner_distance
from sa2_monai.io.volumes.memory_order import c_ordered
from sa2_monai.slices import StrictLoadImaged

RNG = np.random.default_rng(3)
ARRAY = RNG.integers(-1000, 1000, (9, 8, 7)).astype(np.int16)
OBLIQUE = np.array([[0.9, -0.1, 0.05, -30], [0.1, 0.8, -0.3, 20], [0.02, 0.25, 2.4, 5], [0, 0, 0, 1.0]])


def straight() -> np.ndarray:
    """An oblique affine with orthogonal axes and three spacings."""
    turn, _ = np.linalg.qr(OBLIQUE[:3, :3])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * [0.9, 0.8, 2.5], [-30, 20, 5]
    return affine


def save_nifti(path: Path, array: np.ndarray = ARRAY, affine: Any = None, **header: Any) -> Path:
    image = nib.Nifti1Image(array, straight() if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def patched(path: Path, **fields: Any) -> Path:
    """Change fields in the header of an uncompressed NIfTI file, behind nibabel's back."""
    block = bytearray(path.read_bytes())
    header = nib.Nifti1Header(bytes(block[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.binaryblock + bytes(block[348:]))
    return path


def itk_image(array: np.ndarray = ARRAY) -> sitk.Image:
    """The array at the place of :func:`straight`."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    lps = np.diag([-1, -1, 1, 1]) @ straight()
    image.SetSpacing((0.9, 0.8, 2.5))
    image.SetDirection((lps[:3, :3] / [0.9, 0.8, 2.5]).ravel())
    image.SetOrigin(lps[:3, 3])
    return image


# ---------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".NII.GZ"])
def test_every_format_gives_the_same(tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / f"a.b{suffix}"
    if "nii" in suffix.lower():
        save_nifti(path)
    else:
        sitk.WriteImage(itk_image(), str(path))
    volume = read_volume(path)
    assert np.array_equal(volume.array, ARRAY)
    assert volume.array.dtype == np.int16
    assert corner_distance(ARRAY.shape, volume.header.affine, straight()) < 1e-5
    header = volume_header(str(path))
    assert (header.shape, header.dtype, header.remarks) == (ARRAY.shape, np.int16, ())
    assert header.spacing == pytest.approx((0.9, 0.8, 2.5), rel=1e-6)
    assert not caplog.records


def test_byte_orders_and_nifti_2(tmp_path: Path) -> None:
    big = nib.Nifti1Image(ARRAY, straight(), nib.Nifti1Header(endianness=">"))
    big.header.set_data_dtype(">i2")
    nib.save(big, tmp_path / "big.nii")
    nib.save(nib.Nifti2Image(ARRAY, straight()), tmp_path / "two.nii.gz")
    for name in ("big.nii", "two.nii.gz"):
        volume = read_volume(tmp_path / name)
        assert np.array_equal(volume.array, ARRAY)
        assert volume.array.dtype.isnative
        assert corner_distance(ARRAY.shape, volume.header.affine, straight()) < 1e-5


def test_slope_and_intercept(tmp_path: Path) -> None:
    path = patched(save_nifti(tmp_path / "a.nii"), scl_slope=0.5, scl_inter=-3)
    volume = read_volume(path)
    assert volume.array.dtype == np.float32 == volume_header(path).dtype
    assert np.allclose(volume.array, ARRAY * 0.5 - 3)


def test_last_axes_of_one_are_dropped(tmp_path: Path) -> None:
    assert read_volume(save_nifti(tmp_path / "a.nii", ARRAY[..., None])).array.shape == (9, 8, 7)
    assert read_volume(save_nifti(tmp_path / "b.nii", ARRAY[:, :, :1])).array.shape == (9, 8, 1)
    sitk.WriteImage(sitk.JoinSeries(itk_image()), str(tmp_path / "c.nrrd"))
    assert np.array_equal(read_volume(tmp_path / "c.nrrd").array, ARRAY)


TEST_CASE_REMARKS: list[tuple[str, dict[str, Any], str]] = [
    ("codes", {"sform_code": 0, "qform_code": 0}, "orientation unknown"),
    ("differ", {"qoffset_x": -28, "qform_code": 1}, "sform and qform disagree by 2 mm at a corner, the sform is used"),
    ("quaternion", {"quatern_b": 1.5, "qform_code": 1}, "the qform is invalid, the sform is used"),
]


@pytest.mark.parametrize(("name", "fields", "message"), TEST_CASE_REMARKS)
def test_doubts_are_warnings(
    tmp_path: Path, name: str, fields: dict, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = patched(save_nifti(tmp_path / f"{name}.nii"), **fields)
    with caplog.at_level(logging.WARNING):
        volume = read_volume(path)
    assert f"{path}: {message}" in caplog.text
    if name != "codes":
        assert corner_distance(ARRAY.shape, volume.header.affine, straight()) < 1e-5


def test_shear_is_kept_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tilt, shear = np.diag([0.7, 0.8, 2.5, 1]), np.diag([0.7, 0.8, 2.5, 1])
    tilt[1, 2], shear[0, 1] = 2.5 * np.tan(np.radians(12)), 0.8 * np.tan(np.radians(10))
    header = read_volume(save_nifti(tmp_path / "tilt.nii", affine=tilt)).header
    assert np.allclose(header.affine, tilt)
    assert "the third axis leans 12.0 degrees from the normal" in caplog.text
    read_volume(save_nifti(tmp_path / "shear.nii", affine=shear))
    assert "the first two axes meet at 80.0 degrees" in caplog.text


def test_qform_alone_and_nrrd_without_space(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = nib.Nifti1Image(ARRAY, straight())
    image.set_sform(None, 0)
    image.set_qform(straight(), 1)
    nib.save(image, tmp_path / "q.nii")
    header = volume_header(tmp_path / "q.nii")
    assert corner_distance(ARRAY.shape, header.affine, straight()) < 1e-3
    assert header.remarks == ()
    text = "NRRD0004\ntype: int16\ndimension: 3\nsizes: 9 8 7\nspacings: 1 2 3\nencoding: raw\nendian: little\n\n"
    (tmp_path / "n.nrrd").write_bytes(text.encode() + ARRAY.tobytes(order="F"))
    with caplog.at_level(logging.WARNING):
        volume = read_volume(tmp_path / "n.nrrd")
    assert np.array_equal(volume.array, ARRAY)
    assert "orientation unknown (the file has no 'space')" in caplog.text


# --------------------------------------------------------------------------------------------------------- bad input


def cut(path: Path, share: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def itk_file(path: Path, image: sitk.Image | None = None, *edits: tuple[bytes, bytes]) -> Path:
    sitk.WriteImage(itk_image() if image is None else image, str(path))
    block = path.read_bytes()
    for old, new in edits:
        assert old in block
        block = block.replace(old, new)
    path.write_bytes(block)
    return path


def with_nan(path: Path) -> Path:
    array = ARRAY.astype(np.float32)
    array[0, 0, 0], array[1, 1, 1] = np.nan, np.inf
    return save_nifti(path, array)


def plain(path: Path) -> Path:
    path.write_bytes(b"no such thing as a volume" * 40)
    return path


COLOUR = np.zeros((4, 4, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
SINGULAR = np.diag([1.0, 1, 1, 1]) @ np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
VECTORS = sitk.GetImageFromArray(np.zeros((4, 4, 4, 3), np.uint8), isVector=True)
COMPLEX = sitk.Cast(itk_image(), sitk.sitkComplexFloat32)
UNIT = sitk.GetImageFromArray(np.zeros((4, 4, 4), np.uint8))

TEST_CASE_BAD: dict[str, tuple[str, Any, str]] = {
    "2D": ("a.nii.gz", lambda p: save_nifti(p, ARRAY[:, :, 0]), r"is a 2D image \(9x8\), expected a volume"),
    "2D mha": ("a.mha", lambda p: itk_file(p, UNIT[:, :, 0]), r"is a 2D image \(4x4\)"),
    "4D": ("a.nii.gz", lambda p: save_nifti(p, np.stack([ARRAY] * 2, -1)), r"is a 4D image \(9x8x7x2\).*time point"),
    "4D nrrd": ("a.nrrd", lambda p: itk_file(p, sitk.JoinSeries([UNIT, UNIT])), r"is a 4D image \(4x4x4x2\)"),
    "truncated": ("a.nii.gz", lambda p: cut(save_nifti(p), 0.6), "truncated or damaged"),
    "truncated nii": ("a.nii", lambda p: cut(save_nifti(p), 0.6), "truncated or damaged: the header promises"),
    "truncated header": ("a.nii.gz", lambda p: cut(save_nifti(p), 0.02), "truncated or damaged|not a NIfTI file"),
    "truncated mha": ("a.mha", lambda p: cut(itk_file(p), 0.6), "truncated or damaged"),
    "truncated nrrd": ("a.nrrd", lambda p: cut(itk_file(p), 0.6), "truncated or damaged"),
    "mhd without data": ("a.mhd", lambda p: itk_file(p).with_suffix(".raw").unlink() or p, "its data file is missing"),
    "empty": ("a.nii.gz", lambda p: cut(save_nifti(p), 0), r"is empty \(0 bytes\)"),
    "rubbish": ("a.nii", plain, "is not a NIfTI file"),
    "rubbish gz": ("a.nii.gz", plain, "is not a NIfTI file or damaged"),
    "rubbish nrrd": ("a.nrrd", plain, "cannot be read by ITK"),
    "nan": ("a.nii.gz", with_nan, "2 of 504 voxels are NaN or infinite"),
    "too large": ("a.nii", lambda p: save_nifti(p, ARRAY * 1e300), "voxels are NaN or infinite .or beyond single"),
    "zero spacing": (
        "a.nii",
        lambda p: patched(save_nifti(p), pixdim=[1, 1, 0, 1, 1, 1, 1, 1], sform_code=0, qform_code=1),
        "has zero spacing",
    ),
    "zero sform": ("a.nii", lambda p: patched(save_nifti(p), srow_x=0, srow_y=0, srow_z=0), "has zero spacing"),
    "zero mha": (
        "a.mha",
        lambda p: itk_file(p, UNIT, (b"ElementSpacing = 1 1 1", b"ElementSpacing = 1 1 0")),
        "has zero spacing",
    ),
    "not finite": ("a.nii", lambda p: patched(save_nifti(p), srow_x=np.nan), "affine holds values that are not finite"),
    "singular": (
        "a.nii",
        lambda p: patched(save_nifti(p), srow_x=SINGULAR[0], srow_y=SINGULAR[1], srow_z=SINGULAR[2]),
        "affine cannot be inverted",
    ),
    "invalid qform": (
        "a.nii",
        lambda p: patched(save_nifti(p), sform_code=0, qform_code=1, quatern_b=1.5),
        "the qform is invalid .* and there is no sform",
    ),
    "complex": ("a.nii.gz", lambda p: save_nifti(p, ARRAY.astype(np.complex64)), "holds complex numbers"),
    "colour": ("a.nii.gz", lambda p: save_nifti(p, COLOUR), r"holds colours \(RGB\)"),
    "unknown type": ("a.nii", lambda p: patched(save_nifti(p), datatype=77), "an unknown type .NIfTI datatype 77."),
    "vectors": ("a.nrrd", lambda p: itk_file(p, VECTORS), "holds 3 components per voxel"),
    "complex mha": ("a.mha", lambda p: itk_file(p, COMPLEX), "holds 2 components per voxel"),
    "image": ("a.png", plain, "is a 2D image, expected a volume"),
    "dicom file": ("IM1", lambda p: p.write_bytes(bytes(128) + b"DICM") and p, "IM1: 132 bytes, ends before"),
    "pair": ("a.img", plain, "one of the two files of a NIfTI pair or Analyze image"),
    "suffix": ("a.vtk", plain, "is no volume by its suffix, expected .nii.gz"),
}


@pytest.mark.parametrize("name", TEST_CASE_BAD)
def test_bad_files_are_refused_by_name(tmp_path: Path, name: str) -> None:
    file, make, message = TEST_CASE_BAD[name]
    path = make(tmp_path / file)
    with pytest.raises(ValueError, match=message) as error:
        read_volume(path)
    assert str(path) in str(error.value)


def test_missing_file() -> None:
    for read in (read_volume, volume_header):
        with pytest.raises(FileNotFoundError, match=r"gone\.nii\.gz: no such file or folder; check the path"):
            read("gone.nii.gz")


def test_label_maps(tmp_path: Path) -> None:
    labels = (ARRAY > 0).astype(np.float32) * 3
    volume = read_volume(save_nifti(tmp_path / "a.nii.gz", labels), label=True)
    assert volume.array.dtype == np.uint8
    assert np.array_equal(volume.array, labels)
    assert read_volume(save_nifti(tmp_path / "b.nii.gz"), label=True).array.dtype == np.int16
    with pytest.raises(
        ValueError, match=r"c\.nii\.gz: holds fractional values between 0 and 1.5, expected a label map"
    ):
        read_volume(save_nifti(tmp_path / "c.nii.gz", labels / 2), label=True)


# ------------------------------------------------------------------------------------------------------------ reader


def test_reader_in_the_chain(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii.gz")
    load = StrictLoadImaged("image", VolumeReader(), ensure_channel_first=True, image_only=True)
    image = load({"image": path})["image"]
    assert image.shape == (1, 9, 8, 7)
    assert np.array_equal(image.numpy()[0], ARRAY)
    assert np.allclose(image.affine.numpy(), straight())
    meta = image.meta
    assert np.allclose(meta["original_affine"], straight())
    assert (tuple(meta["spatial_shape"]), str(meta["space"]), meta["filename_or_obj"]) == ((9, 8, 7), "RAS", str(path))
    assert pickle.loads(pickle.dumps(VolumeReader(label=True, series_uid="1.2"))).series_uid == "1.2"
    # As MONAI's own reader has it.
    reader = NibabelReader()
    array, meta = reader.get_data(reader.read(path))
    assert np.array_equal(array, ARRAY)
    assert np.allclose(meta["affine"], image.affine.numpy())


def test_channels(tmp_path: Path) -> None:
    first, second = save_nifti(tmp_path / "a_0000.nii.gz"), save_nifti(tmp_path / "a_0001.nii.gz", ARRAY + 1)
    load = StrictLoadImaged("image", VolumeReader(channels=2), ensure_channel_first=True, image_only=True)
    image = load({"image": [first, second]})["image"]
    assert image.shape == (2, 9, 8, 7)
    assert np.array_equal(image[1].numpy(), ARRAY + 1)
    with pytest.raises(ValueError, match=r"a_0000\.nii\.gz: 1 file\(s\) for one image, expected 2"):
        load({"image": first})
    with pytest.raises(ValueError, match=r"a_0000\.nii\.gz: 2 file\(s\) for one image, expected 1"):
        VolumeReader().read([first, second])
    moved = straight()
    moved[0, 3] += 3
    with pytest.raises(ValueError, match=r"lies 3 mm from .*a_0000\.nii\.gz at a corner"):
        load({"image": [first, save_nifti(tmp_path / "m.nii", affine=moved)]})
    with pytest.raises(ValueError, match=r"has the shape \(9, 8, 6\), .* has \(9, 8, 7\)"):
        load({"image": [first, save_nifti(tmp_path / "s.nii", ARRAY[..., 1:])]})
    for channels, label in ((0, False), (2, True)):
        with pytest.raises(ValueError, match=f"channels is {channels}"):
            VolumeReader(channels, label)


def test_reader_suffixes(tmp_path: Path) -> None:
    reader = VolumeReader()
    assert reader.verify_suffix(["a.nii.gz", "b.MHA"])
    assert reader.verify_suffix(tmp_path)
    assert not reader.verify_suffix("a.png")


@pytest.mark.parametrize("shape", [(5, 4, 19), (3, 2, 1)])
def test_memory_order(shape: tuple[int, ...]) -> None:
    array = np.asfortranarray(RNG.integers(0, 9, shape))
    ordered = c_ordered(array)
    assert np.array_equal(ordered, array)
    assert ordered.flags.c_contiguous
    assert c_ordered(ordered) is ordered


def test_import_brings_no_torch() -> None:
    code = "import sys, sa2_monai.data; sys.exit(any(m in sys.modules for m in ('torch', 'monai', 'SimpleITK')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------------------------------------------------- lists


def touch(path: Path, content: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def series(folder: Path) -> Path:
    touch(folder / "IM1", bytes(128) + b"DICM")
    return folder


def cases(source: Any) -> list[str]:
    return [case["case"] for case in list_volumes(source)]


def test_list_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    b, a = touch(tmp_path / "b.x.NII.gz"), touch(tmp_path / "a_0000.nrrd")
    assert list_volumes(b) == [{"image": str(b), "case": "b.x"}]
    assert cases([b, str(a), series(tmp_path / "ct")]) == ["b.x", "a", "ct"]
    text = tmp_path / "list.txt"
    text.write_text("# comment\nb.x.NII.gz\n\nct\n")
    assert cases(text) == ["b.x", "ct"]
    monkeypatch.chdir(tmp_path / "ct")
    assert list_volumes(".") == [{"image": str(tmp_path / "ct"), "case": "ct"}]


def test_list_of_folders(tmp_path: Path) -> None:
    for name in ("c.mha", "a.nii", "a_seg.nii", "b.nii.gz", "b_gt.nii.gz", "x_seg.nii", ".h.nii", "notes.txt", "p.png"):
        touch(tmp_path / "f" / name)
    assert cases(tmp_path / "f") == ["a", "b", "c", "x_seg"]
    assert list_volumes(series(tmp_path / "s" / "ct")) == [{"image": str(tmp_path / "s" / "ct"), "case": "ct"}]
    series(tmp_path / "s" / "mr")
    touch(tmp_path / "s" / "DICOMDIR", bytes(128) + b"DICM")
    assert cases(tmp_path / "s") == ["ct", "mr"]
    for image, label in (("images", "labels"), ("imagesTr", "labelsTr")):
        touch(tmp_path / image[-2:] / image / "a.nii.gz")
        touch(tmp_path / image[-2:] / label / "a.nii.gz")
        assert list_volumes(tmp_path / image[-2:]) == [
            {"image": str(tmp_path / image[-2:] / image / "a.nii.gz"), "case": "a"}
        ]
    series(tmp_path / "d" / "images" / "p1")
    assert cases(tmp_path / "d") == ["p1"]


def test_channels_of_nnunet(tmp_path: Path) -> None:
    for name in ("a_0000", "b_0000"):
        touch(tmp_path / "one" / f"{name}.nii.gz")
    assert cases(tmp_path / "one") == ["a", "b"]
    for name in ("a_0000", "a_0001", "b_0000", "b_0001"):
        touch(tmp_path / "two" / f"{name}.nii.gz")
    folder = tmp_path / "two"
    assert list_volumes(folder)[1] == {
        "image": [str(folder / "b_0000.nii.gz"), str(folder / "b_0001.nii.gz")],
        "case": "b",
    }
    for k in range(3):  # numbered scans, not channels; in nnU-Net's own folder the opposite
        touch(tmp_path / "numbered" / f"scan_{k:04d}.nii.gz")
        touch(tmp_path / "t" / "imagesTr" / f"scan_{k:04d}.nii.gz")
    assert cases(tmp_path / "numbered") == ["scan_0000", "scan_0001", "scan_0002"]
    assert cases(tmp_path / "t") == ["scan"]


def test_list_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such volume: .*gone\.nii; check the path"):
        list_volumes(tmp_path / "gone.nii")
    with pytest.raises(FileNotFoundError, match=r"gone\.txt: no such list"):
        list_volumes(tmp_path / "gone.txt")
    with pytest.raises(ValueError, match=r"no volumes found, expected \.nii\.gz"):
        list_volumes(tmp_path)
    (tmp_path / "part1").mkdir()
    with pytest.raises(ValueError, match="list of volumes: no volumes found"):
        list_volumes([])
    for wrong in (touch(tmp_path / "x.png"), tmp_path / "part1"):
        with pytest.raises(ValueError, match="not a volume by its name or content"):
            list_volumes([wrong])
    first, second = touch(tmp_path / "p" / "a.nii"), touch(tmp_path / "p" / "a.mha")
    with pytest.raises(ValueError, match=r"would get one case name.*\n.*p/a\.nii and .*p/a\.mha\n.*rename one"):
        list_volumes([first, second])


@pytest.mark.realdata
def test_real_volumes(real_data: Path) -> None:
    listed = list_volumes(real_data / "totalseg_ct_example")
    assert [case["case"] for case in listed] == ["ct_series", "ct_full", "ct_small"]
    assert volume_header(listed[2]["image"]).shape == (122, 101, 30)
    assert len(list_volumes(real_data / "msd_hippocampus")) == 100
    assert cases(real_data / "dicom_mr_t1w") == ["dicom"]
