# SPDX-License-Identifier: Apache-2.0
"""Large stacks of images in a NumPy archive (.npz), read one image at a time: they exceed the memory as a whole."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from sa2_monai.io.arrays.npy import npy_header
from sa2_monai.io.causes import raise_if_memory
from sa2_monai.io.limits.voxels import check_voxels
from sa2_monai.io.limits.zips import check_method

__all__ = ["npz_stack", "npz_stack_shape"]

_PIECE = 1 << 24  # bytes


def npz_stack_shape(path: Path, key: str) -> tuple[int, ...]:
    """Shape of an array, from its header alone.

    Args:
        path: ``.npz`` file.
        key: name of the array.

    Raises:
        ValueError: not a readable file, or no such array of numbers.
    """
    with _member(path, key) as (_, shape, _):
        return shape


def npz_stack(path: Path, key: str, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
    """Items of an array along its first axis.

    Args:
        path: ``.npz`` file.
        key: name of the array.
        start: first item.
        stop: item behind the last; ``None`` goes to the end.

    Yields:
        Arrays of the shape ``shape[1:]``.

    Raises:
        ValueError: not a readable file, no such array of numbers, or a damaged one.
    """
    with _member(path, key) as (file, shape, dtype):
        size = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        left = start * size
        while left > 0 and (piece := file.read(min(left, _PIECE))):
            left -= len(piece)
        for index in range(start, shape[0] if stop is None else min(stop, shape[0])):
            content = file.read(size)
            if len(content) < size:
                raise ValueError(f"{path}: {key!r} ends at item {index} of {shape[0]}; copy the file again")
            yield np.frombuffer(content, dtype).reshape(shape[1:])


@contextmanager
def _member(path: Path, key: str) -> Iterator[tuple[IO[bytes], tuple[int, ...], np.dtype]]:
    """The open array, behind its header, with its shape and type."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if key not in names:
                raise ValueError(f"{path}: has no array {key}, found {', '.join(names) or 'nothing'}")
            check_method(path, archive.getinfo(f"{key}.npy"))
            with archive.open(f"{key}.npy") as file:
                try:
                    shape, by_columns, dtype = npy_header(file)
                except ValueError as error:
                    raise OSError(error) from error
                if by_columns or dtype.kind not in "biuf":
                    order = "by columns" if by_columns else f"of {dtype}"
                    raise ValueError(f"{path}: {key!r} is stored {order}, expected numbers by rows; save it again")
                check_voxels(path, shape[1:], dtype.itemsize)
                yield file, shape, dtype
    except (OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise_if_memory(error, path)
        raise ValueError(f"{path}: is damaged or no .npz file ({error}); copy it again") from error
