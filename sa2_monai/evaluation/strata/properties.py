# SPDX-License-Identifier: Apache-2.0
"""What is measured of a case for its strata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["PROPERTIES", "STRATA", "Property", "check_strata", "properties_of", "unit_of"]


class Property(NamedTuple):
    """A number that a case has before any model has seen it.

    Attributes:
        stratum: option that asks for it.
        title: in tables.
        definition: in words, after "by".
        unit: of images without spacing; empty where there is none.
    """

    stratum: str
    title: str
    definition: str
    unit: str = ""


#: By column of ``strata_per_case.csv``.
PROPERTIES = {
    "largest_object": Property("size", "largest object", "share of the image that the largest object covers", "%"),
    "size_spread": Property(
        "size_spread", "spread of sizes", "coefficient of variation of the sizes of the objects of a case"
    ),
    "density": Property("crowding", "objects per area", "number of objects by area of the image", "per 10,000 px"),
    "touching": Property("crowding", "touching", "share of the objects' boundary that touches another object"),
    "blur": Property("quality", "blur", "perceptual blur of Crété-Roffet, 0 sharp to 1 blurred"),
    "contrast": Property("quality", "contrast", "standard deviation of the intensities, in shares of their range"),
    "noise": Property("quality", "noise", "estimated standard deviation of the noise, in shares of the range"),
}
#: What can be asked for.
STRATA = tuple(dict.fromkeys(found.stratum for found in PROPERTIES.values()))
#: Units of ``density`` by dimensions and unit of the spacing, and area or volume of each.
DENSITIES = {
    (2, "px"): ("per 10,000 px", 1e4),
    (2, "mm"): ("per mm²", 1.0),
    (3, "px"): ("per million voxels", 1e6),
    (3, "mm"): ("per ml", 1e3),
}


def check_strata(names: Sequence[str] | str | None, protocol: str) -> tuple[str, ...]:
    """Check the option ``strata`` and return it in the order of :data:`STRATA`.

    Raises:
        ValueError: for an unknown name, or the paper protocol.
    """
    if not names:
        return ()
    wanted = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in wanted if name not in STRATA]
    if unknown:
        raise ValueError(f"strata names {unknown}, expected some of {', '.join(STRATA)}")
    if protocol != "clinical":
        raise ValueError("strata belongs to the clinical protocol; the paper families have their published subsets")
    return tuple(name for name in STRATA if name in wanted)


def properties_of(strata: Sequence[str]) -> list[str]:
    """Names of the properties of some strata."""
    return [name for name, found in PROPERTIES.items() if found.stratum in strata]


def unit_of(name: str, dimensions: int, unit: str) -> str:
    """Unit of a property.

    Args:
        name: one of :data:`PROPERTIES`.
        dimensions: of the cases.
        unit: of their spacing, ``"px"`` or ``"mm"``.
    """
    return DENSITIES[dimensions, unit][0] if name == "density" else PROPERTIES[name].unit
