# SPDX-License-Identifier: Apache-2.0
"""Slides in the formats of scanners (NDPI, MIRAX, SCN, BIF), through OpenSlide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.images.samples import ImageFileError, Samples, damaged
from sa2_monai.io.slides.slide import Level, Slide

__all__ = ["ScannerSlide"]


class ScannerSlide(Slide):
    """A slide that OpenSlide reads: 8 bit RGB.

    What was not scanned is transparent; it gets the background colour of the file, white where that is not said.

    Args:
        path: the file.

    Raises:
        ImportError: the package openslide-python is not installed.
        ValueError: OpenSlide cannot read the file.
    """

    def __init__(self, path: Path) -> None:
        try:
            import openslide
        except ImportError as error:
            raise ImportError(
                f"{path}: is a slide of the format {path.suffix[1:].upper() or 'of a scanner'}, which is read through "
                "OpenSlide: python -m pip install 'sa2_monai[slides]', or save it as pyramidal TIFF"
            ) from error
        self._error = openslide.OpenSlideError
        try:
            self._slide: Any = openslide.OpenSlide(str(path))
        except openslide.OpenSlideUnsupportedFormatError as error:
            raise ImageFileError(
                f"{path}: is no slide that OpenSlide reads; save it as pyramidal TIFF with tiles"
            ) from error
        except openslide.OpenSlideError as error:
            raise damaged(path, error) from error
        properties = self._slide.properties
        sizes = [properties.get(f"openslide.mpp-{axis}") for axis in "yx"]
        mpp = (float(sizes[0]), float(sizes[1])) if sizes[0] and sizes[1] else None
        self._background = np.asarray(
            [int(properties.get("openslide.background-color", "ffffff")[i : i + 2], 16) for i in (0, 2, 4)], np.float32
        )
        super().__init__(path, [Level(height, width) for width, height in self._slide.level_dimensions], mpp)

    def read(self, level: int, top: int, left: int, height: int, width: int) -> Samples:
        """Decode a region; see :meth:`Slide.read`."""
        scale = self._slide.level_downsamples[level]
        corner = (round(left * scale), round(top * scale))  # OpenSlide wants it in pixels of level 0
        try:
            array = np.asarray(self._slide.read_region(corner, level, (width, height)))
        except self._error as error:
            raise damaged(self.path, error) from error
        if (array[..., 3] == 255).all():
            return Samples(np.ascontiguousarray(array[..., :3]), colour=True, lossy=True)
        opacity = array[..., 3:].astype(np.float32) / 255
        mixed = array[..., :3] * opacity + self._background * (1 - opacity)
        return Samples(np.rint(mixed).astype(np.uint8), colour=True, lossy=True)

    def close(self) -> None:
        """Close the file."""
        self._slide.close()
