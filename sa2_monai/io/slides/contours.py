# SPDX-License-Identifier: Apache-2.0
"""Outlines of objects in a mask that comes band by band: what crosses the borders of bands is one polygon.

Each band is traced by scikit-image's ``find_contours`` (marching squares) together with the last row of the one before.
An outline that leaves a band ends on its last row, between two pixels of which one belongs to the object; there, at the
same point, it goes on in the next band. So the ends are joined exactly, and what is traced in bands is what would be
traced in one piece. Memory holds the outlines that are still open.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from skimage.measure import find_contours, points_in_poly

__all__ = ["Outline", "OutlineTracer"]


@dataclass
class Outline:
    """An object: closed lines of points (row, column), pixel centres on whole numbers; the first point is the last.

    Attributes:
        shell: (N, 2), around the object.
        holes: around what is not of it inside of it.
    """

    shell: np.ndarray
    holes: list[np.ndarray] = field(default_factory=list)


class OutlineTracer:
    """Trace the objects of a mask; pixels that touch at a corner alone belong to two objects.

    Args:
        width: columns of the mask.
    """

    def __init__(self, width: int) -> None:
        self._last = np.zeros((1, width + 2), dtype=np.float32)
        self._row = 0
        self._by_start: dict[tuple[float, float], deque[np.ndarray]] = {}
        self._by_end: dict[tuple[float, float], deque[np.ndarray]] = {}
        self._holes: list[np.ndarray] = []

    def add(self, band: np.ndarray) -> list[Outline]:
        """Trace the next rows.

        Args:
            band: bool (rows, width).

        Returns:
            The objects that have ended in it.
        """
        padded = np.zeros((len(band) + 1, band.shape[1] + 2), dtype=np.float32)
        padded[:1] = self._last
        padded[1:, 1:-1] = band
        closed: list[np.ndarray] = []
        if padded.any():
            for line in find_contours(padded, 0.5):
                line += (self._row - 1, -1)
                if (line[0] == line[-1]).all():
                    closed.append(line)
                else:
                    closed += self._join(line)
        self._last, self._row = padded[-1:], self._row + len(band)
        return self._objects(closed)

    @property
    def open_holes(self) -> int:
        """Holes whose object has not ended yet; they are held until it does."""
        return len(self._holes)

    def finish(self) -> list[Outline]:
        """Objects that touch the last row."""
        return self.add(np.zeros((1, self._last.shape[1] - 2), dtype=bool))

    def _join(self, line: np.ndarray) -> list[np.ndarray]:
        """Put an open line to the ones whose ends it meets; the whole line, where that closes it."""
        start, end = _key(line[0]), _key(line[-1])
        chain = self._by_end.pop(start, None)
        if chain is None:
            chain = deque([line])
            self._by_start[start] = chain
        else:
            chain.append(line[1:])
        if self._by_start.get(end) is chain:
            del self._by_start[end]
            return [np.concatenate(chain)]
        after = self._by_start.pop(end, None)
        if after is None:
            self._by_end[end] = chain
            return []
        last = _key(after[-1][-1])
        after[0] = after[0][1:]
        chain.extend(after)
        self._by_end[last] = chain
        return []

    def _objects(self, closed: list[np.ndarray]) -> list[Outline]:
        """Shells with their holes. A hole ends before the object around it, an object in a hole before the hole."""
        found = []
        for line in sorted(closed, key=lambda one: float(one[:, 0].max())):
            if _area(line) < 0:
                self._holes.append(line)
                continue
            outline = Outline(line)
            low, high = line.min(axis=0), line.max(axis=0)
            kept: list[np.ndarray] = []
            for hole in self._holes:
                inside = (hole[0] > low).all() and (hole[0] < high).all() and points_in_poly(hole[:1], line)[0]
                (outline.holes if inside else kept).append(hole)
            self._holes = kept
            found.append(outline)
        return found


def _key(point: np.ndarray) -> tuple[float, float]:
    return float(point[0]), float(point[1])


def _area(line: np.ndarray) -> float:
    """Twice the area, negative of a hole: ``find_contours`` goes round holes in the other direction."""
    rows, columns = line[:, 0], line[:, 1]
    return float(np.dot(rows[1:], columns[:-1]) - np.dot(rows[:-1], columns[1:]))
