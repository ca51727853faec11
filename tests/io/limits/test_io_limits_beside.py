# SPDX-License-Identifier: Apache-2.0
"""Voxels in other files: of the own folder they are read, of any other place nothing is opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest

from sa2_monai.data import read_preprocessed, read_volume
from sa2_monai.io.label_maps import read_label_map

ARRAY = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)
PLANE = ARRAY[:, :, 0]
TEXT = " ".join(map(str, ARRAY.ravel(order="F"))) + "\n"
META = "ObjectType = Image\nNDims = 3\n{more}DimSize = 5 4 3\nElementSpacing = 1 2 3\nElementType = MET_UCHAR\n"
NRRD = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 5 4 3\nspacings: 1 2 3\nencoding: {encoding}\n"


def meta(end: str, more: str = "") -> Callable[[Path, str], Path]:
    def write(folder: Path, name: str) -> Path:
        path = folder / "v.mhd"
        path.write_text(META.format(more=more) + end.format(name=name))
        return path

    return write


def nrrd(end: str, encoding: str = "raw") -> Callable[[Path, str], Path]:
    def write(folder: Path, name: str) -> Path:
        path = folder / "v.nhdr"
        path.write_text(NRRD.format(encoding=encoding) + end.format(name=name))
        return path

    return write


def hdf5(kind: str) -> Callable[[Path, str], Path]:
    def write(folder: Path, name: str) -> Path:
        path = folder / "v.h5"
        with h5py.File(path, "w") as file:
            if kind == "link":
                file["image"] = h5py.ExternalLink(f"{name}.h5", "x")
            elif kind == "soft":
                file.create_group("g")["x"] = h5py.ExternalLink(f"{name}.h5", "x")
                file["image"] = h5py.SoftLink("/g/x")
            elif kind == "group":
                file["g"] = h5py.ExternalLink(f"{name}.h5", "/")
                file["image"] = h5py.SoftLink("/g/x")
            elif kind == "virtual":
                layout = h5py.VirtualLayout(ARRAY.shape, np.uint8)
                layout[...] = h5py.VirtualSource(f"{name}.h5", "x", ARRAY.shape)
                file.create_virtual_dataset("image", layout)
            else:
                place = os.path.abspath(os.path.join(folder, f"{name}.bin"))
                file.create_dataset("image", ARRAY.shape, np.uint8, external=[(place, 0, h5py.h5f.UNLIMITED)])
        return path

    return write


# How a header is written around the name of a data file, without its suffix.
TEST_CASES: dict[str, Callable[[Path, str], Path]] = {
    "mhd": meta("ElementDataFile = {name}.bin\n"),
    "mhd, compressed": meta("ElementDataFile = {name}.z\n", "CompressedData = True\n"),
    "mhd, text": meta("ElementDataFile = {name}.txt\n", "BinaryData = False\n"),
    "mhd, list": meta("ElementDataFile = LIST\n" + "{name}.slice\n" * 3),
    "mhd, pattern": meta("ElementDataFile = {name}%d.slice 1 3 1\n"),
    "nhdr": nrrd("data file: {name}.bin\n"),
    "nhdr, older name": nrrd("datafile: {name}.bin\n"),
    "nhdr, compressed": nrrd("data file: {name}.gz\n", "gzip"),
    "nhdr, text": nrrd("data file: {name}.txt\n", "ascii"),
    "nhdr, list": nrrd("data file: LIST\n" + "{name}.slice\n" * 3),
    "nhdr, pattern": nrrd("data file: {name}%d.slice 1 3 1\n"),
    "h5, external link": hdf5("link"),
    "h5, soft link to an external one": hdf5("soft"),
    "h5, linked group": hdf5("group"),
    "h5, virtual": hdf5("virtual"),
    "h5, external storage": hdf5("storage"),
}
PLACES = ("absolute", "above", "through a link", "through a linked folder")


def store(folder: Path) -> None:
    """The same voxels in every form, as ``d.<suffix>``."""
    import gzip
    import zlib

    folder.mkdir(exist_ok=True)
    data = ARRAY.tobytes(order="F")
    contents = {"bin": data, "z": zlib.compress(data), "gz": gzip.compress(data), "txt": TEXT.encode()}
    for suffix, content in contents.items():
        (folder / f"d.{suffix}").write_bytes(content)
    for name in ("d", "d1", "d2", "d3"):
        (folder / f"{name}.slice").write_bytes(PLANE.tobytes(order="F"))
    with h5py.File(folder / "d.h5", "w") as file:
        file["x"] = ARRAY


def read(path: Path) -> np.ndarray:
    return read_preprocessed(path) if path.suffix == ".h5" else read_volume(path).array


@pytest.mark.parametrize("case", TEST_CASES)
def test_beside(tmp_path: Path, case: str) -> None:
    store(tmp_path)
    store(tmp_path / "below")
    for name in ("d", "below/d", "./d"):
        assert read(TEST_CASES[case](tmp_path, name)).size == 60


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("case", TEST_CASES)
def test_elsewhere(tmp_path: Path, case: str, place: str) -> None:
    store(tmp_path / "secret")
    folder = tmp_path / "data"
    folder.mkdir()
    if place == "through a link":
        for file in (tmp_path / "secret").iterdir():
            (folder / file.name).symlink_to(file)
    elif place == "through a linked folder":
        (folder / "sub").symlink_to(tmp_path / "secret")
    name = {"absolute": f"{tmp_path}/secret/d", "above": "../secret/d", "through a link": "d"}.get(place, "sub/d")
    path = TEST_CASES[case](folder, name)
    readers: list[Callable[[Path], object]] = [read]
    if path.suffix != ".h5":
        readers.append(lambda path: read_label_map(path, "reference"))
    for reader in readers:
        with pytest.raises(ValueError, match="outside of its own folder, expected a data file beside it") as error:
            reader(path)
        assert str(error.value).startswith(str(path))
        assert "\n" not in str(error.value)


def test_a_linked_case(tmp_path: Path) -> None:
    """Both files of a case may be links into the folder in which they really are."""
    store(tmp_path / "store")
    (tmp_path / "data").mkdir()
    header = TEST_CASES["mhd"](tmp_path / "store", "d")
    for file in (header, tmp_path / "store" / "d.bin"):
        (tmp_path / "data" / file.name).symlink_to(file)
    np.testing.assert_array_equal(read(tmp_path / "data" / "v.mhd"), ARRAY)


# Names that ITK would find otherwise than they are read here, in headers whose voxels ITK reads.
TEST_CASE_DOUBTFUL: dict[str, Callable[[Path, str], Path]] = {
    "colon": meta("ElementDataFile : {name}.txt\n", "BinaryData = False\n"),
    "capitals": meta("elementdatafile = d.txt\nElementDataFile = {name}.txt\n", "BinaryData = False\n"),
    "two lines": nrrd("data file: d.txt\ndatafile: {name}.txt\n", "ascii"),
    "behind an empty line": nrrd(" \ndata file: {name}.txt\n", "ascii"),
    "standard input": nrrd("data file: -\n", "ascii"),
    "two numbers": meta("ElementDataFile = d%d%d.slice 1 3 1\n"),
    "no number": meta("ElementDataFile = d%s%n.slice 1 3 1\n"),
}


@pytest.mark.parametrize("case", TEST_CASE_DOUBTFUL)
def test_doubtful_names(tmp_path: Path, case: str) -> None:
    store(tmp_path / "secret")
    store(tmp_path / "data")
    path = TEST_CASE_DOUBTFUL[case](tmp_path / "data", f"{tmp_path}/secret/d")
    with pytest.raises(ValueError, match=r"outside of|unusual way|by the pattern|truncated or damaged") as error:
        read(path)
    assert str(error.value).startswith(str(path))


def test_pairs(tmp_path: Path) -> None:
    """A NIfTI pair is not read at all, so that its other file is not opened, wherever it is."""
    nib.save(nib.Nifti1Pair(ARRAY, np.eye(4)), tmp_path / "v.img")
    for name in ("v.img", "v.hdr"):
        with pytest.raises(ValueError, match="one of the two files of a NIfTI pair"):
            read_volume(tmp_path / name)
    (tmp_path / "v.hdr").rename(tmp_path / "w.nii")
    with pytest.raises(ValueError, match="the header of a NIfTI pair"):
        read_volume(tmp_path / "w.nii")


def test_links_without_an_end(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["image"] = h5py.ExternalLink(f"{other}.h5", "image")
    with pytest.raises(ValueError, match="links to links to links"):
        read_preprocessed(tmp_path / "a.h5")
    (tmp_path / "b.h5").unlink()
    with pytest.raises(ValueError, match=r"takes an array from 'b.h5', which is not there"):
        read_preprocessed(tmp_path / "a.h5")
