# SPDX-License-Identifier: Apache-2.0
"""Label maps with their geometry, for scoring: every file by the reader that training and prediction use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.arrays.npy import map_npy
from sa2_monai.io.causes import raise_if_memory
from sa2_monai.io.images.formats import IMAGE_SUFFIXES
from sa2_monai.io.images.read import read_label
from sa2_monai.io.limits.voxels import check_voxels
from sa2_monai.io.names import PAIRS, VOLUME_SUFFIXES
from sa2_monai.io.preprocessed import PREPROCESSED_SUFFIXES, read_preprocessed
from sa2_monai.io.volumes.geometry import is_sheared
from sa2_monai.io.volumes.read import load_volume
from sa2_monai.io.whole_numbers import whole_numbers

__all__ = ["LabelMap", "case_name", "is_supported", "read_label_map", "resample_to"]

ARRAYS = (".npy",)
IMAGES = tuple(suffix for suffix in IMAGE_SUFFIXES if suffix not in (*ARRAYS, ".dcm", ".dicom"))
# Of the literature: image and label in one file, without geometry.
PREPROCESSED: tuple[str, ...] = (".npy.h5", *PREPROCESSED_SUFFIXES)
DICOM = (".dcm",)
SUFFIXES = (*VOLUME_SUFFIXES, *IMAGES, *ARRAYS, *PREPROCESSED, *DICOM)


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")


def is_supported(path: Path) -> bool:
    """Whether the file name ends like a label map's; preprocessed files beside such maps hold probabilities."""
    return _suffix(path) not in ("", *PREPROCESSED)


def case_name(path: Path) -> str:
    """File name without its extension (``.nii.gz`` counts as one)."""
    suffix = _suffix(path)
    return path.name[: -len(suffix)] if suffix else path.stem


@dataclass(frozen=True)
class LabelMap:
    """A label map and where it lies.

    Attributes:
        array: integers, ``(H, W)`` for images, ``(x, y, z)`` for volumes.
        spacing: distance of pixel centres per axis, in ``unit``.
        unit: ``"mm"`` where the file holds a physical size, else ``"px"``.
        affine: 4x4 from index to millimetres, or ``None`` for images and arrays.
        source: the path as given, or an empty text for an array.
        remarks: what is doubtful in the file but not wrong, one sentence each.
    """

    array: np.ndarray
    spacing: tuple[float, ...]
    unit: str
    affine: np.ndarray | None
    source: str
    remarks: tuple[str, ...] = ()

    @property
    def sheared(self) -> bool:
        """Whether two axes are not at a right angle (gantry tilt): the spacing alone does not say distances then."""
        return self.affine is not None and is_sheared(self.affine)


def _read_file(path: Path) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Array, affine and remarks."""
    suffix = _suffix(path)
    if suffix in VOLUME_SUFFIXES or path.name.lower().endswith(PAIRS):
        volume = load_volume(path, label=True, flat=True)
        flat = volume.header.axes == 2
        return (volume.array[:, :, 0] if flat else volume.array), volume.header.affine, volume.header.remarks
    if suffix in IMAGES:
        return read_label(path, colours=True), None, ()
    if suffix in ARRAYS:
        return _read_array(path), None, ()
    if suffix in PREPROCESSED:
        return read_preprocessed(path, "label"), None, ()
    if suffix in DICOM:
        return *_read_dicom(path), ()
    raise ValueError(f"{path}: unknown kind of file, expected one of {', '.join(SUFFIXES)}")


def _read_array(path: Path) -> np.ndarray:
    try:
        # Mapped: what an absurd header promises is compared with the size of the file, and nothing is unpickled.
        array = map_npy(path)
    except (OSError, ValueError, EOFError) as error:
        raise_if_memory(error, path)
        raise ValueError(f"{path}: cannot be read as a NumPy array ({error}); save it with numpy.save") from error
    check_voxels(path, array.shape, array.dtype.itemsize)
    return read_label(path) if array.ndim == 2 else np.array(array)


def _read_dicom(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        from sa2_monai.io.dicom.seg import read_dicom_seg

        array, affine = read_dicom_seg(path)
    except ImportError as error:
        raise ValueError(f"{path}: DICOM SEG needs highdicom: pip install 'sa2_monai[dicom]' ({error})") from error
    return np.asarray(array), np.asarray(affine, dtype=np.float64)


def read_label_map(source: Any, name: str, spacing: Any = None) -> LabelMap:
    """Read one label map.

    Args:
        source: a path (image, NIfTI, NRRD, MHA/MHD, NPY, DICOM SEG, NPZ or HDF5 of the literature) or an array.
        name: what it is, for messages about arrays, e.g. ``"reference of case 7"``.
        spacing: millimetres per axis for arrays and images, which hold none; ``None`` counts pixels.

    Raises:
        FileNotFoundError: when the file does not exist.
        ValueError: for an unknown or damaged file, other than 2 or 3 axes, or values that are not whole numbers.
        MemoryError: there is not enough memory.
    """
    affine: np.ndarray | None = None
    remarks: tuple[str, ...] = ()
    if isinstance(source, (str, Path)):
        path, text = Path(source), str(source)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file ({name})")
        array, affine, remarks = _read_file(path)
    else:
        array, text = np.asarray(source), ""
    where = text or name
    if array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(f"{where}: has shape {array.shape}, expected a label map with two or three axes")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{where}: holds NaN or infinite values, expected a label map (class values)")
    array, more = whole_numbers(where, array)
    if affine is None:
        unit = "px" if spacing is None else "mm"
        return LabelMap(array, _steps(spacing, array.ndim), unit, None, text, remarks + more)
    steps = np.linalg.norm(affine[:3, : array.ndim], axis=0)
    return LabelMap(array, tuple(map(float, steps)), "mm", affine, text, remarks + more)


def _steps(spacing: Sequence[float] | float | None, ndim: int) -> tuple[float, ...]:
    """Spacing as one positive number per axis; 1 where there is none."""
    try:
        given = np.asarray(1.0 if spacing is None else spacing, dtype=np.float64)
        steps = np.broadcast_to(given, (ndim,))
    except (TypeError, ValueError) as error:
        raise ValueError(f"spacing is {spacing!r}, expected {ndim} positive numbers, one per axis") from error
    if not (np.isfinite(steps).all() and (steps > 0).all()):
        raise ValueError(f"spacing is {spacing!r}, expected positive finite numbers")
    return tuple(map(float, steps))


def resample_to(prediction: LabelMap, reference: LabelMap) -> np.ndarray:
    """Bring a prediction onto the grid of the reference by nearest neighbour; outside of it is background."""
    from scipy.ndimage import affine_transform

    assert prediction.affine is not None
    assert reference.affine is not None
    matrix = np.linalg.inv(prediction.affine) @ reference.affine
    ndim = reference.array.ndim
    return np.asarray(
        affine_transform(
            prediction.array,
            matrix[:ndim, :ndim],
            offset=matrix[:ndim, 3],
            output_shape=reference.array.shape,
            order=0,
            mode="grid-constant",  # the outermost voxels reach half a voxel beyond their centres
            cval=0,
        )
    )
