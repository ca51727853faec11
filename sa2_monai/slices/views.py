# SPDX-License-Identifier: Apache-2.0
"""How a slice reaches a network and how its scores come back: the three views of a volume.

A view stands between slices of one size and the network: :meth:`PlainView.enter` brings slices onto the network's grid,
:meth:`PlainView.leave` brings a plane of scores back. All of it works on batches, on the device of the slices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from sa2_monai.slices.bicubic_resize import resize_bicubic, resize_bilinear
from sa2_monai.slices.constants import constant_on
from sa2_monai.slices.spline_resize import resize_nearest, resize_spline

__all__ = ["RESIZES", "PaperView", "PlainView", "WholeView", "WindowsView", "first_maximum", "linear_matrix"]


def first_maximum(planes: Iterable[torch.Tensor], num_classes: int) -> torch.Tensor:
    """Class with the highest score, the first one of equals, from scores that come class by class.

    Only one plane of scores lives at a time, and on a CPU this is several times as fast as ``argmax`` over the classes.
    On an accelerator ``argmax`` is: one kernel in place of three for each class.

    Args:
        planes: scores of class 0, 1, ..., each (B, 1, H, W).
        num_classes: their number.

    Returns:
        Class indices (B, 1, H, W), ``uint8``, ``int16`` above 256 classes.
    """
    remaining = iter(planes)
    best = next(remaining).clone()
    labels = torch.zeros_like(best, dtype=_label_dtype(num_classes))
    for index in range(1, num_classes):
        plane = next(remaining)
        labels.masked_fill_(plane > best, index)
        torch.maximum(best, plane, out=best)
        del plane  # before the next one is made
    return labels


def _label_dtype(num_classes: int) -> torch.dtype:
    return torch.uint8 if num_classes <= 256 else torch.int16


@lru_cache(maxsize=64)
def linear_matrix(n: int, m: int, step: float) -> np.ndarray:
    """Matrix of linear interpolation: output sample ``o`` lies at ``o * step`` of the input, held inside its ends.

    This is the sampling of MONAI's ``Spacing(mode="bilinear", padding_mode="border")`` along one axis.

    Args:
        n: samples of the input.
        m: samples of the output.
        step: distance of output samples in units of the input's.

    Returns:
        Read-only array (m, n), ``float32``; the result is shared by all callers.
    """
    position = np.clip(np.arange(m) * step, 0, n - 1)
    low = np.floor(position).astype(np.int64)
    weight = position - low
    matrix = np.zeros((m, n), dtype=np.float32)
    np.add.at(matrix, (np.arange(m), low), 1 - weight)
    np.add.at(matrix, (np.arange(m), np.minimum(low + 1, n - 1)), weight)
    matrix.setflags(write=False)
    return matrix


def _bilinear(images: torch.Tensor, size: Sequence[int], align_corners: bool = False) -> torch.Tensor:
    """Bilinear resize without smoothing, as ``Resized(mode="bilinear", align_corners=False)`` does in training."""
    if images.shape[-2:] == torch.Size(size):
        return images
    return F.interpolate(images, size=tuple(size), mode="bilinear", align_corners=align_corners)


#: Ways of bringing a whole slice (B, C, H, W), ``float32``, to the size of the network.
RESIZES: dict[str, Callable[[torch.Tensor, Sequence[int]], torch.Tensor]] = {
    "spline": resize_spline,
    "bilinear": _bilinear,
    "antialiased": resize_bilinear,
    "bicubic": resize_bicubic,
}


class PlainView:
    """Slices as they are, and scores as they are; what the other views have in common.

    Args:
        size: rows and columns of the slices.
    """

    def __init__(self, size: Sequence[int]) -> None:
        self.size = (int(size[0]), int(size[1]))

    def enter(self, slices: torch.Tensor) -> torch.Tensor:
        """Bring slices (B, C, H, W) of any dtype onto the network's grid, ``float32``."""
        return slices.to(torch.float32)

    def leave(self, plane: torch.Tensor) -> torch.Tensor:
        """Bring scores of one class, or of several (B, k, h, w), back to the size of the slices."""
        return plane

    def labels(self, scores: torch.Tensor) -> torch.Tensor:
        """Class indices (B, 1, H, W) from scores (B, K, h, w); one channel is a probability, cut at 0.5."""
        if scores.shape[1] == 1:
            return (self.leave(scores) >= 0.5).view(torch.uint8)
        if scores.device.type != "cpu":
            return self.leave(scores).argmax(dim=1, keepdim=True).to(_label_dtype(scores.shape[1]))
        planes = (self.leave(scores[:, index : index + 1]) for index in range(scores.shape[1]))
        return first_maximum(planes, scores.shape[1])


class WholeView(PlainView):
    """The whole slice at the size of training, probabilities back with the same corners, then the class.

    Args:
        size: rows and columns of the slices.
        roi_size: rows and columns at which the network was trained.
        resize: how slices are resized, one of :data:`RESIZES`.
    """

    def __init__(self, size: Sequence[int], roi_size: Sequence[int], resize: str = "spline") -> None:
        super().__init__(size)
        self.roi_size = (int(roi_size[0]), int(roi_size[1]))
        self.resize = resize

    def enter(self, slices: torch.Tensor) -> torch.Tensor:
        """Resize, the spline with a proper border; see :meth:`PlainView.enter`."""
        return RESIZES[self.resize](super().enter(slices), self.roi_size)

    def leave(self, plane: torch.Tensor) -> torch.Tensor:
        """Resize bilinearly; the spline keeps the corner pixels in place, the others the edges of the slice."""
        return _bilinear(plane, self.size, align_corners=self.resize == "spline")


class PaperView(WholeView):
    """The published order of operations, border defect included: resize, class, nearest sample back.

    Args:
        size: rows and columns of the slices.
        roi_size: rows and columns at which the network was trained.
        resize: how slices are resized, see :class:`WholeView`.
    """

    def enter(self, slices: torch.Tensor) -> torch.Tensor:
        """Resize, the spline with SciPy's cubic zoom; see :meth:`PlainView.enter`."""
        if self.resize != "spline":
            return super().enter(slices)
        # SciPy calculates in double precision and rounds at the end; a device without it comes close.
        exact = torch.float32 if slices.device.type == "mps" else torch.float64
        return resize_spline(slices.to(exact), self.roi_size, border="constant").to(torch.float32)

    def labels(self, scores: torch.Tensor) -> torch.Tensor:
        """Class at the network's size, then the nearest sample; see :meth:`PlainView.labels`."""
        labels = PlainView(self.size).labels(scores)
        if self.resize == "spline":
            return resize_nearest(labels, self.size, border="constant")
        return F.interpolate(labels.float(), size=self.size, mode="nearest-exact").to(labels.dtype)


class WindowsView(PlainView):
    """Slices at a chosen pixel size, for networks that look through windows; linear there and back.

    The grid is that of MONAI's ``Spacing``: the first pixel stays where it is.

    Args:
        size: rows and columns of the slices.
        spacing: millimetres per row and column step of the slices; only used with ``pixdim``.
        pixdim: wanted pixel size in mm; ``None`` keeps the slices as they are.
    """

    def __init__(self, size: Sequence[int], spacing: Sequence[float], pixdim: float | None = None) -> None:
        super().__init__(size)
        ratios = [1.0, 1.0] if pixdim is None else [pixdim / s for s in spacing]
        # A hair's breadth of difference over the whole slice is no reason to interpolate.
        self.steps = [1.0 if abs(r - 1) * n < 1e-3 else r for r, n in zip(ratios, self.size, strict=True)]
        inner = [round((n - 1) / step + 1) for n, step in zip(self.size, self.steps, strict=True)]
        self.inner = (inner[0], inner[1])
        if math.prod(self.inner) > 2**26:
            raise ValueError(
                f"pixdim {pixdim} mm makes slices of {self.inner[0]} x {self.inner[1]} pixels from {self.size[0]} x "
                f"{self.size[1]} at {spacing[0]:g} x {spacing[1]:g} mm. Correct pixdim or the spacing of the file."
            )

    def enter(self, slices: torch.Tensor) -> torch.Tensor:
        """Resample to ``pixdim``; see :meth:`PlainView.enter`."""
        return self._resample(super().enter(slices), self.inner, self.steps)

    def leave(self, plane: torch.Tensor) -> torch.Tensor:
        """Resample to the pixels of the slices."""
        return self._resample(plane, self.size, [1 / step for step in self.steps])

    def _resample(self, images: torch.Tensor, size: Sequence[int], steps: Sequence[float]) -> torch.Tensor:
        rows, columns = (
            None if step == 1 else constant_on(images.device, torch.float32, linear_matrix, n, m, step)
            for n, m, step in zip(images.shape[-2:], size, steps, strict=True)
        )
        with torch.autocast(images.device.type, enabled=False):
            out = images if columns is None else images @ columns.T
            return out if rows is None else rows @ out
