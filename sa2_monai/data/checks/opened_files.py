# SPDX-License-Identifier: Apache-2.0
"""What the checks need to know of the image and label files of a data set: each is opened once, whoever asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sa2_monai.data.checks.label_counts import count_values
from sa2_monai.io.causes import case_error
from sa2_monai.io.images.read import read_image, read_label
from sa2_monai.io.preprocessed import read_preprocessed
from sa2_monai.io.problems import CASE_ERRORS
from sa2_monai.io.volumes.read import load_volume

__all__ = ["ImageFacts", "LabelFacts", "OpenedFiles"]


class ImageFacts(NamedTuple):
    """What an image file holds.

    Attributes:
        shape: of the array: (rows, columns, channels), (x, y, z), or that of a preprocessed slice or volume.
        one_colour: all pixels are equal; of volumes and preprocessed files the same as ``constant``.
        constant: all values are equal.
        remarks: what is doubtful in the header of a volume.
    """

    shape: tuple[int, ...]
    one_colour: bool
    constant: bool
    remarks: tuple[str, ...]


class LabelFacts(NamedTuple):
    """What a label file holds.

    Attributes:
        shape: of the array, as that of the image without its channels.
        counts: number of pixels or voxels by value.
        remarks: what is doubtful in the header of a volume.
    """

    shape: tuple[int, ...]
    counts: Counter[float]
    remarks: tuple[str, ...]


class OpenedFiles:
    """Facts of image and label files, kept as long as this object.

    Args:
        files: kind of files: ``"images"``, ``"volumes"`` or ``"preprocessed"``.
    """

    def __init__(self, files: str) -> None:
        self.files = files
        self._found: dict[tuple[str, Any], ImageFacts | LabelFacts | str] = {}

    def image(self, path: str, channels: int | None = None) -> ImageFacts:
        """Facts of an image.

        Args:
            path: the file.
            channels: of a 2D image, see :func:`~sa2_monai.data.read_image`.

        Raises:
            ValueError: it cannot be read; the message names it.
        """
        found = self._once((path, channels), lambda: self._open_image(path, channels))
        assert isinstance(found, ImageFacts)
        return found

    def label(self, path: str) -> LabelFacts:
        """Facts of a label map.

        Args:
            path: the file.

        Raises:
            ValueError: it cannot be read; the message names it.
        """
        found = self._once((path, "label"), lambda: self._open_label(path))
        assert isinstance(found, LabelFacts)
        return found

    def _once(self, key: tuple[str, Any], read: Callable[[], ImageFacts | LabelFacts]) -> ImageFacts | LabelFacts:
        if key not in self._found:
            try:
                self._found[key] = read()
            except CASE_ERRORS as error:  # of which only the text is kept: its traceback holds the array
                self._found[key] = case_error(error, [key[0]])
        found = self._found[key]
        if isinstance(found, str):
            raise ValueError(found)
        return found

    def _open_image(self, path: str, channels: int | None) -> ImageFacts:
        if self.files == "images":
            array = read_image(path, channels)
            one_colour = bool((array == array[0, 0]).all())
            return ImageFacts(array.shape, one_colour, one_colour and len(np.unique(array[0, 0])) == 1, ())
        remarks: tuple[str, ...] = ()
        if self.files == "volumes":
            volume = load_volume(path)
            array, remarks = volume.array, volume.header.remarks
        else:
            array = read_preprocessed(path, "image")
        constant = bool(array.min() == array.max())
        return ImageFacts(array.shape, constant, constant, remarks)

    def _open_label(self, path: str) -> LabelFacts:
        if self.files == "volumes":
            volume = load_volume(path, label=True)
            return LabelFacts(volume.array.shape, count_values(volume.array), volume.header.remarks)
        array = read_label(path, colours=True) if self.files == "images" else read_preprocessed(path, "label")
        return LabelFacts(array.shape, count_values(array), ())
