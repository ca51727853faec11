# SPDX-License-Identifier: Apache-2.0
"""Fingerprints made by hand, for the decisions that rest on them.

Why: a decision is a function of numbers; a data set that has just these numbers would take seconds to write and read.
"""

from __future__ import annotations

from typing import Any

from sa2_monai.data.fingerprint.facts import (
    ClassFacts,
    Colours,
    Counts,
    Fingerprint,
    Geometry,
    Intensities,
    Labels,
    Machine,
    Objects,
)

CPU = Machine("cpu", "4 processors", 16.0, 4)
GPU = Machine("cuda", "a GPU", 22.0, 8)


def values(low: float, high: float) -> Intensities:
    """Intensities evenly between two numbers."""
    return Intensities(low, *(low + (high - low) * part for part in (0.005, 0.05, 0.5, 0.95, 0.995)), high, 0.0, 1.0)


def one_class(name: str, thickness: float = 20.0, **facts: Any) -> ClassFacts:
    """A class in every slice, ten objects in each."""
    objects = Objects(10.0, (50.0, 100.0, 200.0), None, thickness, None, facts.pop("one_piece", 0.0))
    usual = {"frequency": 0.1, "cases": 1.0, "slices": 1.0, "intensities": values(0.0, 1.0)}
    return ClassFacts(name, **{**usual, **facts}, objects=objects)


def images(
    classes: tuple[ClassFacts, ...] = (one_class("cell"),), size: tuple[int, int] = (256, 256), **facts: Any
) -> Fingerprint:
    """A folder of 64 colour images of two classes, on a CPU."""
    names = ("background", *(one.name for one in classes))
    usual: dict[str, Any] = {
        "dataset": "folder",
        "kind": "images",
        "description": "images/ and labels/",
        "channels": 3,
        "channel_names": (),
        "counts": Counts(64, 16, 20, 64, 64),
        "geometry": Geometry(size, size, size),
        "intensities": values(0.0, 1.0),
        "colours": Colours(1.0, 0.8, 0.1, (0.6, 0.9), 8),
        "labels": Labels(names, None, None, tuple(range(len(names))), "the numbers of the classes", True),
        "classes": (ClassFacts("background", 0.9, 1.0, 1.0, values(0.0, 1.0), None), *classes),
        "machine": CPU,
    }
    return Fingerprint(**{**usual, **facts})


def volumes(
    classes: tuple[ClassFacts, ...] = (one_class("organ"),), size: tuple[int, int] = (256, 256), **facts: Any
) -> Fingerprint:
    """40 MR volumes of 30 slices, on a CPU."""
    geometry = Geometry(size, size, size, 30.0, (1.0, 1.0, 1.0))
    usual = {
        "dataset": "volumes",
        "kind": "volumes",
        "channels": 1,
        "colours": None,
        "intensities": values(0.0, 900.0),
        "geometry": geometry,
        "counts": Counts(40, 10, 10, 24, 1200),
    }
    return images(classes, size, **{**usual, **facts})
