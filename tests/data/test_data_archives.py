# SPDX-License-Identifier: Apache-2.0
"""Archives of slices and volumes: both formats, the reader for MONAI, every damage, and the orientation found again."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import pytest

from sa2_monai.data import SYNAPSE_TABLES, ArchiveReader, calibrate, orient, read_archive
from sa2_monai.io.preprocessed import archive_shapes, archive_stem
from sa2_monai.slices import StrictLoadImaged


def npz(path: Path, **arrays: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
    return path


def hdf5(path: Path, **arrays: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, compression="gzip")
    return path


RNG = np.random.RandomState(0)
IMAGE = RNG.rand(3, 5, 4).astype(np.float32)
LABEL = RNG.randint(0, 9, (3, 5, 4)).astype(np.float32)

# (writer, file name, name of the image)
FORMS = [
    (npz, "case0005_slice000.npz", "image"),
    (npz, "case_001_sliceED_0.npz", "img"),
    (hdf5, "case0008.npy.h5", "image"),
    (hdf5, "patient001_frame01.h5", "image"),
    (npz, "case_002_volume_ED.npz", "img"),
]


@pytest.mark.parametrize(("write", "name", "key"), FORMS)
@pytest.mark.parametrize("volume", [False, True])
def test_array_and_meta(tmp_path: Path, write: Any, name: str, key: str, volume: bool) -> None:
    image, label = (IMAGE, LABEL) if volume else (IMAGE[0], LABEL[0])
    path = write(tmp_path / name, **{key: image.astype(np.float64), "label": label})
    assert archive_shapes(path) == {"image": image.shape, "label": image.shape}
    expected = [a.transpose(1, 2, 0) if volume else a for a in (image, label)]
    case = {"image": str(path), "label": str(path)}
    for reader_key, array, dtype in (("image", expected[0], np.float32), ("label", expected[1], np.uint8)):
        read = read_archive(path, reader_key)
        assert read.dtype == dtype
        np.testing.assert_array_equal(read, array)
        loader = StrictLoadImaged(reader_key, ArchiveReader(key=reader_key), ensure_channel_first=True, image_only=True)
        tensor = loader(case)[reader_key]
        assert tensor.shape == (1, *array.shape)
        np.testing.assert_array_equal(tensor.numpy()[0], array)
        np.testing.assert_array_equal(tensor.affine, np.eye(4))
        assert tensor.meta["no_geometry"] is True
        assert tensor.meta["filename_or_obj"] == str(path)


def test_names() -> None:
    assert archive_stem("a/case0008.npy.h5") == "case0008"
    assert archive_stem("case0005_slice000.npz") == "case0005_slice000"
    assert archive_stem("plain") == "plain"
    reader = ArchiveReader()
    assert reader.verify_suffix("a.npz")
    assert reader.verify_suffix(["a.h5", "b.HDF5"])
    assert not reader.verify_suffix("a.nii.gz")
    for make in (lambda: ArchiveReader("mask"), lambda: read_archive("a.npz", "mask")):
        with pytest.raises(ValueError, match="key is 'mask', expected 'image' or 'label'"):
            make()
    with pytest.raises(ValueError, match="2 files for one image, expected one archive"):
        reader.read(["a.npz", "b.npz"])


def test_label_types(tmp_path: Path) -> None:
    for value, dtype in ((255, np.uint8), (256, np.int16), (-1, np.int16), (70000, np.int32)):
        path = npz(tmp_path / "a.npz", label=np.array([[0, value]], np.float64))
        assert read_archive(path, "label").dtype == dtype
        assert read_archive(path, "label")[0, 1] == value


def test_damaged_files(tmp_path: Path) -> None:
    def error(path: Path, key: str = "image") -> str:
        with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is what is tested
            read_archive(path, key)
        assert str(path) in str(caught.value)
        return str(caught.value)

    with pytest.raises(FileNotFoundError, match="no such file; check the path"):
        read_archive(tmp_path / "gone.npz")
    for write, name in ((npz, "a.npz"), (hdf5, "a.h5")):
        path = write(tmp_path / name, image=np.pad(IMAGE, 20), label=LABEL)
        data = path.read_bytes()
        for broken in (b"", b"nonsense", data[: len(data) // 2]):
            path.write_bytes(broken)
            assert f"is damaged or no {path.suffix} file" in error(path)
        assert "has no array image or img, found label, x" in error(write(path, x=IMAGE, label=LABEL))
        assert "expected a slice (H, W) or a volume (D, H, W)" in error(write(path, image=IMAGE[0, 0]))
        assert "expected a slice (H, W)" in error(write(path, image=np.zeros((0, 4))))
        assert "the image holds NaN" in error(write(path, image=np.where(IMAGE > 0.5, np.nan, IMAGE)))
        assert "label: holds fractional values between" in error(write(path, label=LABEL / 2 + 0.5), "label")
        assert "the label holds NaN or infinite values" in error(write(path, label=LABEL * np.nan), "label")
        assert "'image' holds complex64, expected numbers" in error(write(path, image=IMAGE.astype(np.complex64)))
    path = npz(tmp_path / "b.npz", image=np.array([[None]], dtype=object))
    assert "'image' cannot be read (Object arrays cannot be loaded" in error(path)
    data = bytearray(npz(path, image=IMAGE).read_bytes())
    data[200] ^= 255  # a voxel: the checksum of the archive no longer fits
    path.write_bytes(data)
    assert "is damaged or no .npz file (Bad CRC-32" in error(path)
    assert "is not an archive by its suffix" in error(npz(tmp_path / "c.npz", image=IMAGE).rename(tmp_path / "c.x"))


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = hdf5(tmp_path / "a.h5", image=IMAGE)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"needs h5py, which is not installed; pip install sa2_monai\[archives\]"):
        read_archive(path)


# --- orientation ---

ORIENTATIONS = [
    {"transpose": t, "flip": f, "reverse_z": z, "relative_to": "LPS"}
    for t, f, z in itertools.product((False, True), ([], [0], [1], [0, 1]), (False, True))
]


def case(tmp_path: Path, axcodes: str = "LAS", shape: tuple[int, int, int] = (8, 8, 5)) -> tuple[Path, Path, Any, Any]:
    """A CT stored in some order of axes; its archive arrays (x, y, z) in LPS, by the definition of the archive."""
    rng = np.random.RandomState(1)
    hu = rng.randint(-1000, 1000, shape).astype(np.int16)
    raw = rng.randint(0, 14, shape).astype(np.uint8)
    lps = nib.orientations.axcodes2ornt("LPS")
    turn = nib.orientations.ornt_transform(lps, nib.orientations.axcodes2ornt(axcodes))
    affine = np.diag([-0.8, -0.8, 3.0, 1.0])
    for name, array in (("img0005.nii.gz", hu), ("label0005.nii.gz", raw)):
        nib.save(nib.Nifti1Image(array, affine).as_reoriented(turn), tmp_path / name)
    scaled = (np.clip(hu, -125, 275).astype(np.float32) + 125) / 400
    mapped = np.vectorize(SYNAPSE_TABLES["raw"].get)(raw).astype(np.float32)
    return tmp_path / "img0005.nii.gz", tmp_path / "label0005.nii.gz", scaled, mapped


def by_hand(volume: np.ndarray, orientation: dict[str, Any]) -> np.ndarray:
    """The archive's arrays (D, a, b), voxel by voxel."""
    nx, ny, nz = volume.shape
    out = np.zeros((nz, ny, nx) if orientation["transpose"] else (nz, nx, ny), np.float32)
    for x, y, z in np.ndindex(volume.shape):
        i = nx - 1 - x if 0 in orientation["flip"] else x
        j = ny - 1 - y if 1 in orientation["flip"] else y
        k = nz - 1 - z if orientation["reverse_z"] else z
        out[(k, j, i) if orientation["transpose"] else (k, i, j)] = volume[x, y, z]
    return out


@pytest.mark.parametrize("number", range(16))
def test_every_orientation_is_found(tmp_path: Path, number: int) -> None:
    orientation = ORIENTATIONS[number]
    image, label, scaled, mapped = case(tmp_path, ("LAS", "RPI", "SLA", "LPS")[number % 4])
    arrays = {"image": by_hand(scaled, orientation), "label": by_hand(mapped, orientation)}
    whole = hdf5(tmp_path / "case0005.npy.h5", **arrays)
    assert calibrate(whole, image, label) == calibrate(whole, image) == orientation
    np.testing.assert_array_equal(orient(scaled, orientation).transpose(2, 0, 1), arrays["image"])
    one = npz(tmp_path / "case0005_slice001.npz", **{key: array[1] for key, array in arrays.items()})
    assert calibrate(one, image, label) == orientation


def test_calibration_errors(tmp_path: Path) -> None:
    image, label, scaled, mapped = case(tmp_path)
    good = {"image": by_hand(scaled, ORIENTATIONS[0]), "label": by_hand(mapped, ORIENTATIONS[0])}
    whole = hdf5(tmp_path / "a.h5", **good)
    with pytest.raises(ValueError, match=r"none of 16 orientations .* labels different"):
        calibrate(whole, image, label, SYNAPSE_TABLES["raw"] | {1: 1})
    with pytest.raises(ValueError, match="which is not in the label table"):
        calibrate(whole, image, label, {0: 0})
    with pytest.raises(ValueError, match=r"none of 16 orientations .* differs by 0\.0"):
        calibrate(hdf5(tmp_path / "b.h5", image=good["image"] + np.float32(0.02)), image)
    with pytest.raises(ValueError, match="none of the same shape"):
        calibrate(hdf5(tmp_path / "c.h5", image=good["image"][:, 1:]), image)
    with pytest.raises(ValueError, match="must be named case0005_slice000, with a number below 5"):
        calibrate(npz(tmp_path / "case0005_slice005.npz", image=good["image"][0]), image)
    flat = tmp_path / "flat.nii.gz"
    nib.save(nib.Nifti1Image(np.full((8, 8, 5), -1000, np.int16), np.eye(4)), flat)
    with pytest.raises(ValueError, match=r"16 orientations fit .*; give a whole volume, or a slice with more in it"):
        calibrate(hdf5(tmp_path / "d.h5", image=np.zeros((5, 8, 8))), flat)
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 4), np.uint8), np.eye(4)), flat)
    with pytest.raises(ValueError, match="give the label of"):
        calibrate(whole, image, flat)
    with pytest.raises(ValueError, match="relative to 'RAS', expected 'LPS'"):
        orient(scaled, {"relative_to": "RAS"})
