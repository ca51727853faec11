# SPDX-License-Identifier: Apache-2.0
"""Predictions on volumes: the output lies where the input lies, header bytes included."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Flipd, Invertd, Orientationd, SaveImaged

from sa2_monai.data import VolumeReader, read_volume
from sa2_monai.inference import VolumeProbabilitySaveImaged, VolumeSaveImaged
from sa2_monai.io.volumes.nifti import raw_nifti_header
from sa2_monai.slices import StrictLoadImaged

RNG = np.random.default_rng(8)
SHAPE = (9, 8, 7)
ARRAY = RNG.integers(-1000, 1000, SHAPE).astype(np.int16)
LABELS = RNG.integers(0, 4, (1, *SHAPE)).astype(np.uint8)
LOAD = StrictLoadImaged("image", VolumeReader(), ensure_channel_first=True, image_only=True)


def orthogonal() -> np.ndarray:
    turn, _ = np.linalg.qr(np.array([[0.9, -0.1, 0.05], [0.1, 0.8, -0.3], [0.02, 0.25, 2.4]]))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * [0.9, 0.8, 2.5], [-30, 20, 5]
    return affine


def sheared() -> np.ndarray:
    affine = orthogonal()
    affine[:3, 2] += affine[:3, 1]
    return affine


def save_nifti(path: Path, array: np.ndarray = ARRAY, affine: np.ndarray | None = None, kind: Any = None) -> Path:
    image = (kind or nib.Nifti1Image)(array, orthogonal() if affine is None else affine)
    image.header["cal_max"] = 300
    image.header["descrip"] = b"made by a test"
    nib.save(image, path)
    return path


def case(path: Path, labels: Any = LABELS, name: str = "a") -> dict[str, Any]:
    """What the writer gets: prediction with the metadata of its image."""
    image = LOAD({"image": path})["image"]
    return {"pred": MetaTensor(torch.as_tensor(labels), meta=dict(image.meta)), "case": name}


def saved(path: Path) -> np.ndarray:
    return np.asanyarray(nib.load(path).dataobj)


def same_place(first: Path, second: Path) -> None:
    """All fields of two headers that say where a volume lies, bit by bit."""
    one, two = raw_nifti_header(first), raw_nifti_header(second)
    for field in ("dim", "pixdim", "qform_code", "sform_code", "xyzt_units", "srow_x", "srow_y", "srow_z"):
        assert np.array_equal(one[field], two[field]), field
    for field in ("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"):
        assert one[field] == two[field], field


TEST_CASE_NIFTI: dict[str, dict[str, Any]] = {
    "plain": {},
    "sheared": {"affine": sheared()},
    "codes": {"codes": (2, 4)},
    "qform only": {"codes": (0, 1)},
    "no code": {"codes": (0, 0)},
    "nifti 2": {"kind": nib.Nifti2Image},
    "last axis": {"array": ARRAY[..., None]},
    "scaled": {"slope": (0.5, -7)},
    "big endian": {"endianness": ">"},
}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("name", TEST_CASE_NIFTI)
def test_header_of_the_input_is_kept(tmp_path: Path, name: str, suffix: str) -> None:
    settings = dict(TEST_CASE_NIFTI[name])
    codes, slope = settings.pop("codes", None), settings.pop("slope", None)
    path = tmp_path / f"in{suffix}"
    if "endianness" in settings:
        nib.save(nib.Nifti1Image(ARRAY, orthogonal(), nib.Nifti1Header(endianness=">")), path)
    else:
        save_nifti(path, **settings)
    if codes or slope:
        image = nib.load(path)
        image.header.set_xyzt_units("micron", "msec")
        if codes:
            image.set_sform(orthogonal(), codes[0])
            image.set_qform(orthogonal(), codes[1])
        if slope:
            image.header.set_slope_inter(*slope)
        nib.save(nib.Nifti1Image(ARRAY, None, image.header), tmp_path / f"new{suffix}")
        path = tmp_path / f"new{suffix}"
    VolumeSaveImaged("pred", tmp_path / "out", "seg")(case(path))
    out = tmp_path / "out" / "a_seg.nii.gz"
    same_place(path, out)
    assert np.array_equal(saved(out).reshape(SHAPE), LABELS[0])
    header = raw_nifti_header(out)
    assert header.get_data_dtype() == np.uint8
    assert (header["scl_slope"], header["scl_inter"], header["cal_max"]) == (1, 0, 0)
    assert np.array_equal(read_volume(out).header.affine, read_volume(path).header.affine)
    assert np.allclose(nib.load(out).affine, nib.load(path).affine)


def test_one_slice_stays_a_volume(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii.gz", ARRAY[:, :, :1])
    VolumeSaveImaged("pred", tmp_path)(case(path, LABELS[..., :1], "out"))
    assert saved(tmp_path / "out.nii.gz").shape == (9, 8, 1)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.mhd"])
@pytest.mark.parametrize("shear", [False, True])
def test_other_formats(tmp_path: Path, name: str, shear: bool) -> None:
    image = sitk.GetImageFromArray(np.ascontiguousarray(ARRAY.T))
    lps = np.diag([-1, -1, 1, 1]) @ (sheared() if shear else orthogonal())
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing)
    image.SetDirection((lps[:3, :3] / spacing).ravel())
    image.SetOrigin(lps[:3, 3])
    sitk.WriteImage(image, str(tmp_path / name))
    VolumeSaveImaged("pred", tmp_path / "out")(case(tmp_path / name))
    out = nib.load(tmp_path / "out" / "a.nii.gz")
    assert np.allclose(out.affine, sheared() if shear else orthogonal(), atol=1e-5)
    assert np.array_equal(saved(tmp_path / "out" / "a.nii.gz"), LABELS[0])
    assert out.header.get_xyzt_units()[0] == "mm"
    # A sheared affine has no qform: the code says so.
    assert (int(out.header["sform_code"]), int(out.header["qform_code"])) == (1, 0 if shear else 1)
    if not shear:  # ITK reads the file to the same place as the input
        back = sitk.ReadImage(str(tmp_path / "out" / "a.nii.gz"))
        corner = [8, 7, 6]
        assert np.allclose(
            back.TransformIndexToPhysicalPoint(corner), image.TransformIndexToPhysicalPoint(corner), atol=1e-4
        )


def test_inverted_chain(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii.gz", RNG.integers(0, 9, (9, 8, 7)).astype(np.int16))
    pre = Compose([LOAD, Orientationd("image", "PSL", labels=None), Flipd("image", 0)])
    data = pre({"image": path, "case": "site/a"})
    data["pred"] = (data["image"] > 4).to(torch.float32)
    inverse = Invertd("pred", pre, "image", nearest_interp=True, to_tensor=True)
    writer = VolumeSaveImaged("pred", tmp_path / "out")
    out = writer(inverse(data))
    assert set(out) >= {"image", "pred", "case"}
    assert np.array_equal(saved(tmp_path / "out" / "site" / "a.nii.gz"), saved(path) > 4)
    same_place(path, tmp_path / "out" / "site" / "a.nii.gz")
    with pytest.raises(ValueError, match=r"prediction has the shape .* its input .*a\.nii\.gz has \(9, 8, 7\)"):
        writer(data)
    # The same shape, but turned: only the affine tells.
    data["pred"] = Flipd("pred", 1)({"pred": case(path)["pred"]})["pred"]
    with pytest.raises(ValueError, match=r"lies .* mm from its input at a corner\. Put Invertd before"):
        writer(data)


def test_types_and_bytes(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii.gz")
    writer = VolumeSaveImaged("pred", tmp_path / "out")
    many = LABELS.astype(np.float32) * 100
    writer(case(path, many, "many"))
    out = tmp_path / "out" / "many.nii.gz"
    assert nib.load(out).get_data_dtype() == np.int16
    assert np.array_equal(saved(out), many[0])
    writer(case(path, LABELS[0].astype(bool), "bool"))
    assert np.array_equal(saved(tmp_path / "out" / "bool.nii.gz"), LABELS[0] > 0)
    first = out.read_bytes()
    VolumeSaveImaged("pred", tmp_path / "again")(case(path, many, "many"))
    assert (tmp_path / "again" / "many.nii.gz").read_bytes() == first
    assert gzip.decompress(first)[:4] == (348).to_bytes(4, "little")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["bool.nii.gz", "many.nii.gz"]


def test_names(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "x.y.nii.gz")
    data = case(path)
    del data["case"]
    writer = VolumeSaveImaged("pred", tmp_path / "out")
    writer(data)
    assert (tmp_path / "out" / "x.y.nii.gz").is_file()
    (tmp_path / "p").mkdir()
    other = save_nifti(tmp_path / "p" / "x.y.nii.gz")
    data = case(other)
    del data["case"]
    with pytest.raises(ValueError, match=r"would both be written to .*x\.y\.nii\.gz"):
        writer(data)
    with pytest.raises(ValueError, match="leads out of the output folder"):
        writer(case(path, name="../a"))
    assert issubclass(VolumeSaveImaged, SaveImaged)
    assert "SaveImage" in VolumeSaveImaged.__name__
    assert "SaveImage" in VolumeProbabilitySaveImaged.__name__


TEST_CASE_REFUSED: list[tuple[Any, str]] = [
    (LABELS - 0.5, "got fractional|got values from"),
    (LABELS * 0.5, "fractional float64 values.*Put AsDiscreted"),
    (np.where(LABELS > 2, np.nan, 1.0), "fractional float64 values"),
    (LABELS.astype(np.int32) - 1, "expected class indices 0 to 32767, got values from -1"),
    (LABELS.astype(np.int32) * 20000, "expected class indices 0 to 32767, got values from 0 to 60000"),
    (LABELS[:, :-1], r"prediction has the shape \(8, 8, 7\), its input .* has \(9, 8, 7\)"),
    (np.repeat(LABELS, 2, 0), r"expected a label map .*, got the shape \(2, 9, 8, 7\)"),
]


@pytest.mark.parametrize(("labels", "message"), TEST_CASE_REFUSED)
def test_refused(tmp_path: Path, labels: np.ndarray, message: str) -> None:
    path = save_nifti(tmp_path / "a.nii.gz")
    with pytest.raises(ValueError, match=message):
        VolumeSaveImaged("pred", tmp_path / "out")(case(path, labels))
    assert not (tmp_path / "out").exists()


def test_without_geometry(tmp_path: Path) -> None:
    for item in (LABELS, MetaTensor(torch.as_tensor(LABELS))):
        with pytest.raises(ValueError, match="without geometry: the array has no metadata"):
            VolumeSaveImaged("pred", tmp_path)({"pred": item, "case": "a"})
    # Metadata of another reader: the geometry is read from the file.
    image = sitk.GetImageFromArray(np.ascontiguousarray(ARRAY.T))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    item = MetaTensor(
        torch.as_tensor(LABELS), affine=torch.diag(torch.tensor([-1.0, -1, 1, 1])), meta={"filename_or_obj": "x"}
    )
    item.meta["filename_or_obj"] = str(tmp_path / "a.mha")
    VolumeSaveImaged("pred", tmp_path / "out")({"pred": item, "case": "a"})
    assert np.allclose(nib.load(tmp_path / "out" / "a.nii.gz").affine, np.diag([-1, -1, 1, 1]))


def test_probabilities(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii.gz")
    scores = torch.softmax(torch.as_tensor(RNG.normal(size=(3, *SHAPE))).float(), 0)
    scores[0, 0, 0, 0] = 1 + 5e-5  # interpolation overshoots
    names = {"0": "background", "1": "left ventricle", "2": "a/b"}
    VolumeProbabilitySaveImaged("pred", tmp_path / "out", class_names=names)(case(path, scores))
    files = [tmp_path / "out" / f"a_prob_{name}.nii.gz" for name in ("background", "left_ventricle", "a_b")]
    for file, channel in zip(files, scores, strict=True):
        same_place(path, file)
        image = nib.load(file)
        assert image.get_data_dtype() == np.uint16
        assert np.abs(image.get_fdata() - channel.numpy().clip(0, 1)).max() < 0.51 / 65535
    assert len(list((tmp_path / "out").iterdir())) == 3
    VolumeProbabilitySaveImaged("pred", tmp_path / "f", dtype="float32")(case(path, scores[1:2]))
    assert np.array_equal(saved(tmp_path / "f" / "a_prob_1.nii.gz"), scores[1].numpy())
    assert nib.load(tmp_path / "f" / "a_prob_1.nii.gz").get_data_dtype() == np.float32
    VolumeProbabilitySaveImaged("pred", tmp_path / "n", "p", ["background", "organ"])(case(path, scores[1:2]))
    assert (tmp_path / "n" / "a_p_organ.nii.gz").is_file()


def test_probabilities_refused(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii.gz")
    writer = VolumeProbabilitySaveImaged("pred", tmp_path / "out", class_names=["background", "a"])
    with pytest.raises(ValueError, match=r"3 channels, but 2 class names"):
        writer(case(path, np.zeros((3, *SHAPE))))
    with pytest.raises(ValueError, match=r"expected probabilities in \[0, 1\].*Activationsd"):
        writer(case(path, np.full((2, *SHAPE), 1.1)))
    with pytest.raises(ValueError, match=r"expected probabilities \(C, x, y, z\), got"):
        writer(case(path, np.zeros(SHAPE)))
    with pytest.raises(ValueError, match="dtype is 'float16'"):
        VolumeProbabilitySaveImaged("pred", dtype="float16")


def test_full_disk_is_told(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii.gz")
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(OSError, match=r"cannot write .*out/a\.nii\.gz"):
        VolumeSaveImaged("pred", tmp_path / "out")(case(path))


def test_dicom_seg_needs_names() -> None:
    with pytest.raises(ValueError, match="dicom_seg needs class_names"):
        VolumeSaveImaged("pred", dicom_seg=True)


@pytest.mark.realdata
def test_real_volume(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "msd_hippocampus" / "images" / "hippocampus_001.nii.gz"
    shape = nib.load(path).shape
    labels = RNG.integers(0, 3, (1, *shape)).astype(np.uint8)
    VolumeSaveImaged("pred", tmp_path)(case(path, labels))
    same_place(path, tmp_path / "a.nii.gz")
    assert np.array_equal(saved(tmp_path / "a.nii.gz"), labels[0])
