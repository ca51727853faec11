# SPDX-License-Identifier: Apache-2.0
"""What the checks need to know of the image and label files of a data set: each is opened once, whoever asks.

A file that an earlier check has opened, and that is what it was, is not opened again; see ``remembered``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sa2_monai.data.checks.label_counts import count_values
from sa2_monai.data.checks.remembered import RememberedFacts
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
        remembered: facts of earlier checks; ``None`` opens every file.
    """

    def __init__(self, files: str, remembered: RememberedFacts | None = None) -> None:
        self.files = files
        self._remembered = remembered
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

    def remember(self) -> None:
        """Keep what was found for the next check, where it is to be remembered."""
        if self._remembered is not None:
            self._remembered.save()

    def _once(self, key: tuple[str, Any], read: Callable[[], ImageFacts | LabelFacts]) -> ImageFacts | LabelFacts:
        if key not in self._found:
            try:
                self._found[key] = self._remembered_or(key, read)
            except CASE_ERRORS as error:  # of which only the text is kept: its traceback holds the array
                self._found[key] = case_error(error, [key[0]])
        found = self._found[key]
        if isinstance(found, str):
            raise ValueError(found)
        return found

    def _remembered_or(
        self, key: tuple[str, Any], read: Callable[[], ImageFacts | LabelFacts]
    ) -> ImageFacts | LabelFacts:
        if self._remembered is None:
            return read()
        path, what = key[0], f"{self.files} {key[1]}"
        state = self._remembered.state(path)
        known = self._remembered.find(path, what, state)
        if known is not None:
            return _of_json(known)
        found = read()
        self._remembered.add(path, what, state, _as_json(found))
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


def _as_json(facts: ImageFacts | LabelFacts) -> list[Any]:
    if isinstance(facts, ImageFacts):
        return [list(facts.shape), facts.one_colour, facts.constant, list(facts.remarks)]
    return [list(facts.shape), [list(pair) for pair in facts.counts.items()], list(facts.remarks)]


def _of_json(known: list[Any]) -> ImageFacts | LabelFacts:
    shape, *rest = known
    if len(rest) == 3:
        return ImageFacts(tuple(shape), rest[0], rest[1], tuple(rest[2]))
    return LabelFacts(tuple(shape), Counter(dict(rest[0])), tuple(rest[1]))
