# SPDX-License-Identifier: Apache-2.0
"""What headers ask for: refused in every format beyond the limit, before memory is given; read up to it."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from sa2_monai.data import read_image, read_label, read_preprocessed, read_volume
from sa2_monai.io.arrays.npz_stacks import npz_stack
from sa2_monai.io.label_maps import read_label_map
from sa2_monai.io.limits import voxels
from sa2_monai.io.limits.voxels import MAX_VOXELS, check_voxels, max_voxels_of
from tests.support.dicom_files import write_series
from tests.support.preprocessed_files import hdf5, npz
from tests.support.volume_files import FORMATS, patched, write_volume

SIDE = 24
CUBE = np.zeros((SIDE, SIDE, SIDE), np.uint8)
COLOUR = np.zeros((SIDE, SIDE, 3), np.uint8)


def volume(kind: str) -> Callable[[Path], Path]:
    return lambda folder: write_volume(folder, kind, CUBE.astype(np.int16))


def image(suffix: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / f"a.{suffix}"
        if suffix == "npy":
            np.save(path, COLOUR)
        elif suffix == "tif":
            tifffile.imwrite(path, COLOUR, compression="zlib", photometric="rgb")
        else:
            Image.fromarray(COLOUR).save(path)
        return path

    return write


def dicom(folder: Path) -> Path:
    write_series(folder / "s", shape=(SIDE, SIDE, 5))
    return folder / "s"


def array(folder: Path) -> Path:
    np.save(folder / "v.npy", CUBE)
    return folder / "v.npy"


def reference(path: Path) -> Any:
    return read_label_map(path, "reference").array


# How a file is written, read, and how many voxels it has.
TEST_CASES: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any], int]] = {
    **{kind: (volume(kind), lambda path: read_volume(path).array, SIDE**3) for kind in FORMATS},
    "labels.nii.gz": (volume("nii.gz"), reference, SIDE**3),
    "DICOM series": (dicom, lambda path: read_volume(path).array, SIDE * SIDE * 5),
    "npz": (lambda folder: npz(folder / "a.npz", image=CUBE), read_preprocessed, SIDE**3),
    "h5": (lambda folder: hdf5(folder / "a.h5", image=CUBE), read_preprocessed, SIDE**3),
    "one image of a stack": (
        lambda folder: npz(folder / "a.npz", image=CUBE),
        lambda path: next(npz_stack(path, "image")),
        SIDE**2,
    ),
    "npy": (array, reference, SIDE**3),
    **{suffix: (image(suffix), read_image, SIDE**2 * 3) for suffix in ("png", "jpg", "bmp", "tif", "webp", "npy")},
    "label.png": (image("png"), read_label, SIDE**2 * 3),
}


@pytest.mark.parametrize("case", TEST_CASES)
def test_more_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    write, read, count = TEST_CASES[case]
    path = write(tmp_path)
    monkeypatch.setenv(MAX_VOXELS, str(count))
    assert read(path) is not None
    monkeypatch.setenv(MAX_VOXELS, str(count - 1))
    with pytest.raises(ValueError, match=rf"= {count} voxels .*allowed are {count - 1} \({MAX_VOXELS} or") as error:
        read(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def zeros(folder: Path, kind: str) -> Path:
    """48 MiB from some fifty kilobytes."""
    many = np.zeros((384, 256, 256), np.int16)
    if kind == "npz":
        np.savez_compressed(folder / "b.npz", image=many)
        return folder / "b.npz"
    if kind == "h5":
        return hdf5(folder / "b.h5", image=many)
    if kind == "tif":
        tifffile.imwrite(folder / "b.tif", many.reshape(6144, 4096), compression="zlib")
        return folder / "b.tif"
    if kind == "png":
        Image.fromarray(many.reshape(6144, 4096).astype(np.uint16)).save(folder / "b.png")
        return folder / "b.png"
    return write_volume(folder, kind, many)


READERS = {"npz": read_preprocessed, "h5": read_preprocessed, "tif": read_image, "png": read_image}


@pytest.mark.parametrize("kind", ["nii.gz", "mha", "nrrd", "npz", "h5", "tif", "png"])
def test_memory_is_not_given_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    path = zeros(tmp_path, kind)
    assert path.stat().st_size < 2**20
    monkeypatch.setattr(voxels, "_ALWAYS", 2**20)
    monkeypatch.setattr(voxels, "free_memory", lambda: 2.0**26)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"allowed are 16777216 \(half of the free memory\)"):
            READERS.get(kind, read_volume)(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_the_limit_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MAX_VOXELS, raising=False)
    monkeypatch.setattr(voxels, "free_memory", lambda: 2.0**31)
    check_voxels("a.nii", (1024, 1024, 512), 2)
    with pytest.raises(ValueError, match=r"a.nii: its header asks for 1024 x 1024 x 513 = 537919488 voxels"):
        check_voxels("a.nii", (1024, 1024, 513), 2)
    monkeypatch.setattr(voxels, "free_memory", lambda: 0.0)
    check_voxels("a.nii", (512, 512, 512), 2)  # ordinary files are always read
    with pytest.raises(ValueError, match="allowed are 134217728"):
        check_voxels("a.nii", (512, 512, 513), 2)


def test_the_limit_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MAX_VOXELS, raising=False)
    with max_voxels_of(5), pytest.raises(ValueError, match="allowed are 5 "):
        check_voxels("a", (6,), 1)
    check_voxels("a", (6,), 1)
    monkeypatch.setenv(MAX_VOXELS, "4")
    with max_voxels_of(None), pytest.raises(ValueError, match="allowed are 4 "):
        check_voxels("a", (6,), 1)
    with max_voxels_of(7):
        check_voxels("a", (6,), 1)
    for text in ("many", "0", "-3", "1e9"):
        monkeypatch.setenv(MAX_VOXELS, text)
        with pytest.raises(ValueError, match=f"{MAX_VOXELS} is '{text}', expected a number of voxels"):
            check_voxels("a", (6,), 1)


def test_what_lies_in_front_of_the_voxels(tmp_path: Path) -> None:
    path = patched(write_volume(tmp_path, "nii.gz"), vox_offset=2.0**31)  # extensions of NIfTI
    with pytest.raises(ValueError, match="truncated or damaged: the header promises"):
        read_volume(path)


def test_what_lies_behind_the_voxels(tmp_path: Path) -> None:
    path = write_volume(tmp_path, "nii.gz")
    path.write_bytes(path.read_bytes() + gzip.compress(bytes(2**27)))  # another member; it is not unpacked to its end
    with pytest.raises(ValueError, match=r"holds \d{1,7} bytes behind the 9 x 8 x 7 voxels"):
        read_volume(path)
