# SPDX-License-Identifier: Apache-2.0
"""What is measured of one case."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sa2_monai.data.fingerprint.arrays import CaseArrays
from sa2_monai.data.fingerprint.colours import ImageColours, measure_colours
from sa2_monai.data.fingerprint.facts import Labels
from sa2_monai.data.fingerprint.intensities import draw_values
from sa2_monai.data.fingerprint.labels import class_map
from sa2_monai.data.fingerprint.objects import SliceObjects, is_one_piece, measure_objects, touching_share

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
    instances = case.label if labels.label_values == "nonzero" else case.instances
    brightness = case.image.mean(axis=0)
    return CaseFacts(
        size=(int(classes.shape[0]), int(classes.shape[1]), int(classes.shape[2])),
        channels=len(case.image),
        pixels=int((classes != 255).sum()),
        values=draw_values(brightness, _VALUES, rng),
        colours=_colours(case, classes),
        classes={
            index: _look_at_class(index, classes, brightness, instances, rng)
            for index in range(len(labels.class_names))
        },
    )


def _look_at_class(
    index: int, classes: np.ndarray, brightness: np.ndarray, instances: np.ndarray | None, rng: np.random.Generator
) -> ClassOfCase:
    mask = classes == index
    shows = np.flatnonzero(mask.any(axis=(0, 1)))
    found = ClassOfCase(int(mask.sum()), len(shows), draw_values(brightness[mask], _VALUES, rng))
    if index == 0 or len(shows) == 0:
        return found
    found.one_piece = is_one_piece(mask[..., shows[0] : shows[-1] + 1])
    for place in shows[:: -(-len(shows) // _SLICES)]:
        numbers = None if instances is None else instances[..., place]
        objects = measure_objects(mask[..., place], numbers)
        if objects is not None:
            found.objects.append(objects)
        if numbers is not None:
            found.touching.append(touching_share(np.where(mask[..., place], numbers, 0)))
    return found


def _colours(case: CaseArrays, classes: np.ndarray) -> ImageColours | None:
    if not case.bits:
        return None
    structures = (classes[..., 0] > 0) & (classes[..., 0] != 255)
    return measure_colours(np.moveaxis(case.image[..., 0], 0, -1), structures, case.bits)
