# SPDX-License-Identifier: Apache-2.0
"""The packages that read and write DICOM: pydicom 3, or 2.4 beside MONAI Label; highdicom; GDCM."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sa2_monai.io.utf8_names import utf8_name

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataset import FileDataset

__all__ = ["gdcm_reader", "modality_lut", "quiet_pydicom", "raw_pixels", "require_highdicom", "save_dicom"]


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep back what pydicom warns about and logs for every odd element of every file, needed or not.

    What matters of it is looked at by the caller, and told once.
    """

    def nothing(record: logging.LogRecord) -> bool:
        return False

    log = logging.getLogger("pydicom")
    log.addFilter(nothing)  # to set its level takes half a millisecond among the many loggers of PyTorch
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.removeFilter(nothing)


def require_highdicom() -> Any:
    """The package ``highdicom``.

    Raises:
        ImportError: not installed; names the extra.
    """
    try:
        import highdicom
        import highdicom.seg
    except ImportError as error:
        raise ImportError(
            f"DICOM SEG needs highdicom ({error}); install the extra that reads and writes DICOM SEG: "
            "pip install sa2_monai[dicom]"
        ) from error
    return highdicom


def gdcm_reader(path: Path) -> Any:
    """SimpleITK's reader (GDCM) of one DICOM file; nothing is read yet.

    Args:
        path: the file.
    """
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(utf8_name(path))
    return reader


def raw_pixels(dataset: Dataset) -> np.ndarray:
    """Pixels as they are stored, without conversion of colours.

    Args:
        dataset: with PixelData, uncompressed or run-length encoded.
    """
    try:
        from pydicom.pixels import pixel_array
    except ImportError:  # pydicom 2
        return dataset.pixel_array
    return pixel_array(dataset, raw=True)


def modality_lut(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Values of stored pixels by the ModalityLUTSequence.

    Args:
        stored: whole numbers of any shape.
        dataset: with the sequence.
    """
    try:
        from pydicom.pixels import apply_modality_lut
    except ImportError:  # pydicom 2
        from pydicom.pixel_data_handlers import apply_modality_lut
    return np.asarray(apply_modality_lut(stored, dataset))


def save_dicom(dataset: FileDataset, path: Path) -> None:
    """Write a complete DICOM file in explicit little endian.

    Args:
        dataset: with its file meta information.
        path: the file.
    """
    import pydicom

    if int(pydicom.__version__.split(".")[0]) > 2:
        dataset.save_as(path, enforce_file_format=True)
    else:
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
        dataset.save_as(path, write_like_original=False)
