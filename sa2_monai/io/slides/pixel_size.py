# SPDX-License-Identifier: Apache-2.0
"""Micrometres per pixel, as a TIFF tells them; a file that does not know them never gets a guess."""

from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree

__all__ = ["tiff_pixel_size"]

_MICROMETRE = ("µm", "μm", "um", "micron", "microns", "\\u00b5m")
_UNITS = {**dict.fromkeys(_MICROMETRE, 1.0), "nm": 1e-3, "mm": 1e3, "cm": 1e4}
_INCH, _CENTIMETRE = 2, 3
# Programs write 72 or 300 dots per inch into any file; nobody scans a slide at 25 micrometres per pixel.
_COARSEST = 25.0


def tiff_pixel_size(tiff: Any, page: Any) -> tuple[float, float] | None:
    """Size of a pixel of the largest level, (y, x).

    In this order: OME metadata, the description of an SVS file (``MPP = 0.25``), that of ImageJ, the tags of the
    resolution. The tags count up to 25 micrometres per pixel.

    Args:
        tiff: an open file of tifffile.
        page: directory of the largest level.

    Returns:
        Micrometres, or ``None`` where the file does not say them.
    """
    for found in (_ome(tiff, page), _svs(page), _imagej(tiff, page), _tags(page, None)):
        if found is not None and all(0 < one <= _COARSEST and math.isfinite(one) for one in found):
            return found
    return None


def _ome(tiff: Any, page: Any) -> tuple[float, float] | None:
    if not tiff.ome_metadata:
        return None
    try:
        root = ElementTree.fromstring(tiff.ome_metadata)
    except ElementTree.ParseError:
        return None
    for element in root.iter():
        found = element.attrib
        if not element.tag.endswith("}Pixels") or found.get("SizeX") != str(page.imagewidth):
            continue
        sizes = [_number(found.get(f"PhysicalSize{axis}")) for axis in "YX"]
        units = [_UNITS.get(found.get(f"PhysicalSize{axis}Unit", "µm").lower()) for axis in "YX"]
        if None not in sizes and None not in units:
            return sizes[0] * units[0], sizes[1] * units[1]  # type: ignore[operator]
    return None


def _svs(page: Any) -> tuple[float, float] | None:
    match = re.search(r"\bMPP\s*=\s*([0-9.]+)", page.description or "")
    size = _number(match[1]) if match else None
    return None if size is None else (size, size)


def _imagej(tiff: Any, page: Any) -> tuple[float, float] | None:
    unit = _UNITS.get(str((tiff.imagej_metadata or {}).get("unit", "")).lower())
    return None if unit is None else _tags(page, unit)


def _tags(page: Any, unit: float | None) -> tuple[float, float] | None:
    """Pixels per unit; without ``unit`` the unit of the tags."""
    sizes = []
    for name in ("YResolution", "XResolution"):
        tag = page.tags.get(name)
        value = tag.value if tag is not None else None
        if not isinstance(value, tuple) or len(value) != 2 or not value[0] or not value[1]:
            return None
        sizes.append(value[1] / value[0])
    if unit is None:
        tag = page.tags.get("ResolutionUnit")
        unit = {_INCH: 25400.0, _CENTIMETRE: 10000.0}.get(int(tag.value) if tag is not None else 1)
    return None if unit is None else (sizes[0] * unit, sizes[1] * unit)


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
