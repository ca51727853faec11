# SPDX-License-Identifier: Apache-2.0
"""Images as single NumPy arrays (.npy): as many channels as one likes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sa2_monai.io.arrays.npy import map_npy
from sa2_monai.io.causes import raise_if_memory
from sa2_monai.io.images.samples import Samples
from sa2_monai.io.limits.voxels import check_voxels

__all__ = ["npy_size", "read_npy"]


def npy_size(path: Path) -> tuple[int, int]:
    """Height and width of an image, from the header alone.

    Args:
        path: ``.npy`` file that holds (H, W) or (H, W, C).

    Raises:
        ValueError: not such an array.
    """
    height, width = _open(path).shape[:2]
    return height, width


def read_npy(path: Path) -> Samples:
    """Array of an image.

    Args:
        path: ``.npy`` file that holds (H, W) or (H, W, C).

    Raises:
        ValueError: pickled objects, another shape, or a damaged file.
    """
    mapped = _open(path)
    check_voxels(path, mapped.shape, mapped.dtype.itemsize)
    array = np.array(mapped)
    if array.ndim == 2:
        array = array[:, :, None]
    bits = 1 if array.dtype == bool else 8 * array.dtype.itemsize
    if array.dtype.byteorder not in "=|":
        array = array.astype(array.dtype.newbyteorder("="))
    return Samples(array, bits=bits, colour=array.shape[2] == 3)


def _open(path: Path) -> np.ndarray:
    try:
        # Mapped: the header alone is read, and pickled objects, which can run code, are never loaded.
        array = map_npy(path)
    except (OSError, ValueError, EOFError) as error:
        raise_if_memory(error, path)
        objects = "; pickled objects are not loaded" if "object" in str(error).lower() else ""
        raise ValueError(
            f"{path}: is no readable NumPy array ({error}){objects}; save the image with numpy.save, (H, W) or "
            "(H, W, C) numbers"
        ) from error
    if array.ndim not in (2, 3):
        raise ValueError(
            f"{path}: holds an array of shape {array.shape}, expected one image, (H, W) or (H, W, C); save every "
            "image of a stack as its own file"
        )
    return array
