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
_ROWS = 256  # that are traced at once: find_contours works in double precision


class PolygonFile:
    """Polygons of a label map that comes band by band, written at the end.

    One feature per object: pixels of a class that are connected by their sides. Coordinates are pixels of level 0,
    (0, 0) the upper left corner of the image.

    Args:
        class_names: by class number; the background, 0, gets no polygons.
        width: columns of the label map.
        downsample: pixels of level 0 per pixel of the label map (y, x).
        tolerance: how far a line may be from the outline at most when points are left out (Douglas-Peucker), in pixels
            of the label map; 0 keeps all.
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
        self._lines = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  closed by save

    @property
    def overflown(self) -> bool:
        """Whether there were more objects than the limit; their polygons are not kept."""
        return self.count > self.limit

    def add(self, band: np.ndarray) -> None:
        """Take the next rows.

        Args:
            band: class numbers (rows, width).
        """
        for top in range(0, len(band), _ROWS):
            part = band[top : top + _ROWS]
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
        with self._lines as lines:
            if self.overflown:
                return False
            lines.seek(0)

            def write(file: BinaryIO) -> None:
                file.write(b'{"type": "FeatureCollection", "features": [\n')
                shutil.copyfileobj(lines, file)
                file.write(b"\n]}\n")

            atomic_write(path, write)
        return True

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
        fewer = approximate_polygon(line, self.tolerance) if self.tolerance else line
        kept = fewer if len(fewer) >= 4 else line
        y, x = ((kept[:, axis] + 0.5) * self.downsample[axis] for axis in (0, 1))
        return np.stack([x, y], axis=1).round(2).tolist()  # type: ignore[no-any-return]
