# SPDX-License-Identifier: Apache-2.0
"""What the readers of slides have in common: levels of one image, each smaller than the one before."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from sa2_monai.io.images.formats import SLIDE_SUFFIXES, image_format
from sa2_monai.io.images.samples import ImageFileError, Samples

__all__ = ["Level", "Slide", "open_slide"]

_SCANNERS = tuple(suffix for suffix in SLIDE_SUFFIXES if suffix != ".svs")


@dataclass(frozen=True)
class Level:
    """Rows and columns of a level."""

    height: int
    width: int


class Slide(ABC):
    """A slide that is open; a context manager that closes it.

    Attributes:
        path: the file.
        levels: the image in all its sizes, the largest first.
        mpp: micrometres per pixel of level 0, along rows and columns of the image (y, x); ``None`` where the file does
            not say it.
    """

    def __init__(self, path: Path, levels: list[Level], mpp: tuple[float, float] | None) -> None:
        self.path = path
        self.levels = levels
        self.mpp = mpp

    @abstractmethod
    def read(self, level: int, top: int, left: int, height: int, width: int) -> Samples:
        """Decode a region that lies inside of a level.

        Args:
            level: its number.
            top: first row.
            left: first column.
            height: number of rows.
            width: number of columns.

        Raises:
            ValueError: a damaged tile, or a compression that is not read.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    def downsample(self, level: int) -> tuple[float, float]:
        """Pixels of level 0 per pixel of a level, along rows and columns of the image (y, x)."""
        first, one = self.levels[0], self.levels[level]
        return first.height / one.height, first.width / one.width

    def __enter__(self) -> Slide:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_slide(path: str | os.PathLike[str]) -> Slide:
    """Open a slide: TIFF and SVS through tifffile, the formats of other scanners through OpenSlide.

    Args:
        path: a file of which :func:`~sa2_monai.io.slides.recognise.is_slide` says that it is one, or any TIFF.

    Raises:
        FileNotFoundError: the file is missing.
        ImportError: the format needs OpenSlide, which is not installed.
        ValueError: a damaged file, or one that holds no single image.
    """
    from sa2_monai.io.slides.scanner_slide import ScannerSlide
    from sa2_monai.io.slides.tiff_slide import TiffSlide

    file, format = Path(path), image_format(path)
    if format == "TIFF" and file.suffix.lower() not in _SCANNERS:
        return TiffSlide(file)
    if file.suffix.lower() not in _SCANNERS:
        raise ImageFileError(
            f"{file}: is no TIFF ({format}), and no region of it can be read alone; save it as TIFF with tiles"
        )
    return ScannerSlide(file)
