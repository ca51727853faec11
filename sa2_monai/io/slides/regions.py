# SPDX-License-Identifier: Apache-2.0
"""The regions of a slide that a prediction is confined to: a rectangle, or the polygons of a GeoJSON file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from skimage.draw import polygon2mask

__all__ = ["Regions", "read_regions"]

_RECTANGLE = re.compile(r"\s*(-?\d+)\s*,\s*(-?\d+)\s*,\s*(-?\d+)\s*,\s*(-?\d+)\s*")
_HINT = "give X,Y,W,H in pixels of level 0, as in 1000,2000,512,512, or a GeoJSON file of polygons"


@dataclass(frozen=True)
class Regions:
    """Polygons in pixels of level 0.

    Attributes:
        source: what they were read from, for messages.
        polygons: each a list of rings (N, 2) of (x, y), the shell and its holes.
        rectangle: they are one that was given by numbers, which has to lie inside of the slide.
    """

    source: str
    polygons: list[list[np.ndarray]]
    rectangle: bool = False

    def check(self, height: int, width: int) -> None:
        """Check that the regions lie on the slide.

        Args:
            height: rows of level 0.
            width: columns of level 0.

        Raises:
            ValueError: a rectangle that reaches over the border, or a polygon that lies outside altogether.
        """
        for rings in self.polygons:
            (left, top), (right, bottom) = rings[0].min(axis=0), rings[0].max(axis=0)
            outside = right <= 0 or bottom <= 0 or left >= width or top >= height
            over = left < 0 or top < 0 or right > width or bottom > height
            if outside or (self.rectangle and over):
                raise ValueError(
                    f"{self.source}: reaches from ({left:g}, {top:g}) to ({right:g}, {bottom:g}), but the slide has "
                    f"{width} x {height} pixels; {_HINT}"
                )

    def mask(self, top: int, left: int, height: int, width: int, downsample: tuple[float, float]) -> np.ndarray:
        """Which pixels of a part of the analysed image have their centre in a region.

        Args:
            top: first row of the part.
            left: first column.
            height: number of rows.
            width: number of columns.
            downsample: pixels of level 0 per pixel of the analysed image (y, x).

        Returns:
            bool (height, width).
        """
        found = np.zeros((height, width), dtype=bool)
        for rings in self.polygons:
            inside = np.zeros_like(found)
            for ring in rings:  # a hole takes away what the shell has
                rows = ring[:, 1] / downsample[0] - 0.5 - top
                columns = ring[:, 0] / downsample[1] - 0.5 - left
                near = rows.min() <= height and columns.min() <= width and rows.max() >= -1 and columns.max() >= -1
                if near:
                    inside ^= polygon2mask((height, width), np.stack([rows, columns], axis=1))
            found |= inside
        return found


def read_regions(text: str) -> Regions:
    """Regions as they are typed.

    Args:
        text: ``X,Y,W,H`` (left, top, width, height) in pixels of level 0, or the name of a GeoJSON file with polygons,
            as QuPath exports them.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: neither, or a file without polygons.
    """
    match = _RECTANGLE.fullmatch(text)
    if match:
        x, y, width, height = (int(part) for part in match.groups())
        if width < 1 or height < 1:
            raise ValueError(f"--roi {text}: has no pixels; {_HINT}")
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        return Regions(f"--roi {text}", [[np.asarray(corners, dtype=np.float64)]], rectangle=True)
    path = Path(text)
    if not path.is_file():
        kind = FileNotFoundError if path.suffix else ValueError
        raise kind(f"--roi {text}: is no rectangle and no file; {_HINT}")
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        polygons = [[_ring(ring) for ring in rings] for rings in _polygons(document)]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path}: is no GeoJSON file with polygons ({error}); {_HINT}") from error
    if not polygons:
        raise ValueError(f"{path}: holds no polygons; {_HINT}")
    return Regions(str(path), polygons)


def _polygons(node: Any) -> Iterator[list[Any]]:
    """Rings of all polygons below a node; points and lines have no inside and are passed over."""
    if isinstance(node, list):  # QuPath may export a bare list of features
        for one in node:
            yield from _polygons(one)
    elif node["type"] == "FeatureCollection":
        yield from _polygons(node["features"])
    elif node["type"] == "Feature":
        yield from _polygons(node["geometry"])
    elif node["type"] == "GeometryCollection":
        yield from _polygons(node["geometries"])
    elif node["type"] == "Polygon":
        yield node["coordinates"]
    elif node["type"] == "MultiPolygon":
        yield from node["coordinates"]


def _ring(points: Any) -> np.ndarray:
    ring = np.asarray([point[:2] for point in points], dtype=np.float64)
    if ring.ndim != 2 or len(ring) < 3 or not all(map(math.isfinite, ring.ravel())):
        raise ValueError("a polygon of less than three points")
    return ring
