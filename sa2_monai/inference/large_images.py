# SPDX-License-Identifier: Apache-2.0
"""Slices so large that their intensities are not made all at once: 2D images of many megapixels.

A photograph of 6000 x 6000 pixels takes 108 MB as it is stored, 432 MB as intensities, and the scores of its classes as
much again. What needs a part of it gets this part: a window its own pixels, a resize one channel after the other, and
the sums of overlapping windows live as long as a window touches their rows. The arithmetic is that of the whole slice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from monai.data.utils import dense_patch_slices

from sa2_monai.slices.constants import blending_weights
from sa2_monai.slices.stored_volume import StoredVolume
from sa2_monai.slices.transfer import to_device
from sa2_monai.slices.views import PlainView

__all__ = ["enter_by_channels", "is_large", "scores_by_rows"]

LARGE = 2**22  # pixels
#: Bands end at multiples of so many rows: vectorised functions have another last bit for the few values at the end of a
#: tensor that do not fill a vector.
ROWS = 64


def is_large(volume: StoredVolume, axis: int) -> bool:
    """Whether a slice has more than four million pixels.

    Args:
        volume: with the slices.
        axis: along which they lie, 0 to 2.
    """
    return volume.along(axis)[0, 0].numel() > LARGE


def enter_by_channels(
    volume: StoredVolume, view: PlainView, axis: int, start: int, stop: int, device: torch.device
) -> torch.Tensor:
    """Slices on the grid of the network, as ``view.enter`` brings all of their channels there.

    Args:
        volume: with the slices.
        view: how the network sees them; it treats channels alike.
        axis: along which they lie.
        start: the first slice.
        stop: the one behind the last.
        device: where they are wanted.
    """
    slices = volume.along(axis)[start:stop]
    channels = (to_device(slices[:, number : number + 1], device) for number in range(slices.shape[1]))
    return torch.cat([view.enter(volume.intensities(channel, axis, start)) for channel in channels], dim=1)


def scores_by_rows(
    cut: Callable[[slice, slice], torch.Tensor],
    size: Sequence[int],
    roi_size: Sequence[int],
    batch_size: int,
    overlap: float,
    network: Callable[[torch.Tensor], torch.Tensor],
) -> Iterator[tuple[int, torch.Tensor]]:
    """Logits of overlapping windows, blended as ``monai.inferers.sliding_window_inference`` does, in bands of rows.

    The windows, their order, their batches and all sums are the same; only that rows are given away as soon as no
    further window touches them.

    Args:
        cut: gives the pixels (1, C, height, width) of rows and columns.
        size: rows and columns of the image, no smaller than a window.
        roi_size: of a window.
        batch_size: windows that go through the network together.
        overlap: of neighbours, in units of the window.
        network: for windows.

    Yields:
        The first row, and the logits (1, K, rows, columns) of a band.
    """
    intervals = [n if n == m else max(int(n * (1 - overlap)), 1) for n, m in zip(roi_size, size, strict=True)]
    windows = dense_patch_slices(size, roi_size, intervals)
    weights, sums, counts, top = torch.zeros(0), torch.zeros(0), torch.zeros(0), 0
    for first in range(0, len(windows), batch_size):
        group = windows[first : first + batch_size]
        images = torch.cat([cut(*window) for window in group])
        logits = network(images)
        if sums.numel() == 0:
            weights = blending_weights((roi_size[0], roi_size[1]), images.device)
            sums, counts = (logits.new_zeros(1, number, 0, size[1]) for number in (logits.shape[1], 1))
        ready = (group[0][0].start - top) // ROWS * ROWS
        height = group[-1][0].stop - top - ready
        if ready:
            yield top, sums[:, :, :ready] / counts[:, :, :ready]
            top += ready
        missing = max(height - (sums.shape[2] - ready), 0)
        sums, counts = (
            torch.cat([part[:, :, ready:], part.new_zeros(1, part.shape[1], missing, size[1])], dim=2)
            for part in (sums, counts)
        )
        for (down, across), scores in zip(group, logits * weights, strict=True):
            rows = slice(down.start - top, down.stop - top)
            sums[0][:, rows, across] += scores
            counts[0, 0, rows, across] += weights
    yield top, sums / counts
