# SPDX-License-Identifier: Apache-2.0
"""Probability maps of one foreground class, from arrays and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.arrays.npy import map_npy
from sa2_monai.io.label_maps import IMAGES, case_name

__all__ = ["exists", "read_probability"]


def exists(source: Any) -> bool:
    """Whether there is something to read: an array, or a file that exists."""
    return source is not None and (not isinstance(source, (str, Path)) or Path(source).is_file())


def read_probability(source: Any, name: str, alone: bool = False) -> np.ndarray:
    """Read one probability map.

    Args:
        source: a float array ``(H, W)`` in [0, 1], an ``.npy`` file of one, or an image ``<case>_prob`` whose full
            range (8 or 16 bit) stands for 1.
        name: what it is, for messages about arrays.
        alone: whether a mask of 0 and 1 (or 0 and 255) is accepted too: the mask of an ensemble made elsewhere.

    Returns:
        float64 array ``(H, W)``.

    Raises:
        ValueError: when it is not a map of probabilities, or is a mask where several models are averaged.
    """
    is_file = isinstance(source, (str, Path))
    where = str(source) if is_file else name
    if is_file and Path(source).suffix.lower() in IMAGES:
        from sa2_monai.data import read_label

        array = np.asarray(read_label(source))
        if case_name(Path(source)).endswith("_prob"):
            full = 255 if array.size and array.max() <= 255 and array.dtype.itemsize == 1 else 65535
            return _checked(array / full, where)
    elif is_file:
        try:
            array = map_npy(source)
        except (ValueError, EOFError) as error:
            raise ValueError(f"{where}: cannot be read as a NumPy array ({error})") from error
    else:
        array = np.asarray(source)
    if array.dtype.kind != "f":
        if not alone:
            raise ValueError(
                f"{where}: holds {array.dtype} values; an ensemble averages probabilities, save them as well"
            )
        if not set(np.unique(array).tolist()) <= {0, 1, 255}:
            raise ValueError(f"{where}: holds values other than 0 and 1 (or 255), expected a mask or probabilities")
        array = array != 0
    return _checked(array.astype(np.float64), where)


def _checked(array: np.ndarray, where: str) -> np.ndarray:
    array = array.reshape(array.shape[1:]) if array.ndim == 3 and array.shape[0] == 1 else array
    array = array[1] if array.ndim == 3 and array.shape[0] == 2 else array  # background and foreground
    if array.ndim != 2:
        raise ValueError(f"{where}: has shape {array.shape}, expected one probability map (H, W)")
    if not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(f"{where}: holds values outside [0, 1], expected probabilities")
    return array
