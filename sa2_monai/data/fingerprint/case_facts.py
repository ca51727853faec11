# SPDX-License-Identifier: Apache-2.0
"""What is measured of one case."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from sa2_monai.data.fingerprint.arrays import CaseArrays
from sa2_monai.data.fingerprint.colours import ImageColours, measure_colours
from sa2_monai.data.fingerprint.facts import Labels
from sa2_monai.data.fingerprint.intensities import draw_values
from sa2_monai.data.fingerprint.labels import NO_CLASS, class_map
from sa2_monai.data.fingerprint.objects import SliceObjects, is_one_piece, measure_objects, touching_share
from sa2_monai.io.label_values import NONZERO

__all__ = ["CaseFacts", "ClassOfCase", "look_at_case"]

_VALUES = 20_000  # intensities of a case that are kept, and as many of each class
_SLICES = 24  # of a volume whose objects are looked at


@dataclass
class ClassOfCase:
    """One class in one case: pixels, slices that show it, intensities, objects."""

    pixels: int
    slices: int
    values: np.ndarray
    objects: list[SliceObjects] = field(default_factory=list)
    touching: list[float] = field(default_factory=list)
    one_piece: bool = True


@dataclass
class CaseFacts:
    """One case: size (rows, columns, slices), channels, intensities, colours of an image, its classes by number."""

    size: tuple[int, int, int]
    channels: int
    pixels: int
    values: np.ndarray
    colours: ImageColours | None
    classes: dict[int, ClassOfCase]


def look_at_case(case: CaseArrays, labels: Labels, rng: np.random.Generator) -> CaseFacts:
    """Measure one case.

    Args:
        case: its arrays.
        labels: the meaning of its label values.
        rng: draws the values that are kept.
    """
    classes = class_map(case.label, labels)
    brightness = case.image.mean(axis=0)
    places = ndimage.find_objects(np.where(classes == NO_CLASS, 0, classes), len(labels.class_names) - 1)
    found = {0: _look_at_class(classes == 0, brightness, rng)}
    for index, place in enumerate(places, start=1):
        inside = place or (slice(0), slice(0), slice(0))  # nothing beyond the box of a class is of interest
        found[index] = _look_at_class(classes[inside] == index, brightness[inside], rng)
        if place is not None:
            instances = case.label if labels.label_values == NONZERO else case.instances
            _look_at_objects(found[index], classes[inside] == index, None if instances is None else instances[inside])
    return CaseFacts(
        size=(int(classes.shape[0]), int(classes.shape[1]), int(classes.shape[2])),
        channels=len(case.image),
        pixels=int((classes != NO_CLASS).sum()),
        values=draw_values(brightness, _VALUES, rng),
        colours=_colours(case, classes),
        classes=found,
    )


def _look_at_class(mask: np.ndarray, brightness: np.ndarray, rng: np.random.Generator) -> ClassOfCase:
    slices = int(mask.any(axis=(0, 1)).sum())
    return ClassOfCase(int(mask.sum()), slices, draw_values(brightness[mask], _VALUES, rng))


def _look_at_objects(found: ClassOfCase, mask: np.ndarray, instances: np.ndarray | None) -> None:
    shows = np.flatnonzero(mask.any(axis=(0, 1)))
    found.one_piece = is_one_piece(mask)
    for place in shows[:: -(-len(shows) // _SLICES)]:
        numbers = None if instances is None else instances[..., place]
        objects = measure_objects(mask[..., place], numbers)
        if objects is not None:
            found.objects.append(objects)
        if numbers is not None:
            found.touching.append(touching_share(np.where(mask[..., place], numbers, 0)))


def _colours(case: CaseArrays, classes: np.ndarray) -> ImageColours | None:
    if not case.bits:
        return None
    structures = (classes[..., 0] > 0) & (classes[..., 0] != NO_CLASS)
    return measure_colours(np.moveaxis(case.image[..., 0], 0, -1), structures, case.bits)
