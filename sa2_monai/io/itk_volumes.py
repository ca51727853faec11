# SPDX-License-Identifier: Apache-2.0
"""NRRD, MHA and MHD files through SimpleITK: checked header and voxels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.geometry import LPS_TO_RAS, VolumeHeader, affine_remarks, check_affine, spatial_shape
from sa2_monai.io.utf8_names import utf8_name

__all__ = ["itk_header", "itk_voxels", "pixel_type"]


def itk_header(path: Path) -> VolumeHeader:
    """Checked geometry of a file that ITK reads.

    Args:
        path: ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` file.

    Raises:
        ValueError: not a readable volume of real numbers, or a geometry that cannot be used.
    """
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
    shape = spatial_shape(str(path), tuple(reader.GetSize()))
    direction = np.reshape(reader.GetDirection(), (ndim, ndim))[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.asarray(reader.GetSpacing()[:3])
    affine[:3, 3] = reader.GetOrigin()[:3]
    affine = LPS_TO_RAS @ affine
    check_affine(str(path), affine)
    remarks = affine_remarks(affine)
    if path.suffix.lower() in (".nrrd", ".nhdr") and not reader.HasMetaDataKey("NRRD_space"):
        remarks = ("orientation unknown (the file has no 'space'): left and right may be exchanged", *remarks)
    return VolumeHeader(str(path), "itk", shape, affine, dtype, remarks)


def itk_voxels(path: Path, header: VolumeHeader) -> np.ndarray:
    """Voxels (x, y, z).

    Args:
        path: ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` file.
        header: what :func:`itk_header` returned.

    Raises:
        ValueError: truncated or damaged.
    """
    import SimpleITK as sitk

    try:
        array = sitk.GetArrayFromImage(_reader(path).Execute())
    except RuntimeError as error:
        raise _damaged(path, error) from error
    return array.T.reshape(header.shape)


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


def _damaged(path: Path, error: RuntimeError) -> ValueError:
    if "Zero-valued spacing" in str(error):
        return ValueError(
            f"{path}: has zero spacing, expected positive distances between voxels; correct the header, or convert the "
            "original scan again"
        )
    if "determinant" in str(error).lower():
        return ValueError(
            f"{path}: the affine cannot be inverted (two axes are parallel), expected three independent axes; correct "
            "the header, or convert the original scan again"
        )
    # ITK's reason for a MetaImage that ends too early is the last error of the system, whatever that was.
    return ValueError(
        f"{path}: cannot be read by ITK ({path.stat().st_size} bytes): truncated or damaged, or its data file is "
        "missing; copy the file (and the data file beside it) again"
    )
