# SPDX-License-Identifier: Apache-2.0
"""The fingerprint of a data set: plain numbers, one record per question."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["ClassFacts", "Colours", "Counts", "Fingerprint", "Geometry", "Intensities", "Labels", "Machine", "Objects"]


@dataclass(frozen=True)
class Counts:
    """Cases by part, as the training will split them; ``measured`` training cases were read, ``slices`` is theirs.

    ``listed_validation`` says that the data set lists its own validation part.
    """

    training: int
    validation: int
    test: int
    measured: int
    slices: int
    listed_validation: bool = False


@dataclass(frozen=True)
class Geometry:
    """Sizes and spacings of the measured cases.

    Attributes:
        size: median rows and columns of a slice, in pixels.
        smallest: of each of the two.
        largest: of each of the two.
        depth: median number of slices of a case.
        spacing: median distance of pixels in a slice (rows, columns) and of slices, in mm; ``None`` for images.
        anisotropy: median ratio of the largest to the smallest spacing of a case; 1 for images.
        slice_axis: ``"axial"``, ``"coronal"``, ``"sagittal"`` or ``"acquisition"``: along which slices were looked at.
        oblique: largest angle between an axis of a volume and the patient's, in degrees, median.
        stacks: share of the cases whose thickest axis is that of ``slice_axis``.
    """

    size: tuple[float, float]
    smallest: tuple[int, int]
    largest: tuple[int, int]
    depth: float = 1.0
    spacing: tuple[float, float, float] | None = None
    anisotropy: float = 1.0
    slice_axis: str = "axial"
    oblique: float = 0.0
    stacks: float = 1.0


@dataclass(frozen=True)
class Intensities:
    """Distribution of values, as the files have them (images: as parts of the range of their type)."""

    minimum: float
    p00_5: float
    p05: float
    median: float
    p95: float
    p99_5: float
    maximum: float
    mean: float
    std: float


@dataclass(frozen=True)
class Colours:
    """Of images.

    Attributes:
        colour: share of the images whose channels differ.
        background: median brightness of what is no structure, 0 to 1.
        violet: median of min(R, B) - G of the structures in colour images, 0 to 1; above 0.03: stained as by H&E.
        exposure: lowest and highest 99th percentile of an image, 0 to 1.
        bits: largest number of bits of a sample in the files.
    """

    colour: float
    background: float
    violet: float
    exposure: tuple[float, float]
    bits: int


@dataclass(frozen=True)
class Objects:
    """Connected structures of a class in single slices; instance numbers count where they are there.

    Attributes:
        number: median number in a slice that shows the class.
        area: 10th, 50th and 90th percentile of their areas, in pixels.
        area_mm2: the same in mm^2; ``None`` where no physical size is known.
        thickness: median over slices of four times the mean distance to the border, in pixels: the width of a
            vessel, two thirds of the diameter of a disk.
        touching: share of instances that touch another one; ``None`` without instance numbers.
        one_piece: share of the cases with the class in which it is a single piece, of volumes in three dimensions.
    """

    number: float
    area: tuple[float, float, float]
    area_mm2: tuple[float, float, float] | None
    thickness: float
    touching: float | None
    one_piece: float


@dataclass(frozen=True)
class ClassFacts:
    """One class.

    Attributes:
        name: of the class.
        frequency: share of all pixels.
        cases: share of the cases that show it.
        slices: share of the slices that show it.
        intensities: of its pixels; of images the brightness.
        objects: ``None`` for the background and for a class that was not met.
    """

    name: str
    frequency: float
    cases: float
    slices: float
    intensities: Intensities | None
    objects: Objects | None


@dataclass(frozen=True)
class Labels:
    """What the values of the label files mean.

    Attributes:
        class_names: background first.
        label_values: for the switch of that name.
        ignore_value: for the switch of that name.
        values: those found in the files, at most 64 of them.
        reason: why they are read so.
        named: whether the names come from the data set.
    """

    class_names: tuple[str, ...]
    label_values: dict[Any, int] | str | None
    ignore_value: int | None
    values: tuple[int, ...]
    reason: str
    named: bool


@dataclass(frozen=True)
class Machine:
    """Where the training will run: ``"cpu"`` or ``"cuda:0"``, its name, free memory in GiB, processors."""

    device: str
    name: str
    memory: float
    processors: int


@dataclass(frozen=True)
class Fingerprint:
    """All that was measured; see the records. ``channel_names`` are empty where the data set says none."""

    dataset: str
    kind: str
    description: str
    channels: int
    channel_names: tuple[str, ...]
    counts: Counts
    geometry: Geometry
    intensities: Intensities
    colours: Colours | None
    labels: Labels
    classes: tuple[ClassFacts, ...]
    machine: Machine

    def to_json(self) -> str:
        """The numbers as JSON, four significant digits."""
        return json.dumps(_short(asdict(self)), indent=1, ensure_ascii=False) + "\n"


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {str(key): _short(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_short(one) for one in value]
    return value
