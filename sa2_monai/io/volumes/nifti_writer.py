# SPDX-License-Identifier: Apache-2.0
"""NIfTI files on exactly the grid of the input: its header with another type of voxels."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sa2_monai.io.volumes.geometry import is_sheared

__all__ = ["header_from_affine", "header_like", "nifti_writer"]

# Label maps shrink to about the same size at every level; higher ones only take longer.
_LEVEL = 4
_BLOCK = 8


def header_like(path: Path) -> Any:
    """Header of a NIfTI file with everything that says where it lies, byte for byte; see :func:`nifti_writer`.

    Args:
        path: ``.nii`` or ``.nii.gz`` file.

    Raises:
        ValueError: not a NIfTI file.
    """
    from sa2_monai.io.volumes.nifti import raw_nifti_header

    header = raw_nifti_header(path).as_byteswapped("<")
    # What describes the voxels of the input, not those of the output.
    for field, value in (("cal_min", 0), ("cal_max", 0), ("intent_code", 0), ("intent_name", b"")):
        header[field] = value
    return header


def header_from_affine(shape: tuple[int, ...], affine: np.ndarray) -> Any:
    """NIfTI-1 header of a volume that comes from another format.

    Sform and qform are the affine, in scanner coordinates; a sheared affine (gantry tilt) cannot be a qform, whose code
    is 0 then, so that no program takes an unsheared one for the truth (ITK refuses such a file instead of moving it).

    Args:
        shape: (x, y, z).
        affine: (4, 4), RAS, millimetres.
    """
    import nibabel

    header = nibabel.Nifti1Header(endianness="<")
    header.set_data_shape(shape)
    header.set_zooms(np.linalg.norm(affine[:3, :3], axis=0))
    header.set_sform(affine, code="scanner")
    header.set_qform(affine, code="unknown" if is_sheared(affine) else "scanner", strip_shears=True)
    header.set_xyzt_units("mm", "sec")
    return header


def nifti_writer(header: Any, array: np.ndarray, slope: float = 1.0) -> Callable[[BinaryIO], None]:
    """Function that writes a ``.nii.gz`` file; the same input gives the same bytes.

    Args:
        header: geometry and shape; a copy gets the type of the array.
        array: (x, y, z), integers or float32, with as many values as the header has voxels.
        slope: the values are the stored numbers times this.

    Returns:
        Function of an open binary file.
    """
    header = header.copy()
    header.set_data_dtype(array.dtype)
    header["scl_slope"], header["scl_inter"] = slope, 0
    size = header.sizeof_hdr + 4  # four zero bytes: no extensions follow
    header["vox_offset"] = size
    header["magic"] = b"n+1" if header.sizeof_hdr == 348 else header["magic"]
    start = header.binaryblock + b"\0\0\0\0"

    def write(file: BinaryIO) -> None:
        # Neither the time nor the name of the file go into the stream.
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0) as stream:
            stream.write(start)
            # x is the fastest axis of the file, z that of the array. A few slices at a time fit into the cache, which
            # makes the exchange several times as fast, and there is no second copy of the volume.
            for k in range(0, array.shape[2], _BLOCK):
                block = np.ascontiguousarray(array[:, :, k : k + _BLOCK], dtype=array.dtype.newbyteorder("<"))
                for j in range(block.shape[2]):
                    stream.write(np.ascontiguousarray(block[:, :, j]).T.tobytes())

    return write
