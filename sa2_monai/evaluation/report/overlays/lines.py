# SPDX-License-Identifier: Apache-2.0
"""Outlines of label maps: where they run, where two of them run together, how they are dashed."""

from __future__ import annotations

import numpy as np

__all__ = ["dashes", "grown", "line_width", "outline", "together"]

_DASH, _GAP = 6, 8  # lengths; through the gaps the line of the prediction is seen where it lies below


def grown(mask: np.ndarray, width: int = 3) -> np.ndarray:
    """Every pixel of a mask as a square: 3 pixels around it, 2 with those above and on the left."""
    grown = mask.copy()
    for axis in (0, 1):
        before, behind = (np.moveaxis(grown, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        moved = behind.copy()
        if width == 3:
            behind |= before.copy()
        before |= moved
    return grown


def outline(labels: np.ndarray) -> np.ndarray:
    """Foreground pixels that touch another class, background included; the border of the image is no outline."""
    padded = np.pad(labels, 1, mode="edge")
    core = padded[1:-1, 1:-1]
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return (core != 0) & np.logical_or.reduce([n != core for n in neighbours])


def together(line_r: np.ndarray, r: np.ndarray, line_p: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Where the outlines of one class run together, a pixel apart at most, with the class on the same side of both."""
    found = np.zeros(r.shape, dtype=bool)
    for value in np.intersect1d(r[line_r], p[line_p]):
        in_r, in_p = r == value, p == value
        mine, other = line_r & in_r, line_p & in_p
        found |= mine & (grown(other & in_r) | (in_p & grown(other)))
        found |= other & (grown(mine & in_p) | (in_r & grown(mine)))
    return found


def dashes(labels: np.ndarray) -> np.ndarray:
    """Dashes along outlines: counted along the axis that an outline follows more than the other one."""
    padded = np.pad(labels, 1, mode="edge")
    across = (padded[:-2, 1:-1] != labels) | (padded[2:, 1:-1] != labels)
    # an outline is a staircase at this size; a step in the neighbourhood must not cut a dash in two
    across = grown(across)
    rows, columns = np.indices(labels.shape)
    return np.asarray(np.where(across, columns, rows) % (_DASH + _GAP) < _DASH)


def line_width(size: tuple[int, int], shape: tuple[int, ...]) -> int:
    """Lines are three pixels wide where the masks were enlarged, else two: there objects may be small."""
    return 3 if size[0] > shape[0] else 2
