# SPDX-License-Identifier: Apache-2.0
"""Measuring a data set: its training cases, in a bounded number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sa2_monai.data.fingerprint.arrays import read_case, read_label_of
from sa2_monai.data.fingerprint.case_facts import CaseFacts, ClassOfCase, look_at_case
from sa2_monai.data.fingerprint.colours import joined_colours
from sa2_monai.data.fingerprint.facts import ClassFacts, Counts, Fingerprint, Labels, Objects
from sa2_monai.data.fingerprint.geometry import joined_geometry, look_at_headers
from sa2_monai.data.fingerprint.intensities import summarise
from sa2_monai.data.fingerprint.labels import look_at_labels, read_labels
from sa2_monai.data.fingerprint.machine import measure_machine
from sa2_monai.data.fingerprint.parts import split_parts
from sa2_monai.io.images.read import is_lossy

if TYPE_CHECKING:
    from sa2_monai.data.layouts.discovery import FoundData

__all__ = ["measure_fingerprint"]

CASES = {"images": 48, "volumes": 24, "preprocessed": 96}  # that are read, by kind


def measure_fingerprint(
    found: FoundData,
    given: Mapping[str, Any] | None = None,
    device: str | None = None,
    cases: int | None = None,
    seed: int = 0,
) -> Fingerprint:
    """Measure the training cases of a data set.

    Neither validation nor test cases are looked at. Of many cases some are chosen by the seed, the same each time.

    Args:
        found: the data set.
        given: switches that the user set: how cases are split (``fold``, ``num_folds``, ``split_seed``,
            ``patient_pattern``, ``split``), ``class_names``, ``label_values``, ``ignore_value``, ``slice_axis``.
        device: ``"cpu"`` or ``"cuda"``; ``None`` takes a GPU where there is one.
        cases: how many are read at most; ``None``: 48 images, 24 volumes or 96 preprocessed files.
        seed: of the choice.

    Raises:
        OSError, ValueError: files that cannot be read, no training cases with labels, values of labels that can mean
            several things; each message names the file or folder.
    """
    given = dict(given or {})
    parts = split_parts(found, given)
    training = [case for case in parts["training"] if "label" in case]
    if not training:
        raise ValueError(f"{found.path}: has no training cases with labels; there is nothing to plan for")
    rng = np.random.default_rng(seed)
    number = min(cases or CASES[found.kind], len(training))
    chosen = [training[i] for i in sorted(rng.permutation(len(training))[:number])]
    headers = look_at_headers(chosen, found.kind, given.get("slice_axis"))
    labels = _labels(found, given, chosen, headers.slice_axis)
    facts = [look_at_case(read_case(case, found.kind, headers.slice_axis), labels, rng) for case in chosen]
    depth = float(np.mean([one.size[2] for one in facts]))
    return Fingerprint(
        dataset=found.dataset,
        kind=found.kind,
        description=found.description,
        channels=max(one.channels for one in facts),
        channel_names=tuple(found.channel_names or ()),
        counts=Counts(
            training=len(training),
            validation=len(parts["validation"]),
            test=len(parts["test"]),
            measured=number,
            slices=round(depth * len(training)),
            listed_validation=bool(found.parts.get("validation")) and given.get("fold") is None,
        ),
        geometry=joined_geometry([one.size for one in facts], headers),
        intensities=summarise(np.concatenate([one.values for one in facts])),  # type: ignore[arg-type]
        colours=joined_colours([one.colours for one in facts if one.colours is not None]),
        labels=labels,
        classes=tuple(
            _joined_class(name, [one.classes[index] for one in facts], facts, headers.spacing, index)
            for index, name in enumerate(labels.class_names)
        ),
        machine=measure_machine(device),
    )


def _labels(found: FoundData, given: Mapping[str, Any], chosen: Sequence[Mapping[str, Any]], axis: str) -> Labels:
    looks = [
        look_at_labels(read_label_of(case, found.kind, axis), found.kind == "images" and is_lossy(case["label"]))
        for case in chosen
    ]
    said = {name: getattr(found, name) for name in ("class_names", "label_values", "ignore_value")}
    said |= {name: given[name] for name in said if given.get(name) is not None}
    try:
        return read_labels(looks, **said)
    except ValueError as error:
        raise ValueError(f"{found.path}: {error}") from error


def _joined_class(
    name: str, ones: Sequence[ClassOfCase], facts: Sequence[CaseFacts], spacing: tuple[float, ...] | None, index: int
) -> ClassFacts:
    return ClassFacts(
        name=name,
        frequency=sum(one.pixels for one in ones) / max(1, sum(one.pixels for one in facts)),
        cases=float(np.mean([one.pixels > 0 for one in ones])),
        slices=sum(one.slices for one in ones) / sum(one.size[2] for one in facts),
        intensities=summarise(np.concatenate([one.values for one in ones])),
        objects=_joined_objects(ones, spacing) if index else None,
    )


def _joined_objects(ones: Sequence[ClassOfCase], spacing: tuple[float, ...] | None) -> Objects | None:
    slices = [objects for one in ones for objects in one.objects]
    if not slices:
        return None
    area = np.percentile(np.concatenate([one.areas for one in slices]), [10, 50, 90])
    pixel = None if spacing is None else spacing[0] * spacing[1]
    touching = [share for one in ones for share in one.touching]
    shown = [one.one_piece for one in ones if one.pixels]
    return Objects(
        number=float(np.median([len(one.areas) for one in slices])),
        area=(float(area[0]), float(area[1]), float(area[2])),
        area_mm2=None if pixel is None else (float(area[0] * pixel), float(area[1] * pixel), float(area[2] * pixel)),
        thickness=float(np.median([one.thickness for one in slices])),
        touching=float(np.mean(touching)) if touching else None,
        one_piece=float(np.mean(shown)),
    )
