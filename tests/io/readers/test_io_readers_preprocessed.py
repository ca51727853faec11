# SPDX-License-Identifier: Apache-2.0
"""Preprocessed slices and volumes: both formats, the reader for MONAI, every damage."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sa2_monai.data import PreprocessedReader, read_preprocessed
from sa2_monai.io.preprocessed import preprocessed_shapes, preprocessed_stem
from sa2_monai.slices import StrictLoadImaged
from tests.support.preprocessed_files import hdf5, npz

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
    assert preprocessed_shapes(path) == {"image": image.shape, "label": image.shape}
    expected = [a.transpose(1, 2, 0) if volume else a for a in (image, label)]
    case = {"image": str(path), "label": str(path)}
    for reader_key, array, dtype in (("image", expected[0], np.float32), ("label", expected[1], np.uint8)):
        read = read_preprocessed(path, reader_key)
        assert read.dtype == dtype
        np.testing.assert_array_equal(read, array)
        loader = StrictLoadImaged(
            reader_key, PreprocessedReader(key=reader_key), ensure_channel_first=True, image_only=True
        )
        tensor = loader(case)[reader_key]
        assert tensor.shape == (1, *array.shape)
        np.testing.assert_array_equal(tensor.numpy()[0], array)
        np.testing.assert_array_equal(tensor.affine, np.eye(4))
        assert tensor.meta["no_geometry"] is True
        assert tensor.meta["filename_or_obj"] == str(path)


def test_names() -> None:
    assert preprocessed_stem("a/case0008.npy.h5") == "case0008"
    assert preprocessed_stem("case0005_slice000.npz") == "case0005_slice000"
    assert preprocessed_stem("plain") == "plain"
    reader = PreprocessedReader()
    assert reader.verify_suffix("a.npz")
    assert reader.verify_suffix(["a.h5", "b.HDF5"])
    assert not reader.verify_suffix("a.nii.gz")
    for make in (lambda: PreprocessedReader("mask"), lambda: read_preprocessed("a.npz", "mask")):
        with pytest.raises(ValueError, match="key is 'mask', expected 'image' or 'label'"):
            make()
    with pytest.raises(ValueError, match="2 files for one image, expected one file"):
        reader.read(["a.npz", "b.npz"])


def test_label_types(tmp_path: Path) -> None:
    for value, dtype in ((255, np.uint8), (256, np.int16), (-1, np.int16), (70000, np.int32)):
        path = npz(tmp_path / "a.npz", label=np.array([[0, value]], np.float64))
        assert read_preprocessed(path, "label").dtype == dtype
        assert read_preprocessed(path, "label")[0, 1] == value


def test_damaged_files(tmp_path: Path) -> None:
    def error(path: Path, key: str = "image") -> str:
        with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is what is tested
            read_preprocessed(path, key)
        assert str(path) in str(caught.value)
        return str(caught.value)

    with pytest.raises(FileNotFoundError, match="no such file; check the path"):
        read_preprocessed(tmp_path / "gone.npz")
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
    assert "it holds pickled Python objects" in error(path)
    data = bytearray(npz(path, image=IMAGE).read_bytes())
    data[200] ^= 255  # a voxel: the checksum of the archive no longer fits
    path.write_bytes(data)
    assert "is damaged or no .npz file (Bad CRC-32" in error(path)
    assert "is no preprocessed file by its suffix" in error(
        npz(tmp_path / "c.npz", image=IMAGE).rename(tmp_path / "c.x")
    )


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = hdf5(tmp_path / "a.h5", image=IMAGE)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"needs h5py, which is not installed; pip install sa2_monai\[archives\]"):
        read_preprocessed(path)
