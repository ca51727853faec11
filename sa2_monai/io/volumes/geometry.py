# SPDX-License-Identifier: Apache-2.0
"""Where a volume lies: its header without the voxels, and the checks that are the same for every format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "LPS_TO_RAS",
    "VolumeHeader",
    "affine_remarks",
    "check_affine",
    "corner_distance",
    "described",
    "is_sheared",
    "scan_axis",
    "spatial_shape",
]

#: DICOM and ITK count to the left and to the back, NIfTI and this project to the right and to the front.
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

# Cosine between two axes that still count as orthogonal, and the smallest determinant of the unit axes.
_ORTHOGONAL = 1e-3
_SINGULAR = 1e-6


@dataclass(frozen=True)
class VolumeHeader:
    """Geometry and type of a volume.

    Attributes:
        source: file, or folder of a DICOM series.
        kind: ``"nifti"``, ``"itk"`` (NRRD, MHA, MHD) or ``"dicom"``.
        shape: number of voxels (x, y, z).
        affine: 4x4, float64, from index to millimetres, RAS.
        dtype: type of the voxels as they are read (after the slope of the file), in the machine's byte order.
        remarks: what is doubtful but not wrong, one sentence each.
        series_uid: SeriesInstanceUID that was chosen among several of a folder, else empty.
        axes: of the file: 3, or 2 for a single image where such were allowed; its shape is (x, y, 1) then.
    """

    source: str
    kind: str
    shape: tuple[int, int, int]
    affine: np.ndarray
    dtype: np.dtype[Any]
    remarks: tuple[str, ...] = ()
    series_uid: str = ""
    axes: int = 3

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance of voxel centres along each axis, in millimetres."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)


def spatial_shape(source: str, shape: tuple[int, ...], flat: bool = False) -> tuple[tuple[int, int, int], int]:
    """Shape of a volume without trailing axes of size 1, and the number of its axes.

    Args:
        source: file, for messages.
        shape: sizes as stored, x first.
        flat: take a 2D image as a volume of one slice.

    Returns:
        (x, y, z), and 3; (x, y, 1) and 2 for a 2D image.

    Raises:
        ValueError: fewer or more than three axes, or an axis without voxels.
    """
    axes = min(len(shape), 3)
    if flat and axes == 2:
        shape = (*shape, 1)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    sizes = "x".join(map(str, shape))
    if len(shape) < 3:
        raise ValueError(
            f"{source}: is a 2D image ({sizes}), expected a volume with three axes; store a single slice as "
            "(x, y, 1), and give images to a bundle for images"
        )
    if len(shape) > 3:
        raise ValueError(
            f"{source}: is a {len(shape)}D image ({sizes}), expected a volume with three axes; save each time point, "
            "echo or channel as a file of its own"
        )
    if min(shape) < 1:
        raise ValueError(f"{source}: has no voxels ({sizes}); copy the file again")
    return (shape[0], shape[1], shape[2]), axes


def described(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """Voxels in words: ``"9 x 8 x 7 voxels of int16"``.

    Args:
        shape: number of voxels along each axis.
        dtype: their type.
    """
    return f"{' x '.join(map(str, shape))} voxels of {dtype.newbyteorder('=')}"


def check_affine(source: str, affine: np.ndarray) -> None:
    """Check that an affine places every voxel at a point of its own.

    Args:
        source: file, for messages.
        affine: (4, 4).

    Raises:
        ValueError: values that are not finite, zero spacing, or a matrix that cannot be inverted.
    """
    hint = "correct the header, or convert the original scan again"
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise ValueError(f"{source}: the affine holds values that are not finite numbers; {hint}")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not (spacing > 0).all():
        raise ValueError(
            f"{source}: has zero spacing ({', '.join(f'{step:g}' for step in spacing)} mm), expected positive "
            f"distances between voxels; {hint}"
        )
    if abs(np.linalg.det(affine[:3, :3] / spacing)) < _SINGULAR:
        raise ValueError(
            f"{source}: the affine cannot be inverted (two axes are parallel), expected three independent axes; {hint}"
        )


def is_sheared(affine: np.ndarray) -> bool:
    """Whether two axes of a volume are not at a right angle, by more than a thousandth (gantry tilt).

    Args:
        affine: (4, 4), checked.
    """
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > _ORTHOGONAL)


def scan_axis(spacing: Sequence[float] | np.ndarray) -> int:
    """The axis along which the slices of a volume follow each other, as it was scanned.

    Args:
        spacing: millimetres along (x, y, z).

    Returns:
        The axis with the widest spacing; the last one where none is wider than the others by more than a fifth.
    """
    steps = np.asarray(spacing, dtype=np.float64)
    return int(np.argmax(steps)) if steps.max() > 1.2 * steps.min() * (1 + 1e-6) else len(steps) - 1


def affine_remarks(affine: np.ndarray) -> tuple[str, ...]:
    """Remark on axes that are not orthogonal; such volumes are kept as they are.

    Args:
        affine: (4, 4), checked.
    """
    if not is_sheared(affine):
        return ()
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    normal = np.cross(axes[:, 0], axes[:, 1])
    lean = np.degrees(np.arccos(np.clip(abs(axes[:, 2] @ normal) / np.linalg.norm(normal), 0, 1)))
    if lean > np.degrees(_ORTHOGONAL):
        what = f"the third axis leans {lean:.1f} degrees from the normal of the slices (gantry tilt or shear)"
    else:
        what = f"the first two axes meet at {np.degrees(np.arccos(axes[:, 0] @ axes[:, 1])):.1f} degrees (shear)"
    return (f"{what}; kept as it is, not resampled",)


def corner_distance(shape: tuple[int, ...], first: np.ndarray, second: np.ndarray) -> float:
    """Largest distance in millimetres between the corner voxels of one grid under two affines.

    Args:
        shape: number of voxels (x, y, z).
        first: (4, 4).
        second: (4, 4).
    """
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    return float(np.linalg.norm((first - second)[:3, :3] @ corners + (first - second)[:3, 3:], axis=0).max())
