# SPDX-License-Identifier: Apache-2.0
"""Files of the preprocessed data sets of the literature: NumPy archives (.npz) and HDF5 (.h5) with image and label.

They hold bare arrays, slices (H, W) or volumes (D, H, W), without any geometry. HDF5 needs the extra ``archives``.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["ARCHIVE_SUFFIXES", "archive_shapes", "archive_stem", "read_archive"]

#: Suffixes of the archives; TransUNet's ``.npy.h5`` is plain HDF5.
ARCHIVE_SUFFIXES = (".npz", ".h5", ".hdf5")
#: Names of the arrays: MT-UNet's ACDC archive calls its images ``img``.
KEYS = {"image": ("image", "img"), "label": ("label",)}


def archive_stem(path: str | os.PathLike[str]) -> str:
    """Name of the case in a file name: ``case0008`` for ``case0008.npy.h5``.

    Args:
        path: the file.
    """
    name = Path(path).name
    for suffix in (".npy.h5", *ARCHIVE_SUFFIXES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def archive_shapes(path: str | os.PathLike[str]) -> dict[str, tuple[int, ...]]:
    """Shapes of image and label as stored, from the headers alone.

    Args:
        path: the file.

    Returns:
        ``{"image": (H, W), "label": (H, W)}`` of a slice, ``(D, H, W)`` of a volume; an array that is missing is left
        out.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a readable archive, or an array that is no slice and no volume.
        ImportError: h5py is missing.
    """
    with _open(path) as arrays:
        return {
            key: _checked(path, key, arrays.shape(found))
            for key, names in KEYS.items()
            if (found := next((name for name in names if name in arrays.names), None)) is not None
        }


def read_archive(path: str | os.PathLike[str], key: str = "image") -> np.ndarray:
    """Image or label of an archive, slices along the last axis.

    Args:
        path: the file.
        key: ``"image"`` (stored as ``image`` or ``img``) or ``"label"``.

    Returns:
        Array (H, W) of a slice, (H, W, D) of a volume that is stored (D, H, W). Images are float32; labels, which the
        archives store as floats, have the smallest of uint8, int16 and int32 that holds their values.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a readable archive, no such array, no slice and no volume, NaN or infinity in an image, labels
            that are no whole numbers.
        ImportError: h5py is missing.
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
        array = arrays.read(found)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{path}: {found!r} holds {array.dtype}, expected numbers; make the file again")
    array = _whole(path, array) if key == "label" else array.astype(np.float32)
    if key == "image" and not np.isfinite(array).all():
        raise ValueError(f"{path}: the image holds NaN or infinite values; make the file again")
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
    if not name.name.lower().endswith(ARCHIVE_SUFFIXES):
        raise ValueError(f"{path}: is not an archive by its suffix, expected {', '.join(ARCHIVE_SUFFIXES)}")
    reader = _npz if name.suffix.lower() == ".npz" else _hdf5
    try:
        with reader(name) as arrays:
            yield arrays
    except (OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise ValueError(f"{path}: is damaged or no {name.suffix} file ({error}); copy or unpack it again") from error


@contextmanager
def _npz(path: Path) -> Iterator[_Arrays]:
    if path.stat().st_size == 0 or not zipfile.is_zipfile(path):  # np.load would try to unpickle it
        raise OSError("no zip archive")
    with np.load(path, allow_pickle=False) as file:
        yield _Arrays(list(file.files), lambda name: _npy_shape(file.zip, name), lambda name: _member(path, file, name))


def _member(path: Path, file: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(file[name])
    except ValueError as error:  # a pickled object, or a member that is cut off
        raise ValueError(f"{path}: {name!r} cannot be read ({error}); make or copy the file again") from error


def _npy_shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return tuple(read(file)[0])


@contextmanager
def _hdf5(path: Path) -> Iterator[_Arrays]:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"{path}: reading HDF5 needs h5py, which is not installed; pip install sa2_monai[archives]"
        ) from error
    with h5py.File(path, "r") as file:
        names = [name for name in file if isinstance(file[name], h5py.Dataset)]
        yield _Arrays(names, lambda name: tuple(file[name].shape), lambda name: np.asarray(file[name][()]))


def _checked(path: str | os.PathLike[str], key: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(f"{path}: its {key} has the shape {shape}, expected a slice (H, W) or a volume (D, H, W)")
    return shape


def _whole(path: str | os.PathLike[str], array: np.ndarray) -> np.ndarray:
    low, high = array.min(), array.max()
    for dtype in (np.uint8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            whole = array.astype(dtype)
            if array.dtype.kind != "f" or np.array_equal(whole, array):
                return whole
            break
    odd = np.asarray(array)[~(np.isfinite(array) & (np.round(array) == array))]
    raise ValueError(
        f"{path}: the label holds {odd[0] if odd.size else high:g}, expected whole class numbers; interpolation "
        "invents such values, make the file again with nearest neighbours"
    )
