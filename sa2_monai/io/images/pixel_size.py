# SPDX-License-Identifier: Apache-2.0
"""How large a pixel of a 2D image is, where its file says it.

Only files of which a program can be certain count. The dots per inch of PNG and JPEG files, and the usual ones of TIFF
files (72, 96, 150, 300, 600), are those of a screen or a printer and say nothing of what is shown.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sa2_monai.io.images.dicom import dicom_pixel_size
from sa2_monai.io.images.formats import image_format
from sa2_monai.io.images.tiff import tiff_pixel_size

__all__ = ["pixel_size"]


def pixel_size(path: str | os.PathLike[str]) -> tuple[float, float] | None:
    """Millimetres per pixel of an image, as :func:`~sa2_monai.io.images.read.read_image` returns it.

    Args:
        path: TIFF (OME and ImageJ metadata, or the resolution in centimetres or inches) or DICOM file (PixelSpacing);
            other images hold none.

    Returns:
        Distance of rows and of columns in mm, or ``None`` where the file does not say it.

    Raises:
        FileNotFoundError, ValueError: the file is missing or damaged.
    """
    readers: dict[str, Any] = {"TIFF": tiff_pixel_size, "DICOM": dicom_pixel_size}
    file = Path(path)
    reader = readers.get(str(image_format(file)))
    return None if reader is None else reader(file)
