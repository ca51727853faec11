# SPDX-License-Identifier: Apache-2.0
"""NRRD, MHA and MHD files: geometry by SimpleITK, checked, and voxels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.causes import raise_if_memory
from sa2_monai.io.utf8_names import utf8_name
from sa2_monai.io.volumes.geometry import (
    LPS_TO_RAS,
    VolumeHeader,
    affine_remarks,
    check_affine,
    described,
    spatial_shape,
)
from sa2_monai.io.volumes.itk_stored import check_data_files, check_fields, find_stored, stated_spacing
from sa2_monai.io.volumes.streams import check_length, read_stored

__all__ = ["itk_header", "itk_voxels", "pixel_type"]


def itk_header(path: Path, flat: bool = False) -> VolumeHeader:
    """Checked geometry of a file that ITK reads.

    Args:
        path: ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` file.
        flat: take a 2D image, too; its shape is (x, y, 1).

    Raises:
        ValueError: not a readable volume of real numbers, a data file that is missing or lies outside of the
            folder of the header, a header that promises more than the file can hold, or a geometry that cannot be used.
    """
    check_fields(path)
    check_data_files(path)
    reader = _reader(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _damaged(path, error) from error
    components = reader.GetNumberOfComponents()
    dtype = pixel_type(reader.GetPixelIDValue())
    if components != 1 or dtype is None:
        what = f"{components} components per voxel (colour or vectors)" if components != 1 else "complex numbers"
        raise ValueError(
            f"{path}: holds {what}, expected one real number per voxel; save the magnitude, or one channel, as a file "
            "of its own"
        )
    ndim = reader.GetDimension()
    shape, axes = spatial_shape(str(path), tuple(reader.GetSize()), flat)
    found = find_stored(path, shape, dtype)
    if found is not None:
        check_length(found[0], math.prod(shape) * dtype.itemsize, described(shape, dtype))
    known = min(ndim, 3)
    affine = np.eye(4)
    direction = np.reshape(reader.GetDirection(), (ndim, ndim))[:known, :known]
    spacing = np.asarray(reader.GetSpacing()[:known])
    stated = stated_spacing(path)
    if not (spacing > 0).all() or "nan" in stated.lower():
        raise _bad_spacing(path, "zero" if (spacing == 0).any() else "invalid", stated)
    affine[:known, :known] = direction * spacing
    affine[:known, 3] = reader.GetOrigin()[:known]
    affine = LPS_TO_RAS @ affine
    check_affine(str(path), affine)
    remarks = affine_remarks(affine)
    if path.suffix.lower() in (".nrrd", ".nhdr") and not reader.HasMetaDataKey("NRRD_space"):
        remarks = ("orientation unknown (the file has no 'space'): left and right may be exchanged", *remarks)
    if not stated:
        remarks = ("spacing unknown (the header does not say it): taken as 1 mm", *remarks)
    return VolumeHeader(str(path), "itk", shape, affine, dtype, remarks, axes=axes)


def itk_voxels(path: Path, header: VolumeHeader) -> tuple[np.ndarray, tuple[str, ...]]:
    """Voxels (x, y, z) and remarks.

    Args:
        path: ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` file.
        header: what :func:`itk_header` returned.

    Raises:
        ValueError: truncated or damaged, or more voxels than the header says.
        MemoryError: there is not enough memory.
    """
    import SimpleITK as sitk

    found = find_stored(path, header.shape, header.dtype)
    if found is None:
        try:
            return sitk.GetArrayFromImage(_reader(path).Execute()).T.reshape(header.shape), ()
        except RuntimeError as error:
            raise _damaged(path, error) from error
    stored, dtype = found
    plane = header.shape[0] * header.shape[1] * dtype.itemsize
    buffer, remarks = read_stored(stored, plane * header.shape[2], described(header.shape, dtype), plane)
    array = buffer.view(dtype).reshape(header.shape, order="F")
    if not dtype.isnative:
        array = array.byteswap(inplace=True).view(header.dtype)
    return array, remarks


def _reader(path: Path) -> Any:
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(utf8_name(path))
    return reader


def pixel_type(code: int) -> np.dtype[Any] | None:
    """NumPy type of a SimpleITK pixel code; ``None`` for what is no real number.

    Args:
        code: ``GetPixelIDValue()`` of an image or reader.
    """
    import SimpleITK as sitk

    table: dict[int, type[np.generic]] = {
        sitk.sitkUInt8: np.uint8,
        sitk.sitkInt8: np.int8,
        sitk.sitkUInt16: np.uint16,
        sitk.sitkInt16: np.int16,
        sitk.sitkUInt32: np.uint32,
        sitk.sitkInt32: np.int32,
        sitk.sitkUInt64: np.uint64,
        sitk.sitkInt64: np.int64,
        sitk.sitkFloat32: np.float32,
        sitk.sitkFloat64: np.float64,
    }
    return np.dtype(table[code]) if code in table else None


def _bad_spacing(path: Path, kind: str, stated: str) -> ValueError:
    return ValueError(
        f"{path}: has {kind} spacing ({stated}), expected positive distances between voxels; correct the header, or "
        "convert the original scan again"
    )


def _damaged(path: Path, error: RuntimeError) -> ValueError:
    raise_if_memory(error, path)
    text = str(error).lower()
    if "spacing" in text:
        return _bad_spacing(path, "zero", stated_spacing(path))
    if "determinant" in text:
        return ValueError(
            f"{path}: the affine cannot be inverted (two axes are parallel), expected three independent axes; correct "
            "the header, or convert the original scan again"
        )
    # ITK's reason for a MetaImage that ends too early is the last error of the system, whatever that was.
    return ValueError(
        f"{path}: cannot be read by ITK ({path.stat().st_size} bytes): truncated or damaged, or its data file is "
        "missing; copy the file (and the data file beside it) again"
    )
