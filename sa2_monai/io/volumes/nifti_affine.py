# SPDX-License-Identifier: Apache-2.0
"""Where a NIfTI file lies: sform, qform, spacing and units, by the rules of the format, with remarks for doubts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.volumes.geometry import affine_remarks, check_affine, corner_distance
from sa2_monai.io.volumes.lattice import TOLERANCE, voxel_distance

__all__ = ["nifti_affine"]

_SPACING = 0.01  # relative difference of two spacings that are worth a remark
# Codes of xyzt_units that are no millimetres: metres and micrometres.
_UNITS = {1: ("metres", 1e3), 3: ("micrometres", 1e-3)}


def nifti_affine(path: Path, raw: Any, shape: tuple[int, ...], axes: int = 3) -> tuple[np.ndarray, tuple]:
    """Affine of a NIfTI header.

    The sform counts where its code is above 0, else the qform. A spacing (``pixdim``) that is no positive number is
    refused, unless a valid sform says all. ``pixdim[0]`` (qfac) below 0 is -1, anything else 1, 0 included.

    Args:
        path: the file, for messages.
        raw: the header as stored, ``nibabel.Nifti1Header`` or ``Nifti2Header``.
        shape: number of voxels.
        axes: of the file, 2 or 3; the third spacing of a 2D file says nothing.

    Returns:
        (4, 4), float64, RAS, millimetres; and remarks.

    Raises:
        ValueError: there is no geometry that can be used.
    """
    raw = raw.copy()
    raw["pixdim"][0] = -1 if raw["pixdim"][0] < 0 else 1
    if axes == 2 and not raw["pixdim"][3] > 0:
        raw["pixdim"][3] = 1
    pixdim = np.asarray(raw["pixdim"][1:4], dtype=np.float64)
    usable = bool((np.isfinite(pixdim) & (pixdim > 0)).all())
    sform = _sform(raw, axes)
    if not usable and sform is None:
        kind = "zero" if np.isfinite(pixdim).all() and (pixdim >= 0).all() else "invalid"
        raise ValueError(
            f"{path}: has {kind} spacing (pixdim {_listed(pixdim)} mm), expected positive distances between voxels; "
            "correct the header, or convert the original scan again"
        )
    remarks: tuple[str, ...] = ()
    qform = _qform(raw) if usable and raw["qform_code"] > 0 else None
    if sform is not None:
        affine = sform
        if not usable:
            remarks += (f"the spacing (pixdim {_listed(pixdim)}) is not valid, the sform is used",)
        elif isinstance(qform, str):
            remarks += ("the qform is invalid, the sform is used",)
    elif isinstance(qform, str):
        raise ValueError(f"{path}: the qform is invalid ({qform}) and there is no sform; set one")
    elif qform is not None:
        affine = qform
    else:
        affine = np.asarray(raw.get_base_affine(), dtype=np.float64)
        remarks += ("orientation unknown (qform and sform code are both 0): left and right may be exchanged",)
    check_affine(str(path), affine)
    if sform is not None and usable:
        remarks += _disagreement(shape, sform, qform, pixdim[:axes])
    unit, factor = _UNITS.get(int(raw["xyzt_units"]) & 7, ("", 1.0))
    if unit:
        affine = np.diag([factor] * 3 + [1.0]) @ affine
        remarks += (f"the header counts in {unit} (xyzt_units), converted to millimetres",)
    return affine, remarks + affine_remarks(affine)


def _sform(raw: Any, axes: int) -> np.ndarray | None:
    if raw["sform_code"] <= 0:
        return None
    sform = np.asarray(raw.get_sform(), dtype=np.float64)
    if axes == 2 and not sform[:3, 2].any():  # nothing lies along the third axis of a 2D file
        normal = np.cross(sform[:3, 0], sform[:3, 1])
        sform[:3, 2] = normal / (np.linalg.norm(normal) or 1)
    return sform


def _qform(raw: Any) -> np.ndarray | str:
    """The qform, or what is wrong with it."""
    try:
        qform = np.asarray(raw.get_qform(), dtype=np.float64)
    except ValueError as error:  # a quaternion longer than 1
        return str(error)
    return qform if np.isfinite(qform).all() else "values that are not finite"


def _disagreement(
    shape: tuple[int, ...], sform: np.ndarray, qform: np.ndarray | str | None, pixdim: np.ndarray
) -> tuple[str, ...]:
    if isinstance(qform, np.ndarray):
        if voxel_distance(shape, qform, sform) <= TOLERANCE:
            return ()
        distance = corner_distance(shape, sform, qform)
        return (f"sform and qform disagree by {distance:.3g} mm at a corner, the sform is used",)
    steps = np.linalg.norm(sform[:3, : len(pixdim)], axis=0)
    if np.allclose(steps, pixdim, rtol=_SPACING, atol=0):
        return ()
    return (f"the spacing is {_listed(steps)} by the sform and {_listed(pixdim)} by pixdim, the sform is used",)


def _listed(steps: np.ndarray) -> str:
    return ", ".join(f"{step:g}" for step in steps)
