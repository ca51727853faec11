# SPDX-License-Identifier: Apache-2.0
"""NIfTI files: header as stored, checked, and voxels."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.geometry import VolumeHeader, affine_remarks, check_affine, corner_distance, spatial_shape

__all__ = ["nifti_header", "nifti_voxels", "raw_nifti_header"]

_DISAGREEMENT = 1e-3  # millimetres at a corner


def raw_nifti_header(path: Path) -> Any:
    """Header of a NIfTI-1 or NIfTI-2 file byte for byte.

    nibabel repairs what it reads: a spacing of zero becomes 1 mm with no more than a line on the console. Here nothing
    is touched.

    Args:
        path: ``.nii`` or ``.nii.gz`` file.

    Returns:
        ``nibabel.Nifti1Header`` or ``nibabel.Nifti2Header``.

    Raises:
        ValueError: not a NIfTI file, or shorter than a header.
    """
    import nibabel
    from nibabel.openers import ImageOpener

    try:
        with ImageOpener(str(path)) as file:
            block = file.read(540)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, error) from error
    for kind, magic in ((nibabel.Nifti1Header, block[344:347]), (nibabel.Nifti2Header, block[4:7])):
        size = kind.sizeof_hdr
        if len(block) >= size and size in (int.from_bytes(block[:4], order) for order in ("little", "big")):
            if magic != (b"n+1" if size == 348 else b"n+2"):
                break
            return kind(block[:size], check=False)
    raise ValueError(
        f"{path}: is not a NIfTI file or damaged ({path.stat().st_size} bytes); copy the file again, or convert it "
        "with a tool that writes NIfTI-1"
    )


def nifti_header(path: Path) -> VolumeHeader:
    """Checked geometry of a NIfTI file.

    Args:
        path: ``.nii`` or ``.nii.gz`` file.

    Raises:
        ValueError: not a readable volume of real numbers, or a geometry that cannot be used.
    """
    raw = raw_nifti_header(path)
    try:
        dtype = raw.get_data_dtype()
        shape = tuple(int(n) for n in raw.get_data_shape())
        slope, inter = raw.get_slope_inter()
    except Exception as error:  # codes without meaning: KeyError, HeaderDataError
        raise _damaged(path, error) from error
    if dtype.kind not in "iuf":
        what = "complex numbers" if dtype.kind == "c" else "colours (RGB)"
        raise ValueError(
            f"{path}: holds {what}, expected one real number per voxel; save the magnitude, or one channel, as a file "
            "of its own"
        )
    shape = spatial_shape(str(path), shape)
    affine, remarks = _affine(path, raw, shape)
    scaled = slope not in (None, 1.0) or inter not in (None, 0.0)
    return VolumeHeader(
        source=str(path),
        kind="nifti",
        shape=shape,
        affine=affine,
        dtype=np.dtype(np.float32) if scaled else dtype.newbyteorder("="),
        remarks=remarks,
    )


def nifti_voxels(path: Path, header: VolumeHeader) -> np.ndarray:
    """Voxels (x, y, z) of a NIfTI file, slope and intercept applied.

    Args:
        path: ``.nii`` or ``.nii.gz`` file.
        header: what :func:`nifti_header` returned.

    Raises:
        ValueError: truncated or damaged.
    """
    import nibabel

    try:
        image = nibabel.load(str(path))
        # Whole numbers stay what they are; only where the file has a slope are they floating point.
        plain = image.dataobj.slope == 1 and image.dataobj.inter == 0
        array = np.asarray(image.dataobj.get_unscaled() if plain else image.get_fdata(dtype=np.float32))
    except Exception as error:  # nibabel raises its own types, zlib's, EOFError and OSError for damaged files
        raise _damaged(path, error) from error
    return array.reshape(header.shape).astype(header.dtype, copy=False)


def _affine(path: Path, raw: Any, shape: tuple[int, int, int]) -> tuple[np.ndarray, tuple[str, ...]]:
    pixdim = np.abs(np.asarray(raw["pixdim"][1:4], dtype=np.float64))
    if not (np.isfinite(pixdim).all() and (pixdim > 0).all()):
        raise ValueError(
            f"{path}: has zero spacing (pixdim {', '.join(f'{step:g}' for step in pixdim)} mm), expected positive "
            "distances between voxels; correct the header, or convert the original scan again"
        )
    remarks: tuple[str, ...] = ()
    sform = raw.get_sform() if raw["sform_code"] > 0 else None
    qform = None
    if raw["qform_code"] > 0:
        try:
            qform = raw.get_qform()
        except ValueError as error:  # a quaternion longer than 1
            if sform is None:
                raise ValueError(f"{path}: the qform is invalid ({error}) and there is no sform; set one") from error
            remarks += ("the qform is invalid, the sform is used",)
    if sform is not None:
        affine = sform
    elif qform is not None:
        affine = qform
    else:
        affine = raw.get_base_affine()
        remarks += ("orientation unknown (qform and sform code are both 0): left and right may be exchanged",)
    affine = np.asarray(affine, dtype=np.float64)
    check_affine(str(path), affine)
    if sform is not None and qform is not None:
        distance = corner_distance(shape, sform, qform)
        if not distance <= _DISAGREEMENT:
            remarks += (f"sform and qform disagree by {distance:.3g} mm at a corner, the sform is used",)
    return affine, remarks + affine_remarks(affine)


def _damaged(path: Path, error: BaseException) -> ValueError:
    text = str(error).strip().splitlines()
    reason = text[0] if text else type(error).__name__
    return ValueError(f"{path}: truncated or damaged NIfTI file ({reason}); copy the file again")
