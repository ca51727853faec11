# SPDX-License-Identifier: Apache-2.0
"""Files of the preprocessed data sets of the literature: NumPy archives (.npz) and HDF5 (.h5) with image and label.

They hold bare arrays, slices (H, W) or volumes (D, H, W), without any geometry. HDF5 needs the extra ``archives``.
"""

from __future__ import annotations

import logging
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.arrays.decoded import decoded
from sa2_monai.io.arrays.hdf5 import check_chunks, check_links, check_storage
from sa2_monai.io.arrays.npy import NpyHeader, npy_header, npz_member
from sa2_monai.io.causes import raise_if_memory
from sa2_monai.io.limits.voxels import check_voxels
from sa2_monai.io.limits.zips import LARGEST_RATIO, check_method
from sa2_monai.io.whole_numbers import whole_numbers

__all__ = ["PREPROCESSED_SUFFIXES", "preprocessed_shapes", "preprocessed_stem", "read_preprocessed"]

logger = logging.getLogger(__name__)

#: Suffixes of the files; TransUNet's ``.npy.h5`` is plain HDF5.
PREPROCESSED_SUFFIXES = (".npz", ".h5", ".hdf5")
#: Names of the arrays: MT-UNet's ACDC archive calls its images ``img``.
KEYS = {"image": ("image", "img"), "label": ("label",)}


def preprocessed_stem(path: str | os.PathLike[str]) -> str:
    """Name of the case in a file name: ``case0008`` for ``case0008.npy.h5``.

    Args:
        path: the file.
    """
    name = Path(path).name
    for suffix in (".npy.h5", *PREPROCESSED_SUFFIXES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def preprocessed_shapes(path: str | os.PathLike[str]) -> dict[str, tuple[int, ...]]:
    """Shapes of image and label as stored, from the headers alone.

    Args:
        path: the file.

    Returns:
        ``{"image": (H, W), "label": (H, W)}`` of a slice, ``(D, H, W)`` of a volume; an array that is missing is left
        out.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a readable file, or an array that is no slice and no volume.
        ImportError: h5py is missing.
    """
    with _open(path) as arrays:
        return {
            key: _checked(path, key, arrays.shape(found))
            for key, names in KEYS.items()
            if (found := next((name for name in names if name in arrays.names), None)) is not None
        }


def read_preprocessed(path: str | os.PathLike[str], key: str = "image") -> np.ndarray:
    """Image or label of a preprocessed file, slices along the last axis.

    Args:
        path: the file.
        key: ``"image"`` (stored as ``image`` or ``img``) or ``"label"``.

    Returns:
        Array (H, W) of a slice, (H, W, D) of a volume that is stored (D, H, W). Images are float32; labels, which the
        files store as floats, have the smallest of uint8, int16 and int32 that holds their values (within 1e-3 of
        whole numbers, with a warning).

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a readable file, no such array, no slice and no volume, NaN or infinity in an image, labels
            that are no whole numbers, a header that promises more than is stored or than memory can take
            (:mod:`sa2_monai.io.limits.voxels`), arrays that lie in files outside of its folder.
        ImportError: h5py is missing.
        MemoryError: there is not enough memory.
    """
    if key not in KEYS:
        raise ValueError(f"key is {key!r}, expected 'image' or 'label'")
    with _open(path) as arrays:
        found = next((name for name in KEYS[key] if name in arrays.names), None)
        if found is None:
            raise ValueError(
                f"{path}: has no array {' or '.join(KEYS[key])}, found {', '.join(sorted(arrays.names)) or 'nothing'}; "
                "expected a file of a preprocessed data set with image and label"
            )
        _checked(path, key, arrays.shape(found))
        name = found
        try:
            array = decoded([path], name, lambda: arrays.read(name), lambda values: values.nbytes)
        except MemoryError as error:
            raise MemoryError(
                f"{path}: not enough memory for {found!r} of the shape {arrays.shape(found)}; close other programs, or "
                "use a machine with more memory"
            ) from error
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{path}: {found!r} holds {array.dtype}, expected numbers; make the file again")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{path}: the {key} holds NaN or infinite values; make the file again")
    if key == "label":
        array, remarks = whole_numbers(f"{path}: label", array)
        for remark in remarks:
            logger.warning("%s: %s", path, remark)
    else:
        array = array.astype(np.float32)
    return np.ascontiguousarray(array if array.ndim == 2 else np.moveaxis(array, 0, -1))


class _Arrays:
    """Names of the arrays of a file, and functions that give the shape and the content of one."""

    def __init__(
        self, names: list[str], shape: Callable[[str], tuple[int, ...]], read: Callable[[str], np.ndarray]
    ) -> None:
        self.names, self.shape, self.read = names, shape, read


@contextmanager
def _open(path: str | os.PathLike[str]) -> Iterator[_Arrays]:
    """Open a file of either format; what the libraries raise while reading becomes one clear error."""
    name = Path(path)
    if not name.is_file():
        raise FileNotFoundError(f"{path}: no such file; check the path, or unpack the archive again")
    if not name.name.lower().endswith(PREPROCESSED_SUFFIXES):
        raise ValueError(f"{path}: is no preprocessed file by its suffix, expected {', '.join(PREPROCESSED_SUFFIXES)}")
    reader = _npz if name.suffix.lower() == ".npz" else _hdf5
    try:
        with reader(name) as arrays:
            yield arrays
    except (OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise_if_memory(error, path)
        raise ValueError(f"{path}: is damaged or no {name.suffix} file ({error}); copy or unpack it again") from error


@contextmanager
def _npz(path: Path) -> Iterator[_Arrays]:
    if path.stat().st_size == 0 or not zipfile.is_zipfile(path):  # np.load would try to unpickle it
        raise OSError("no zip archive")
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        yield _Arrays(names, lambda name: _header(path, archive, name).shape, lambda name: _member(path, archive, name))


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    entry = archive.getinfo(f"{name}.npy")
    most = min(entry.file_size, entry.compress_size * LARGEST_RATIO)
    header = _header(path, archive, name)
    _check_size(path, name, math.prod(header.shape), most)  # a value has one byte or more
    check_voxels(path, header.shape, header.dtype.itemsize)
    with _named(path, name):
        return npz_member(archive, name)


def _header(path: Path, archive: zipfile.ZipFile, name: str) -> NpyHeader:
    check_method(path, archive.getinfo(f"{name}.npy"))
    with _named(path, name), archive.open(f"{name}.npy") as file:
        return npy_header(file)


@contextmanager
def _named(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:  # a pickled object, or a member that is cut off
        raise ValueError(f"{path}: {name!r} cannot be read ({error}); make or copy the file again") from error


@contextmanager
def _hdf5(path: Path) -> Iterator[_Arrays]:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"{path}: reading HDF5 needs h5py, which is not installed; pip install sa2_monai[archives]"
        ) from error
    with h5py.File(path, "r") as file:
        for name in file:
            check_links(path, file, name)
        names = [name for name in file if isinstance(file[name], h5py.Dataset)]
        yield _Arrays(names, lambda name: tuple(file[name].shape), lambda name: _dataset(path, file[name]))


def _dataset(path: Path, dataset: Any) -> np.ndarray:
    check_storage(path, dataset)
    if not dataset.is_virtual:
        ratio = LARGEST_RATIO if dataset.chunks else 1
        _check_size(path, dataset.name.lstrip("/"), dataset.nbytes, dataset.id.get_storage_size() * ratio)
    for shape in filter(None, (dataset.shape, dataset.chunks)):  # chunks are unpacked whole
        check_voxels(path, shape, dataset.dtype.itemsize)
    check_chunks(path, dataset)
    return np.asarray(dataset[()])


def _check_size(path: Path, name: str, size: int, most: int) -> None:
    """Refuse an array that promises more bytes than the file can hold, before memory is asked for."""
    if size > most:
        raise ValueError(
            f"{path}: {name!r} promises {size} bytes, the file holds at most {most}; it is damaged or was never "
            "filled, make or copy it again"
        )


def _checked(path: str | os.PathLike[str], key: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(f"{path}: its {key} has the shape {shape}, expected a slice (H, W) or a volume (D, H, W)")
    return shape
