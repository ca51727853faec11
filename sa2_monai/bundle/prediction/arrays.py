# SPDX-License-Identifier: Apache-2.0
"""Arrays as files and label maps as arrays: predictions of arrays take the way of files, and give the same result."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.data import read_label, read_volume

__all__ = ["input_file", "read_prediction", "write_array"]

_INTEGERS = {"i": ("int16", "int32"), "u": ("uint8", "uint16")}


def input_file(item: Any, index: int, folder: Path, volume: bool, affine: Any = None) -> str:
    """The file of an image, which is written when the image is an array.

    Args:
        item: path, NumPy array or tensor.
        index: number of the image, for the name of a new file.
        folder: new files come to ``inputs`` in it.
        volume: see :func:`write_array`.
        affine: see there.

    Raises:
        ValueError: neither a path nor an array, or one that :func:`write_array` refuses.
    """
    if isinstance(item, (str, os.PathLike)):
        return str(item)
    if not hasattr(item, "shape") or (not isinstance(item, np.ndarray) and not hasattr(item, "detach")):
        raise ValueError(f"cannot predict a {type(item).__name__}; expected an array, a tensor or a path")
    inputs = folder / "inputs"
    inputs.mkdir(exist_ok=True)
    return str(write_array(item, inputs / f"array_{index:04d}", volume, affine))


def write_array(array: Any, stem: Path, volume: bool, affine: Any = None) -> Path:
    """Write an image as a file that the bundles read.

    Args:
        array: NumPy array or tensor. Image: (H, W) or (H, W, C), 8 or 16 bit, boolean, or floating point in [0, 1].
            Volume: (X, Y, Z), or (X, Y, Z, C).
        stem: path of the file without its suffix.
        volume: whether it is a volume.
        affine: of a volume, voxels to mm, (4, 4); 1 mm along the axes of the array when ``None``.

    Returns:
        The file: ``.npy`` or ``.nii.gz``.

    Raises:
        ValueError: for an array of another shape or type, or an affine that is none.
    """
    values = np.asarray(array.detach().cpu() if hasattr(array, "detach") else array)
    wanted = "(X, Y, Z) or (X, Y, Z, C)" if volume else "(H, W) or (H, W, C)"
    if values.ndim not in ((3, 4) if volume else (2, 3)) or 0 in values.shape or values.dtype.kind not in "biuf":
        what = "volume" if volume else "image"
        raise ValueError(f"the {what} is an array {values.shape} of {values.dtype}; expected numbers {wanted}")
    if not volume:
        path = stem.with_name(stem.name + ".npy")
        np.save(path, values)
        return path
    import nibabel as nib

    matrix = np.eye(4) if affine is None else np.asarray(affine, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
        raise ValueError(f"affine is {affine!r}; expected an invertible matrix (4, 4) from voxels to mm")
    path = stem.with_name(stem.name + ".nii.gz")
    nib.save(nib.Nifti1Image(_narrow(values), matrix), path)
    return path


def read_prediction(path: str | os.PathLike[str]) -> np.ndarray:
    """Label map of a file that a bundle wrote.

    Args:
        path: ``.png`` of an image, else the file of a volume.

    Returns:
        (H, W) or (X, Y, Z), whole numbers, on the grid of the image.
    """
    if str(path).endswith(".png"):
        return read_label(path)
    return read_volume(path).array


def _narrow(values: np.ndarray) -> np.ndarray:
    """The smallest type of NIfTI that holds the values exactly; floating point becomes single precision."""
    kind = values.dtype.kind
    if kind == "b":
        return values.astype(np.uint8)
    if kind == "f":
        return values.astype(np.float32)
    low, high = int(values.min()), int(values.max())
    for name in _INTEGERS[kind]:
        limits = np.iinfo(np.dtype(name))
        if limits.min <= low and high <= limits.max:
            return values.astype(name)
    return values.astype(np.float32)
