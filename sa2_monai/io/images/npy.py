# SPDX-License-Identifier: Apache-2.0
"""Pictures as single NumPy arrays (.npy): as many channels as one likes, which no picture format holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["is_npy", "npy_picture", "npy_size"]

_TYPES = "uint8, uint16, or float values in [0, 1]"
_LABEL_TYPES = "whole numbers"


def is_npy(path: Path) -> bool:
    """Whether a file is a NumPy array by its suffix.

    Args:
        path: the file.
    """
    return path.suffix.lower() == ".npy"


def npy_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture, from the header alone.

    Args:
        path: ``.npy`` file that holds (H, W) or (H, W, C).

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: not such an array.
    """
    height, width = _open(path).shape[:2]
    return height, width


def npy_picture(path: Path, label: bool = False) -> np.ndarray:
    """Array of a picture.

    Args:
        path: ``.npy`` file that holds (H, W) or (H, W, C).
        label: the picture is a label map: integers of any size are taken, too.

    Returns:
        (H, W) or (H, W, C), C > 1: uint8, uint16 or float32; of a label also int32.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: pickled objects, another shape or type, a damaged file, NaN or infinite values.
    """
    stored = _open(path)
    kind, size = stored.dtype.kind, stored.dtype.itemsize
    if kind == "b" or (kind == "u" and size <= 2):
        array = np.array(stored, dtype=np.uint16 if size == 2 else np.uint8)
        array = array if kind == "u" or label else np.where(array, np.uint8(255), np.uint8(0))  # as pictures of one bit
    elif kind == "f":
        array = np.array(stored, dtype=np.float32)
        if not np.isfinite(array).all():
            raise ValueError(
                f"{path}: {int((~np.isfinite(array)).sum())} of {array.size} values are NaN or infinite; replace them "
                "and save the file again"
            )
    elif label and kind in "iu":
        values = np.array(stored)
        if np.abs(values.astype(np.float64)).max(initial=0) > np.iinfo(np.int32).max // 2:
            raise ValueError(f"{path}: holds values up to {values.max()}, expected class numbers")
        array = values.astype(np.int32)
    else:
        expected = _LABEL_TYPES if label else _TYPES
        raise ValueError(f"{path}: holds {stored.dtype} values, expected {expected}; convert them and save it again")
    return array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array


def _open(path: Path) -> np.ndarray:
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, expected a picture file")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; check the path and the list or folder that names it")
    try:
        # Mapped: the header alone is read, and pickled objects, which can run code, are never loaded.
        array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        objects = "; pickled objects are not loaded" if "object" in str(error).lower() else ""
        raise ValueError(
            f"{path}: is no readable NumPy array ({error}){objects}; save the picture with numpy.save, (H, W) or "
            "(H, W, C) numbers"
        ) from error
    if array.ndim not in (2, 3):
        raise ValueError(
            f"{path}: holds an array of shape {array.shape}, expected one picture, (H, W) or (H, W, C); save every "
            "picture of a stack as its own file"
        )
    return array
