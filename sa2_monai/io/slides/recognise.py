# SPDX-License-Identifier: Apache-2.0
"""Which files are whole slides, or too large to be read at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from PIL import Image

from sa2_monai.io.images.formats import SLIDE_SUFFIXES, image_format
from sa2_monai.io.images.tiff import opened_tiff

__all__ = ["is_slide", "main_series"]


def is_slide(path: str | os.PathLike[str]) -> bool:
    """Whether an image is read region by region.

    That are files of the suffixes of scanners (:data:`~sa2_monai.io.images.formats.SLIDE_SUFFIXES`), TIFF files with
    the levels of a pyramid, and TIFF files of more pixels than any other image may have (twice Pillow's
    ``MAX_IMAGE_PIXELS``, 178 956 970). A TIFF that is damaged is none; reading it tells what is wrong.

    Args:
        path: an existing file.

    Raises:
        FileNotFoundError: the file is missing.
    """
    file = Path(path)
    if file.suffix.lower() in SLIDE_SUFFIXES:
        return True
    if image_format(file) != "TIFF":
        return False
    try:
        with opened_tiff(file) as tiff:
            series = main_series(tiff)
            limit = 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else None
            return len(series.levels) > 1 or (limit is not None and _pixels(series) > limit)
    except ValueError:
        return False


def main_series(tiff: Any) -> Any:
    """The series of tifffile with the most pixels: labels, thumbnails and photographs of the slide are others.

    Raises:
        ValueError: there is none.
    """
    if not tiff.series:
        raise ValueError("no directory")
    return max(tiff.series, key=_pixels)


def _pixels(series: Any) -> int:
    return int(series.keyframe.imagelength) * int(series.keyframe.imagewidth)
