# SPDX-License-Identifier: Apache-2.0
"""NumPy's arrays, in files of their own (.npy) and as members of an archive (.npz)."""

from __future__ import annotations

import io
import math
import os
import threading
import zipfile
from typing import IO, NamedTuple

import numpy as np

__all__ = ["NpyHeader", "map_npy", "npy_header", "npz_member"]

# NumPy parses headers by `ast.literal_eval`, and Python up to 3.11.8 and 3.12.2 counts the depth of all threads' trees
# in one place: two threads at once can end in "SystemError: AST constructor recursion depth mismatch".
_PARSING = threading.Lock()
_LONGEST = 1 << 16  # bytes of a header; NumPy itself takes no more than 10,000


class NpyHeader(NamedTuple):
    """What the first bytes of an array say.

    Attributes:
        shape: of the array.
        by_columns: whether it is stored in Fortran's order.
        dtype: of its values.
    """

    shape: tuple[int, ...]
    by_columns: bool
    dtype: np.dtype


def npy_header(file: IO[bytes]) -> NpyHeader:
    """Header of an array; threads may call this at the same time.

    Args:
        file: at the start of the array; afterwards at its first value.

    Raises:
        ValueError: no array of NumPy.
    """
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    # NumPy reads as many bytes as the header says that it has, before it looks how many these are.
    size = file.read(2 if version == (1, 0) else 4)
    length = int.from_bytes(size, "little")
    if length > _LONGEST:
        raise ValueError(f"its header says that it has {length} bytes, expected some hundred")
    with _PARSING:
        return NpyHeader(*read(io.BytesIO(size + file.read(length))))


def map_npy(path: str | os.PathLike[str]) -> np.ndarray:
    """Array of a file, mapped: nothing but its header is read before its values are asked for.

    Args:
        path: ``.npy`` file.

    Raises:
        ValueError: no array of NumPy, pickled objects, or fewer values than the header promises.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        header, offset = _of_numbers(npy_header(file)), file.tell()
    order = "F" if header.by_columns else "C"
    return np.memmap(path, header.dtype, "r", offset, header.shape, order)  # type: ignore[call-overload]


def npz_member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """One array of an archive, read to its end, so that its checksum is compared.

    Args:
        archive: open ``.npz`` file.
        name: of the array.

    Raises:
        ValueError: no array of NumPy, pickled objects, or fewer values than the header promises.
        KeyError: no such array.
        zipfile.BadZipFile: its checksum is wrong.
    """
    with archive.open(f"{name}.npy") as file:
        shape, by_columns, dtype = _of_numbers(npy_header(file))
        size = math.prod(shape) * dtype.itemsize
        content, filled = bytearray(size), 0
        while filled < size and (step := file.readinto(memoryview(content)[filled:])):  # type: ignore[attr-defined]
            filled += step
        if filled < size or file.read(1):
            raise ValueError(f"it has not the {size} bytes that the shape {shape} promises")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")


def _of_numbers(header: NpyHeader) -> NpyHeader:
    if header.dtype.hasobject:
        raise ValueError("it holds pickled Python objects, which can run code and are never loaded")
    return header
