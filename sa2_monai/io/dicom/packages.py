# SPDX-License-Identifier: Apache-2.0
"""The packages that read and write DICOM: highdicom only where it is installed, pydicom without its own words, GDCM."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sa2_monai.io.utf8_names import utf8_name

__all__ = ["gdcm_reader", "quiet_pydicom", "require_highdicom"]


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
