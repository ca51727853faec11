# SPDX-License-Identifier: Apache-2.0
"""Objects of a label map as polygons in a GeoJSON file, as QuPath imports them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
from skimage.measure import approximate_polygon

from sa2_monai.io.atomic import atomic_write
from sa2_monai.io.palette import class_colour
from sa2_monai.io.slides.contours import Outline, OutlineTracer

__all__ = ["PolygonFile"]

_IN_MEMORY = 2**24  # bytes of finished polygons; what is more goes to a temporary file
_MOST_HOLES = 20_000  # of objects that have not ended: a sponge over the whole slide would fill the memory
_AT_ONCE = 2**20  # pixels that are traced at once: find_contours holds a tuple of numbers per piece of outline


class PolygonFile:
    """Polygons of a label map that comes band by band, written at the end; a context manager.

    One feature per object: pixels of a class that are connected by their sides. Coordinates are pixels of level 0,
    (0, 0) the upper left corner of the image.

    Args:
        class_names: by class number; the background, 0, gets no polygons.
        width: columns of the label map.
        downsample: pixels of level 0 per pixel of the label map (y, x).
        tolerance: how far a line may be from the outline at most when points are left out (Douglas-Peucker), in pixels
            of the label map; 0 keeps all corners.
        limit: number of objects above which there is no file.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        width: int,
        downsample: tuple[float, float] = (1.0, 1.0),
        tolerance: float = 0.5,
        limit: int = 1_000_000,
    ) -> None:
        self.class_names = list(class_names)
        self.downsample = downsample
        self.tolerance = tolerance
        self.limit = limit
        self.count = 0
        self._tracers = {number: OutlineTracer(width) for number in range(1, len(self.class_names))}
        self._lines = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  closed by __exit__

    @property
    def overflown(self) -> bool:
        """Whether there were more objects than the limit, or one with too many holes; no polygons are kept then."""
        return self.count > self.limit or any(one.open_holes > _MOST_HOLES for one in self._tracers.values())

    def add(self, band: np.ndarray) -> None:
        """Take the next rows.

        Args:
            band: class numbers (rows, width).
        """
        rows = max(1, _AT_ONCE // band.shape[1])
        for top in range(0, len(band), rows):
            part = band[top : top + rows]
            for number, tracer in self._tracers.items():
                if not self.overflown:
                    self._keep(number, tracer.add(part == number))

    def save(self, path: str | os.PathLike[str]) -> bool:
        """Write the file, whole or not at all.

        Args:
            path: the file.

        Returns:
            Whether there is one: ``False`` above the limit.

        Raises:
            OSError: when it cannot be written.
        """
        for number, tracer in self._tracers.items():
            if not self.overflown:
                self._keep(number, tracer.finish())
        if self.overflown:
            return False
        self._lines.seek(0)

        def write(file: BinaryIO) -> None:
            file.write(b'{"type": "FeatureCollection", "features": [\n')
            shutil.copyfileobj(self._lines, file)
            file.write(b"\n]}\n")

        atomic_write(path, write)
        return True

    def __enter__(self) -> PolygonFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()

    def _keep(self, number: int, outlines: list[Outline]) -> None:
        for outline in outlines:
            self.count += 1
            if self.overflown:
                return
            rings = [self._ring(line) for line in (outline.shell, *outline.holes)]
            feature = {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": rings},
                "properties": {
                    "objectType": "detection",
                    "classification": {"name": self.class_names[number], "color": list(class_colour(number))},
                },
            }
            line = json.dumps(feature, ensure_ascii=False, separators=(",", ":")).encode()
            self._lines.write(b",\n" + line if self.count > 1 else line)

    def _ring(self, line: np.ndarray) -> list[list[float]]:
        """(x, y) from (row, column): the centre of a pixel lies half a pixel from its corner."""
        steps = np.diff(line, axis=0)
        corners = line[
            [True, *(steps[1:] != steps[:-1]).any(axis=1), True]
        ]  # what lies on a straight line is not needed
        fewer = approximate_polygon(corners, self.tolerance) if self.tolerance else corners
        kept = fewer if len(fewer) >= 4 else corners
        y, x = ((kept[:, axis] + 0.5) * self.downsample[axis] for axis in (0, 1))
        return np.stack([x, y], axis=1).round(2).tolist()  # type: ignore[no-any-return]
