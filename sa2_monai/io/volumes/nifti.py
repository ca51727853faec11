# SPDX-License-Identifier: Apache-2.0
"""NIfTI files: header as stored, checked, and voxels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.volumes.geometry import VolumeHeader, described, spatial_shape
from sa2_monai.io.volumes.nifti_affine import nifti_affine
from sa2_monai.io.volumes.streams import Stored, allocate, check_length, is_gzip, read_start, read_stored

__all__ = ["nifti_header", "nifti_scaling", "nifti_voxels", "raw_nifti_header", "scaled"]

_BLOCK = 8  # slices that are scaled together


def raw_nifti_header(path: Path) -> Any:
    """Header of a NIfTI-1 or NIfTI-2 file byte for byte.

    nibabel repairs what it reads: a spacing of zero becomes 1 mm with no more than a line on the console. Here nothing
    is touched.

    Args:
        path: ``.nii`` or ``.nii.gz`` file; what its content is, counts: compressed or not.

    Returns:
        ``nibabel.Nifti1Header`` or ``nibabel.Nifti2Header``.

    Raises:
        ValueError: not a NIfTI file, or shorter than a header.
    """
    import nibabel

    block = read_start(path, nibabel.Nifti2Header.sizeof_hdr)
    for kind, single, pair in (
        (nibabel.Nifti1Header, b"n+1", b"ni1"),
        (nibabel.Nifti2Header, b"n+2", b"ni2"),
    ):
        size = kind.sizeof_hdr
        sizes = {int.from_bytes(block[:4], "little"): "<", int.from_bytes(block[:4], "big"): ">"}
        if len(block) < size or size not in sizes:
            continue
        magic = block[344:347] if size == 348 else block[4:7]
        if magic == single:
            return kind(block[:size], sizes[size], check=False)  # nibabel would guess the byte order by dim[0]
        what = "an Analyze 7.5 header, which says no orientation"
        if magic == pair:
            what = "the header of a NIfTI pair (.hdr and .img)"
        if magic == pair or (size == 348 and not block[344:348].strip(b"\0")):
            raise ValueError(f"{path}: is {what}, expected a single NIfTI file; convert it to .nii.gz")
    raise ValueError(
        f"{path}: is not a NIfTI file or damaged ({path.stat().st_size} bytes); copy the file again, or convert it "
        "with a tool that writes NIfTI-1"
    )


def nifti_header(path: Path, flat: bool = False) -> VolumeHeader:
    """Checked geometry of a NIfTI file.

    Args:
        path: ``.nii`` or ``.nii.gz`` file.
        flat: take a 2D image, too; its shape is (x, y, 1).

    Raises:
        ValueError: not a readable volume of real numbers, a header that contradicts itself or promises more than the
            file can hold, or a geometry that cannot be used.
    """
    raw = raw_nifti_header(path)
    shape, axes = spatial_shape(str(path), _sizes(path, raw), flat)
    dtype = _voxel_type(path, raw)
    slope, inter = _scaling(path, raw)
    stored, remarks = _stored(path, raw)
    check_length(stored, math.prod(shape) * dtype.itemsize, described(shape, dtype))
    affine, more = nifti_affine(path, raw, shape, axes)
    scaled = (slope, inter) != (1.0, 0.0)
    native = np.dtype(np.float64) if dtype.itemsize > 8 else dtype.newbyteorder("=")
    return VolumeHeader(
        source=str(path),
        kind="nifti",
        shape=shape,
        affine=affine,
        dtype=np.dtype(np.float32) if scaled else native,
        remarks=remarks + more,
        axes=axes,
    )


def nifti_scaling(path: Path, header: VolumeHeader) -> tuple[float, float] | None:
    """Slope and intercept of a NIfTI file with whole numbers of at most 16 bits; ``None`` where there are none.

    Args:
        path: ``.nii`` or ``.nii.gz`` file.
        header: what :func:`nifti_header` returned.
    """
    raw = raw_nifti_header(path)
    stored, scaling = raw.get_data_dtype(), _scaling(path, raw)
    return scaling if stored.kind in "iu" and stored.itemsize <= 2 and scaling != (1.0, 0.0) else None


def scaled(path: Path, array: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Stored voxels (x, y, z) of a file times a slope plus an intercept, ``float32``, in the order of the file.

    Raises:
        MemoryError: there is not enough memory.
    """
    out = allocate(path, array.size * 4).view(np.float32).reshape(array.shape, order="F")
    for k in range(0, array.shape[2], _BLOCK):  # in double precision, but never for the whole volume
        out[:, :, k : k + _BLOCK] = array[:, :, k : k + _BLOCK].astype(np.float64) * slope + intercept
    return out


def nifti_voxels(path: Path, header: VolumeHeader, as_stored: bool = False) -> tuple[np.ndarray, tuple[str, ...]]:
    """Voxels (x, y, z) of a NIfTI file, slope and intercept applied, and remarks.

    Args:
        path: ``.nii`` or ``.nii.gz`` file.
        header: what :func:`nifti_header` returned.
        as_stored: do not apply them.

    Raises:
        ValueError: truncated or damaged, or more voxels than the header says.
        MemoryError: there is not enough memory.
    """
    raw = raw_nifti_header(path)
    dtype = raw.get_data_dtype()
    stored, _ = _stored(path, raw)
    plane = header.shape[0] * header.shape[1] * dtype.itemsize
    size = plane * header.shape[2]
    buffer, remarks = read_stored(stored, size, described(header.shape, dtype), plane)
    array = buffer.view(dtype).reshape(header.shape, order="F")
    if not dtype.isnative:
        array = array.byteswap(inplace=True).view(dtype.newbyteorder("="))
    slope, inter = _scaling(path, raw)
    if as_stored:
        return array, remarks
    if (slope, inter) == (1.0, 0.0):
        return array.astype(header.dtype, copy=False), remarks  # whole numbers stay what they are
    return scaled(path, array, slope, inter), remarks


def _sizes(path: Path, raw: Any) -> tuple[int, ...]:
    if not 1 <= int(raw["dim"][0]) <= 7:
        raise ValueError(
            f"{path}: damaged NIfTI header: it says {int(raw['dim'][0])} axes (dim[0]), expected 1 to 7; copy the file "
            "again"
        )
    return tuple(int(n) for n in raw.get_data_shape())


def _voxel_type(path: Path, raw: Any) -> np.dtype[Any]:
    code, bits = int(raw["datatype"]), int(raw["bitpix"])
    try:
        dtype = raw.get_data_dtype()
    except Exception as error:  # nibabel has its own types for a code without meaning
        raise ValueError(
            f"{path}: holds voxels of an unknown type (NIfTI datatype {code}), expected integers or floating point "
            "numbers; convert the original scan again"
        ) from error
    if dtype.kind not in "iuf":
        what = "complex numbers" if dtype.kind == "c" else "colours (RGB)"
        if dtype.itemsize == 0 or (dtype.kind == "V" and not dtype.names):
            what = f"single bits or an unknown type (NIfTI datatype {code})"
        raise ValueError(
            f"{path}: holds {what}, expected one real number per voxel; save the magnitude, or one channel, as a file "
            "of its own"
        )
    if bits != dtype.itemsize * 8:
        raise ValueError(
            f"{path}: damaged NIfTI header: datatype {code} ({dtype.newbyteorder('=')}) has {dtype.itemsize * 8} bits "
            f"per voxel, but bitpix says {bits}; copy the file again, or convert the original scan again"
        )
    return np.dtype(dtype)


def _scaling(path: Path, raw: Any) -> tuple[float, float]:
    """Slope and intercept; a slope of 0 or NaN means that there are none."""
    slope, inter = float(raw["scl_slope"]), float(raw["scl_inter"])
    if slope == 0 or math.isnan(slope):
        return 1.0, 0.0
    if not (math.isfinite(slope) and math.isfinite(inter)):
        raise ValueError(
            f"{path}: the voxels are to be scaled by {slope:g} with the intercept {inter:g}, expected finite numbers "
            "(scl_slope, scl_inter); correct the header"
        )
    return slope, inter


def _stored(path: Path, raw: Any) -> tuple[Stored, tuple[str, ...]]:
    """Where the voxels lie, and remarks."""
    least, offset = raw.sizeof_hdr + 4, float(raw["vox_offset"])
    remarks: tuple[str, ...] = ()
    if offset == 0:
        offset = least
        remarks += (f"the header does not say where the voxels begin (vox_offset 0); taken from byte {least}",)
    if not offset >= least or not math.isfinite(offset):
        raise ValueError(
            f"{path}: damaged NIfTI header: the voxels begin at byte {offset:g} (vox_offset), expected {least} or "
            "more; copy the file again"
        )
    packed = is_gzip(path)
    if packed != path.name.lower().endswith(".gz"):
        remarks += (f"is {'' if packed else 'not '}compressed, against its name",)
    return (Stored(path, 0, "gzip", int(offset)) if packed else Stored(path, 0, "raw", int(offset))), remarks
