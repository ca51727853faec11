# SPDX-License-Identifier: Apache-2.0
"""A slide at the pixel size that the network was trained at: the level that is read, and how it is resampled."""

from __future__ import annotations

import math

import numpy as np
import torch

from sa2_monai.io.images.read import image_of
from sa2_monai.io.readers.images import unit_range
from sa2_monai.io.slides.slide import Slide

__all__ = ["AnalysedImage"]

# Scanners of one magnification differ by some per cent, and networks are trained with larger changes of size.
_SAME = 0.05


class AnalysedImage:
    """The image that is predicted: level 0, or, where both pixel sizes are known, the slide at that of the model.

    The coarsest level that is still as fine as the model's pixels is read. Up to 5 % of difference it is taken as it
    is; otherwise it is resampled linearly, with a filter as wide as the new pixels.

    Args:
        slide: open.
        channels: of the network, see :func:`sa2_monai.data.read_image`.
        channel_order: ``"RGB"`` or ``"BGR"``.
        wanted: micrometres per pixel that the model was trained at, ``None`` where they are not known.
        mpp: those of level 0, in place of what the file says.

    Attributes:
        height: rows of the image that is predicted.
        width: columns.
        downsample: pixels of level 0 per pixel of it (y, x).
        mpp: micrometres per pixel of it (y, x), ``None`` where they are not known.
        text: which level this is and why, in a line.
    """

    def __init__(
        self,
        slide: Slide,
        channels: int,
        channel_order: str = "RGB",
        wanted: float | None = None,
        mpp: float | None = None,
    ) -> None:
        self.slide = slide
        self._channels = channels
        self._order = channel_order
        own = slide.mpp if mpp is None else (mpp, mpp)
        self._level = 0
        ratios = [1.0, 1.0]
        if wanted is not None and own is not None:
            ratios = [_snapped(wanted / one, 1.0) for one in own]
            for level in range(len(slide.levels)):
                finer = zip(slide.downsample(level), ratios, strict=True)
                if all(downsample <= ratio * (1 + _SAME) for downsample, ratio in finer):
                    self._level = level
        downsample = slide.downsample(self._level)
        self._steps = [_snapped(ratio / one, 1.0) for ratio, one in zip(ratios, downsample, strict=True)]
        size = slide.levels[self._level]
        self.height, self.width = (
            max(1, round(n / step)) for n, step in zip((size.height, size.width), self._steps, strict=True)
        )
        self.downsample = (downsample[0] * self._steps[0], downsample[1] * self._steps[1])
        self.mpp = None if own is None else (own[0] * self.downsample[0], own[1] * self.downsample[1])
        self.text = self._describe(own, wanted)

    def read(self, top: int, left: int, height: int, width: int) -> torch.Tensor:
        """A region, intensities in [0, 1] as a normal prediction reads them.

        Args:
            top: first row.
            left: first column.
            height: number of rows.
            width: number of columns.

        Returns:
            (C, height, width), ``float32``.

        Raises:
            ValueError: a damaged tile, or an image that the network cannot take.
        """
        if self._steps == [1.0, 1.0]:
            return self._read(top, left, height, width)
        size = self.slide.levels[self._level]
        first, rows = _sampling(top, height, self._steps[0], size.height)
        begin, columns = _sampling(left, width, self._steps[1], size.width)
        region = self._read(first, begin, rows.shape[1], columns.shape[1])
        return rows @ region @ columns.T

    def _read(self, top: int, left: int, height: int, width: int) -> torch.Tensor:
        path = self.slide.path
        samples = self.slide.read(self._level, top, left, height, width)
        array = unit_range(image_of(samples, path, self._channels, self._order), path)
        return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))

    def _describe(self, own: tuple[float, float] | None, wanted: float | None) -> str:
        first = self.slide.levels[0]
        found = f"{first.width} x {first.height} pixels"
        if own is None or wanted is None:
            missing = [text for text, value in (("the slide", own), ("the model", wanted)) if value is None]
            known = f" at {own[1]:g} µm" if own else f", the model at {wanted:g} µm" if wanted else ""
            return f"{found}{known}; level 0 is used: the pixel size of {' and '.join(missing)} is not known"
        resampled = "" if self._steps == [1.0, 1.0] else ", resampled"
        return (
            f"{found} at {own[1]:g} µm, the model at {wanted:g} µm; level {self._level} is used{resampled}: "
            f"{self.width} x {self.height} pixels"
        )


def _snapped(value: float, target: float) -> float:
    return target if abs(value / target - 1) <= _SAME else value


def _sampling(first: int, count: int, step: float, length: int) -> tuple[int, torch.Tensor]:
    """Where to begin to read, and the weights (count, pixels read) of pixels ``first`` and following."""
    centres = (np.arange(first, first + count) + 0.5) * step - 0.5
    radius = max(1.0, step)
    low = max(0, math.floor(centres[0] - radius))
    high = min(length, math.ceil(centres[-1] + radius) + 1)
    low = min(low, length - 1)
    distance = np.abs(np.clip(centres, 0, length - 1)[:, None] - np.arange(low, max(high, low + 1))[None])
    weights = np.maximum(0, 1 - distance / radius)
    return low, torch.from_numpy((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))
