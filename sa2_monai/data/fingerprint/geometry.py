# SPDX-License-Identifier: Apache-2.0
"""Sizes, spacings and directions of the measured cases, from headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np

from sa2_monai.data.fingerprint.arrays import SLICE_AXES, plane_order
from sa2_monai.data.fingerprint.facts import Geometry
from sa2_monai.io.volumes.read import volume_header

__all__ = ["Headers", "joined_geometry", "look_at_headers"]

_THICK = 1.5  # ratio of spacings from which slices have an axis of their own
_OBLIQUE = 20.0  # degrees from which a stack is no plane of the patient


@dataclass(frozen=True)
class Headers:
    """What the headers say: see :class:`~sa2_monai.data.fingerprint.facts.Geometry`."""

    slice_axis: str = "axial"
    spacing: tuple[float, float, float] | None = None
    anisotropy: float = 1.0
    oblique: float = 0.0
    stacks: float = 1.0


def look_at_headers(cases: Sequence[Mapping[str, Any]], kind: str, slice_axis: str | None = None) -> Headers:
    """Spacing and the axis of the slices of volumes; other files have none.

    Args:
        cases: of a data list.
        kind: of their files.
        slice_axis: chosen by the user; ``None`` for the axis along which most volumes were taken: that of the largest
            spacing, and axial where spacings are alike.

    Raises:
        OSError, ValueError: a header that cannot be used.
    """
    if kind != "volumes":
        return Headers()
    affines = [volume_header(_first(case["image"])).affine for case in cases]
    spacings = [np.linalg.norm(affine[:3, :3], axis=0) for affine in affines]
    ratios = [float(spacing.max() / spacing.min()) for spacing in spacings]
    planes = [_thick_plane(affine) for affine in affines]
    oblique = float(np.median([_angle(affine) for affine in affines]))
    anisotropy = float(np.median(ratios))
    common = max(SLICE_AXES, key=planes.count)
    if slice_axis is None:
        slice_axis = "axial"
        if anisotropy >= _THICK:
            several = planes.count(common) < len(planes)
            slice_axis = "acquisition" if several or oblique > _OBLIQUE else common
    ordered = [spacing[plane_order(affine, slice_axis)] for spacing, affine in zip(spacings, affines, strict=True)]
    rows, columns, along = (float(value) for value in np.median(ordered, axis=0))
    return Headers(slice_axis, (rows, columns, along), anisotropy, oblique, planes.count(common) / len(planes))


def joined_geometry(sizes: Sequence[tuple[int, int, int]], headers: Headers) -> Geometry:
    """Geometry of a data set.

    Args:
        sizes: rows, columns and slices of its cases.
        headers: what their headers say.
    """
    table = np.asarray(sizes)
    rows, columns, depth = (float(value) for value in np.median(table, axis=0))
    return Geometry(
        size=(rows, columns),
        smallest=(int(table[:, 0].min()), int(table[:, 1].min())),
        largest=(int(table[:, 0].max()), int(table[:, 1].max())),
        depth=depth,
        spacing=headers.spacing,
        anisotropy=headers.anisotropy,
        slice_axis=headers.slice_axis,
        oblique=headers.oblique,
        stacks=headers.stacks,
    )


def _thick_plane(affine: np.ndarray) -> str:
    along = int(np.argmax(np.linalg.norm(affine[:3, :3], axis=0)))
    direction = int(nib.orientations.io_orientation(affine)[along, 0])
    return next(plane for plane, axis in SLICE_AXES.items() if axis == direction)


def _angle(affine: np.ndarray) -> float:
    """Largest angle between an axis of the volume and the patient's nearest one, in degrees."""
    units = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.degrees(np.arccos(np.clip(np.abs(units).max(axis=0), 0, 1)).max()))


def _first(image: Any) -> str:
    return str(image if isinstance(image, str) else image[0])
