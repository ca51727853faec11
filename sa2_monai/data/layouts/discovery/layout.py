# SPDX-License-Identifier: Apache-2.0
"""A layout that was recognised, and what is said where none was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sa2_monai.data.layouts.case_names import distinct_names
from sa2_monai.data.layouts.cases import Case, Parts, distinct_cases
from sa2_monai.data.layouts.discovery.listing import Item
from sa2_monai.data.layouts.discovery.words import is_patient_name

__all__ = ["Layout", "QuestionError", "Row", "make_layout"]


class QuestionError(ValueError):
    """It is not certain what the data are; the message is one question, and names the option that answers it."""


@dataclass(frozen=True)
class Row:
    """One case before it has a name of its own.

    Attributes:
        part: ``"training"``, ``"validation"``, ``"test"``, or empty.
        rest: folders that say neither role nor part: patients, classes.
        name: of the case in its folders.
        images: one file, or one per channel.
        labels: one file, or one per object; none where the case has no label.
        instances: the file with the numbers of objects, where there is one.
    """

    part: str
    rest: tuple[str, ...]
    name: str
    images: Sequence[Item]
    labels: Sequence[Item] = ()
    instances: Item | None = None


@dataclass(frozen=True)
class Layout:
    """Cases by part, and the layout in words.

    Attributes:
        description: in words of the user.
        parts: data lists.
        channel_names: where the names of the files say them.
        listed: a file lists the cases, so that none is left out of them.
        tables: files that list the cases.
        objects: label files of single objects by the case that they belong to; empty where each case has one label.
    """

    description: str
    parts: Parts
    channel_names: list[str] | None = None
    listed: bool = False
    tables: Sequence[Path] = ()
    objects: Mapping[str, Sequence[Path]] = field(default_factory=dict)


def make_layout(rows: Sequence[Row], description: str, channel_names: list[str] | None = None) -> Layout:
    """The cases of rows, with names that differ and, where folders say it, the patient.

    Args:
        rows: what a recogniser found.
        description: of the layout.
        channel_names: of cases with one file per channel.

    Raises:
        ValueError: an image is listed twice.
    """
    patients = {row.rest[0] for row in rows if row.rest}
    grouped = (
        len(patients) > 1
        and all(row.rest and is_patient_name(row.rest[0]) for row in rows)
        and len({(row.part, *row.rest) for row in rows}) <= len(rows)
    )
    names = _names(rows)
    parts: Parts = {}
    objects: dict[str, Sequence[Path]] = {}
    instances = all(row.instances is not None for row in rows)
    for row, name in zip(rows, names, strict=True):
        files = [str(item.path) for item in row.images]
        case: Case = {"image": files[0] if len(files) == 1 else files}
        if len(row.labels) == 1:
            case["label"] = str(row.labels[0].path)
        elif row.labels:
            objects[files[0]] = [item.path for item in row.labels]
        if instances and row.instances is not None:
            case["instances"] = str(row.instances.path)
        case["case"] = name
        if grouped:
            case["group"] = row.rest[0]
        parts.setdefault(row.part or "training", []).append(case)
    ordered: Parts = {part: parts[part] for part in ("training", "validation", "test") if part in parts}
    words = ", patients by folder" if grouped and len(patients) < len(rows) else ""
    return Layout(description + words, distinct_cases(ordered), channel_names, objects=objects)


def _names(rows: Sequence[Row]) -> list[str]:
    """Names of the cases: unique within a part."""
    own = [row.name or (row.rest[-1] if row.rest else row.images[0].stem) for row in rows]
    by_part: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        by_part.setdefault(row.part, []).append(index)
    names = list(own)
    for indices in by_part.values():
        stems = [own[index] for index in indices]
        if len(set(stems)) < len(stems):
            paths = [Path("/", *(rows[i].rest if rows[i].name else rows[i].rest[:-1]), own[i]) for i in indices]
            for index, name in zip(indices, distinct_names(stems, paths), strict=True):
                names[index] = name
    return names
