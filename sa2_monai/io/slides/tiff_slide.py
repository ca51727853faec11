# SPDX-License-Identifier: Apache-2.0
"""Slides in TIFF, OME-TIFF and SVS files, through tifffile."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.images.samples import ImageFileError, Samples, damaged
from sa2_monai.io.images.tiff import page_samples, tiff_errors
from sa2_monai.io.slides.pixel_size import tiff_pixel_size
from sa2_monai.io.slides.recognise import main_series
from sa2_monai.io.slides.segments import SegmentCache, read_region
from sa2_monai.io.slides.slide import Level, Slide

__all__ = ["TiffSlide"]

_ORIENTATION = 274


class TiffSlide(Slide):
    """A slide in a TIFF file: the series with the most pixels and its levels.

    Channels that are planes (``C`` of ImageJ and OME) are put together; stacks of slices or times are refused.

    Args:
        path: TIFF or BigTIFF file.

    Raises:
        ValueError: a damaged file, several planes, or an image that is stored turned.
    """

    def __init__(self, path: Path) -> None:
        import tifffile

        with ExitStack() as stack, tiff_errors(path):
            self._tiff = stack.enter_context(tifffile.TiffFile(path, _multifile=False))
            series = main_series(self._tiff)
            self._pages = [_pages_of(level, path) for level in series.levels]
            for pages in self._pages:
                _check_page(pages[0].keyframe, path)
            mpp = tiff_pixel_size(self._tiff, series.keyframe)
            stack.pop_all()
        self._cache = SegmentCache()
        sizes = [pages[0].keyframe for pages in self._pages]
        super().__init__(path, [Level(int(one.imagelength), int(one.imagewidth)) for one in sizes], mpp)

    def read(self, level: int, top: int, left: int, height: int, width: int) -> Samples:
        """Decode the tiles that a region touches; see :meth:`Slide.read`."""
        pages = self._pages[level]
        planes = [read_region(page, top, left, height, width, self._cache, self.path) for page in pages]
        array = planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)
        return page_samples(pages[0].keyframe, array, self.path)

    def close(self) -> None:
        """Close the file."""
        self._tiff.close()


def _pages_of(level: Any, path: Path) -> list[Any]:
    """The pages whose samples together are the channels of a level."""
    lengths = dict(zip(level.get_axes(squeeze=False), level.get_shape(squeeze=False), strict=True))
    planes = {axis: n for axis, n in lengths.items() if axis not in "YXSC" and n > 1}
    pages = list(level.pages)
    if planes or len(pages) > max(1, lengths.get("C", 1)):
        what = ", ".join(f"{n} along {axis}" for axis, n in planes.items()) or f"{len(pages)} pages"
        raise ImageFileError(
            f"{path}: has several planes ({what}), expected a single image with its levels; save the wanted plane as "
            "its own file"
        )
    if not pages or any(page is None for page in pages):
        raise damaged(path, "a plane is missing")
    return pages


def _check_page(page: Any, path: Path) -> None:
    if page.dtype is None or not isinstance(page.bitspersample, int) or page.bitspersample not in (8, 16, 32):
        raise ImageFileError(
            f"{path}: has samples of {page.bitspersample} bits, expected 8 or 16 bits, or float of 32 bits, in a slide"
        )
    tag = page.tags.get(_ORIENTATION)
    if tag is not None and tag.value not in (0, 1):
        raise ImageFileError(f"{path}: is stored turned (orientation {tag.value}), expected upright; save it upright")
