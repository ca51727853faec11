# SPDX-License-Identifier: Apache-2.0
"""Values of DICOM images: stored values, and what the Modality LUT makes of them.

The values of every modality are ``stored * RescaleSlope + RescaleIntercept`` (or those of the ModalityLUTSequence).
PhotometricInterpretation says how a value is shown, not what it is: MONOCHROME1 is never inverted. Pixel padding stays.

Uncompressed and run-length encoded pixels are unpacked by pydicom. The other compressions are decoded by GDCM (through
SimpleITK) from a copy of the pixels without rescale and photometric interpretation, because GDCM applies both by itself
(and MONOCHROME1 before the slope, which turns Hounsfield units round).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sa2_monai.io.causes import raise_if_memory
from sa2_monai.io.dicom.packages import gdcm_reader, modality_lut, quiet_pydicom, raw_pixels, save_dicom
from sa2_monai.io.dicom.slices import DicomSlice

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["read_planes", "value_type"]

_TYPES = (np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64)
_RLE = "1.2.840.10008.1.2.5"
# No compression makes images so much smaller; a file that says so has a damaged header.
_LARGE, _RATIO = 1 << 28, 1000


def value_type(slices: Sequence[DicomSlice]) -> np.dtype[Any]:
    """Type of the values of a series: the smallest of whole numbers, or float32 where a slope or intercept is none.

    Args:
        slices: slices that have been checked.
    """
    low, high = 0.0, 0.0
    for item in slices:
        if item.lookup_table:
            high = max(high, 65535.0)
            continue
        slope, intercept = _rescale(item)
        if slope % 1 or intercept % 1:
            return np.dtype(np.float32)
        stored = (-(2 ** (item.bits - 1)), 2 ** (item.bits - 1) - 1) if item.signed else (0, 2**item.bits - 1)
        ends = [end * slope + intercept for end in stored]
        low, high = min(low, *ends), max(high, *ends)
    fitting = [kind for kind in _TYPES if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max]
    return np.dtype(fitting[0] if fitting else np.float32)


def read_planes(path: Path, items: Sequence[DicomSlice], dtype: np.dtype[Any]) -> list[np.ndarray]:
    """Values of frames of one file.

    Args:
        path: the file.
        items: its frames, in any order; the one slice of a single-frame file.
        dtype: as :func:`value_type` gives it.

    Returns:
        Arrays (row, column), in the order of ``items``.

    Raises:
        ValueError: the pixels cannot be decoded, or are not of the size that the header promises.
    """
    from pydicom import dcmread

    first = items[0]
    try:
        with quiet_pydicom():
            dataset = dcmread(path, force=True)
            if "PixelData" not in dataset:  # compressed, and without its end
                raise ValueError("the file ends within its pixels")
            stored = _stored(dataset, first)
            if first.lookup_table:
                dataset.PixelRepresentation = int(first.signed)
                return [modality_lut(stored[item.frame], dataset).astype(dtype) for item in items]
    except Exception as error:  # of pydicom, GDCM, and what damaged streams make them raise
        raise_if_memory(error, path)
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(
            f"{path}: the pixels cannot be decoded ({lines[-1]}); copy the series again, or decompress it with "
            "gdcmconv --raw"
        ) from error
    return [_rescaled(stored[item.frame], *_rescale(item), dtype) for item in items]


def _rescaled(plane: np.ndarray, slope: float, intercept: float, dtype: np.dtype[Any]) -> np.ndarray:
    if dtype.kind == "f":
        return (plane * slope + intercept).astype(dtype)
    # What overflows on the way comes back, because the result fits into the type.
    plane = plane.astype(dtype)
    if slope != 1:
        plane *= np.asarray(int(slope)).astype(dtype)
    if intercept != 0:
        plane += np.asarray(int(intercept)).astype(dtype)
    return plane


def _rescale(item: DicomSlice) -> tuple[float, float]:
    return 1.0 if item.slope is None else item.slope, 0.0 if item.intercept is None else item.intercept


def _stored(dataset: Dataset, item: DicomSlice) -> np.ndarray:
    """Stored values (frame, row, column)."""
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", "")).strip(" \0")
    if item.compressed and item.bytes_of_pixels > max(_LARGE, _RATIO * len(dataset.PixelData)):
        raise ValueError(f"{item.bytes_of_pixels} bytes promised in {len(dataset.PixelData)} of compressed pixels")
    if item.compressed and syntax != _RLE:
        values = _by_gdcm(dataset, item, syntax)
    else:
        values = _bits(_by_pydicom(dataset, item), item)
    shape = (item.frames, item.size[1], item.size[0])
    if values.size != np.prod(shape):
        raise ValueError(f"the pixels have the shape {values.shape}, the header says {shape}")
    return values.reshape(shape)


def _by_pydicom(dataset: Dataset, item: DicomSlice) -> np.ndarray:
    from pydicom.uid import ImplicitVRLittleEndian

    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    _complete(dataset, item)
    # Whole words: pydicom would cut them at BitsStored, wherever HighBit says that the stored bits are.
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = item.allocated, item.allocated - 1, 0
    return raw_pixels(dataset)


def _by_gdcm(dataset: Dataset, item: DicomSlice, syntax: str) -> np.ndarray:
    import SimpleITK as sitk
    from pydicom import Dataset, FileDataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import SecondaryCaptureImageStorage

    bare = FileDataset(None, Dataset(), file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    bare.file_meta.TransferSyntaxUID = syntax
    bare.file_meta.MediaStorageSOPClassUID = bare.SOPClassUID = SecondaryCaptureImageStorage
    bare.file_meta.MediaStorageSOPInstanceUID = bare.SOPInstanceUID = "2.25.1"
    _complete(bare, item)
    bare["PixelData"] = dataset["PixelData"]
    with tempfile.TemporaryDirectory(prefix="sa2-monai-") as folder:
        path = Path(folder) / "pixels.dcm"
        save_dicom(bare, path)
        return sitk.GetArrayFromImage(gdcm_reader(path).Execute())


def _complete(dataset: Dataset, item: DicomSlice) -> None:
    """Elements that say how pixels are packed, as they were understood."""
    dataset.Columns, dataset.Rows = item.size
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = item.allocated, item.bits, item.high_bit
    dataset.PixelRepresentation = int(item.signed)
    dataset.NumberOfFrames = item.frames


def _bits(words: np.ndarray, item: DicomSlice) -> np.ndarray:
    """Stored values in unsigned words: the other bits may hold overlays, or rubbish instead of the sign."""
    words = words.astype(words.dtype.newbyteorder("="), copy=False)
    above, below = item.allocated - 1 - item.high_bit, item.high_bit + 1 - item.bits
    if item.signed:  # shifts of signed numbers repeat the sign
        return (words << above).view(f"i{words.itemsize}") >> (above + below)
    if above or below:
        words = (words << above) >> (above + below)
    return words
