# SPDX-License-Identifier: Apache-2.0
"""Label maps with their geometry, from pictures, volume files and arrays."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.images.formats import PICTURE_SUFFIXES
from sa2_monai.metrics.checks import check_spacing

__all__ = ["LabelMap", "case_name", "is_supported", "read_label_map", "read_volume", "resample_to"]

PICTURES = tuple(suffix for suffix in PICTURE_SUFFIXES if suffix not in (".npy", ".dcm", ".dicom"))
NIFTI = (".nii.gz", ".nii")
ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
ARRAYS = (".npy",)
# Of the literature: image and label in one file, without geometry.
ARCHIVES: tuple[str, ...] = (".npy.h5", ".h5", ".hdf5", ".npz")
DICOM = (".dcm",)
SUFFIXES = (*NIFTI, *ITK, *PICTURES, *ARRAYS, *ARCHIVES, *DICOM)
CORNER_TOLERANCE = 1e-3  # millimetres


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")


def is_supported(path: Path) -> bool:
    """Whether the file name ends like a label map's; archives hold probabilities where they lie beside such maps."""
    return _suffix(path) not in ("", *ARCHIVES)


def case_name(path: Path) -> str:
    """File name without its extension (``.nii.gz`` counts as one)."""
    suffix = _suffix(path)
    return path.name[: -len(suffix)] if suffix else path.stem


@dataclass(frozen=True)
class LabelMap:
    """A label map and where it lies.

    Attributes:
        array: integers, ``(H, W)`` for pictures, ``(x, y, z)`` for volumes.
        spacing: distance of pixel centres per axis, in ``unit``.
        unit: ``"mm"`` where the file holds a physical size, else ``"px"``.
        affine: 4x4 from index to millimetres, or ``None`` for pictures and arrays.
        source: the path as given, or an empty text for an array.
    """

    array: np.ndarray
    spacing: tuple[float, ...]
    unit: str
    affine: np.ndarray | None
    source: str


def _integers(array: np.ndarray, source: str) -> np.ndarray:
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind in "ui":
        return array
    if array.dtype.kind != "f":
        raise ValueError(f"{source}: holds data of type {array.dtype}, expected integers")
    if not np.isfinite(array).all():
        raise ValueError(f"{source}: holds NaN or infinite values, expected a label map (class values)")
    low, high = float(array.min()), float(array.max())
    # one byte where it suffices: a volume of doubles is eight times as large
    labels = array.astype(np.uint8 if low >= 0 and high <= 255 else np.int64)
    if not np.array_equal(labels, array):
        raise ValueError(f"{source}: holds values that are not integers, expected a label map (class values)")
    return labels


def _oriented_spacing(affine: np.ndarray, ndim: int, source: str) -> tuple[float, ...]:
    columns = affine[:3, :ndim]
    norms = np.linalg.norm(columns, axis=0)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise ValueError(f"{source}: affine has column lengths {norms.tolist()}, expected positive finite spacing")
    cosines = (columns / norms).T @ (columns / norms) - np.eye(ndim)
    if np.abs(cosines).max() > 1e-3:
        raise ValueError(
            f"{source}: the affine is sheared (axes not orthogonal within 1e-3); resample it before measuring"
        )
    return tuple(float(n) for n in norms)


def _read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import nibabel

    try:
        if path.name.lower().endswith(".gz"):
            # all at once: nibabel stops behind the last voxel and does not see a wrong checksum or a missing end
            content = gzip.decompress(path.read_bytes())
            kind = nibabel.Nifti2Image if content[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") else nibabel.Nifti1Image
            image = kind.from_bytes(content)
        else:
            image = nibabel.load(str(path))
        array = np.asanyarray(image.dataobj)
    except Exception as error:  # nibabel raises its own types, zlib's and OSError for damaged files
        raise ValueError(f"{path}: cannot be read as NIfTI ({error})") from error
    return array, np.asarray(image.affine, dtype=np.float64)


def _read_itk(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import SimpleITK

    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        raise ValueError(f"{path}: cannot be read by ITK ({str(error).strip().splitlines()[-1]})") from error
    ndim = image.GetDimension()
    if ndim not in (2, 3) or image.GetNumberOfComponentsPerPixel() != 1:
        raise ValueError(
            f"{path}: has {ndim} axes and {image.GetNumberOfComponentsPerPixel()} components, expected labels"
        )
    array = SimpleITK.GetArrayFromImage(image).T  # (x, y[, z]) like nibabel
    affine = np.eye(4)
    affine[:ndim, :ndim] = np.reshape(image.GetDirection(), (ndim, ndim)) * np.asarray(image.GetSpacing())
    affine[:ndim, 3] = image.GetOrigin()
    return array, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine  # ITK counts to the left and back, NIfTI to right and front


def _read_dicom(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        from sa2_monai.io.dicom.seg import read_dicom_seg

        array, affine = read_dicom_seg(path)
    except ImportError as error:
        raise ValueError(f"{path}: DICOM SEG needs highdicom: pip install 'sa2_monai[dicom]' ({error})") from error
    return np.asarray(array), np.asarray(affine, dtype=np.float64)


def _read_file(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    suffix = _suffix(path)
    if suffix in PICTURES:
        from sa2_monai.data import read_label

        return np.asarray(read_label(path)), None
    if suffix in ARRAYS:
        try:
            return np.load(path, allow_pickle=False), None
        except (ValueError, EOFError) as error:
            raise ValueError(f"{path}: cannot be read as a NumPy array ({error})") from error
    if suffix in ARCHIVES:
        from sa2_monai.data import read_archive

        return np.asarray(read_archive(path, "label")), None
    if suffix in NIFTI:
        array, affine = _read_nifti(path)
    elif suffix in ITK:
        array, affine = _read_itk(path)
    elif suffix in DICOM:
        array, affine = _read_dicom(path)
    else:
        raise ValueError(f"{path}: unknown kind of file, expected one of {', '.join(SUFFIXES)}")
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    return array, affine


def read_volume(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the voxels and the affine (RAS) of a volume file of any data type.

    Raises:
        OSError: when it cannot be opened.
        ValueError: for another kind of file or one that cannot be read.
    """
    if _suffix(path) in NIFTI:
        return _read_nifti(path)
    if _suffix(path) in ITK:
        return _read_itk(path)
    raise ValueError(f"{path}: is no volume file, expected one of {', '.join((*NIFTI, *ITK))}")


def read_label_map(source: Any, name: str, spacing: Any = None) -> LabelMap:
    """Read one label map.

    Args:
        source: a path (picture, NIfTI, NRRD, MHA/MHD, NPY, DICOM SEG, NPZ or HDF5 of the literature) or an array.
        name: what it is, for messages about arrays, e.g. ``"reference of case 7"``.
        spacing: millimetres per axis for arrays and pictures, which hold none; ``None`` counts pixels.

    Raises:
        FileNotFoundError: when the file does not exist.
        ValueError: for an unknown or damaged file, other than 2 or 3 axes, values that are not integers, or a sheared
            affine.
    """
    if isinstance(source, (str, Path)):
        path, text = Path(source), str(source)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file ({name})")
        array, affine = _read_file(path)
    else:
        array, affine, text = np.asarray(source), None, ""
    where = text or name
    if array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(f"{where}: has shape {array.shape}, expected a label map with two or three axes")
    array = _integers(array, where)
    if affine is not None:
        return LabelMap(array, _oriented_spacing(affine, array.ndim, where), "mm", affine, text)
    steps = check_spacing(spacing, array.ndim)
    return LabelMap(array, tuple(map(float, steps)), "px" if spacing is None else "mm", None, text)


def corner_distance(shape: tuple[int, ...], first: np.ndarray, second: np.ndarray) -> float:
    """Largest distance in mm between the corners of one grid under two affines."""
    ends = [(0, n - 1) for n in shape] + [(0,)] * (3 - len(shape))
    corners = np.array(np.meshgrid(*ends)).reshape(3, -1)
    points = np.vstack([corners, np.ones(corners.shape[1])])
    return float(np.linalg.norm(((first - second) @ points)[:3], axis=0).max())


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
