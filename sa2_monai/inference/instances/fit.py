# SPDX-License-Identifier: Apache-2.0
"""The choice of settings on cases whose objects are known: a small grid, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from sa2_monai.inference.instances.settings import SplitSettings
from sa2_monai.inference.instances.split import split_objects
from sa2_monai.metrics.detection import ObjectPairs, object_pairs

__all__ = ["CRITERIA", "LARGEST_SIDE", "Choice", "FitCase", "fit_settings"]

#: Aggregated Jaccard index, panoptic quality, and their mean: one looks at pixels, the other one at objects.
CRITERIA = ("mean", "aji", "pq")
#: Pixels of the part in the middle of a larger image that is looked at.
LARGEST_SIDE = 512
_SHAPES = tuple(product(("combined", "distance", "probability"), (0.05, 0.1, 0.2, 0.35)))
_STEPS: dict[str, tuple[float, ...]] = {
    "sigma": (1.0, 2.0, 4.0),
    "threshold": (0.4, 0.6, 0.7),
    "min_area": (0.0, 10.0, 30.0, 100.0),
}


@dataclass(frozen=True)
class FitCase:
    """One image.

    Attributes:
        probabilities: (1, H, W) of the one class, or (K, H, W) of background and classes, in [0, 1].
        reference: numbers of the objects of the class that is fitted, (H, W), 0 for all else.
    """

    probabilities: np.ndarray
    reference: np.ndarray


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        settings: the best ones.
        score: mean of the criterion over the images that have a value.
        components: the same for what is connected, undivided.
        images: number of images that were looked at.
        objects: number of their objects.
        tried: number of settings that were compared.
    """

    settings: SplitSettings
    score: float
    components: float
    images: int
    objects: int
    tried: int


def fit_settings(cases: Sequence[Callable[[], FitCase]], index: int = 1, criterion: str = "mean") -> Choice:
    """Choose the settings of one class: what is flooded and how deep, then the smoothing, threshold and smallest area.

    Each step keeps what the steps before have found, and leaves it only for what is better by more than the standard
    error of the difference: a few images choose by chance. One image is in memory at a time, and of an image larger
    than 512 pixels the middle.

    Args:
        cases: functions that read an image.
        index: number of the class.
        criterion: one of :data:`CRITERIA`, whose mean over images shall be largest.

    Returns:
        The best settings and what they reach.

    Raises:
        ValueError: another criterion, or images without any object.
    """
    if criterion not in CRITERIA:
        raise ValueError(f"the criterion is {criterion!r}, expected one of {', '.join(CRITERIA)}")
    best = SplitSettings()
    undivided = replace(best, method="components")
    shapes = [replace(best, method=method, depth=depth) for method, depth in _SHAPES]
    values, objects = _values(cases, [best, undivided, *shapes], index, criterion)
    if not objects:
        raise ValueError(f"none of the {len(cases)} images has an object in its reference, from which to choose")
    best, tried = _better(values, best), len(values)
    components = nan_mean(values[undivided])
    for name, candidates in _STEPS.items():
        steps = [replace(best, **{name: value}) for value in candidates]  # type: ignore[arg-type]
        values, _ = _values(cases, [best, *steps], index, criterion)
        best, tried = _better(values, best), tried + len(steps)
    return Choice(best, nan_mean(values[best]), components, len(cases), objects, tried)


def nan_mean(values: np.ndarray) -> float:
    """Mean over the images that have a value; 0 where none has."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0


def _better(values: Mapping[SplitSettings, np.ndarray], now: SplitSettings) -> SplitSettings:
    """The best settings, where they are better by more than the standard error of the difference, else those of now."""
    best = max(values, key=lambda settings: nan_mean(values[settings]))  # the first of equal ones
    gains = (values[best] - values[now])[np.isfinite(values[now])]
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return best if gains.mean() > error else now


def _values(
    cases: Iterable[Callable[[], FitCase]], candidates: Sequence[SplitSettings], index: int, criterion: str
) -> tuple[dict[SplitSettings, np.ndarray], int]:
    """The criterion of every candidate and image, ``NaN`` without any object, and the objects of the references."""
    values: dict[SplitSettings, list[float]] = {candidate: [] for candidate in candidates}
    objects = 0
    for read in cases:
        case = read()
        rows, columns = (_middle(size) for size in case.reference.shape)
        probabilities, reference = case.probabilities[:, rows, columns], case.reference[rows, columns]
        objects += len(np.unique(reference[reference != 0]))
        for candidate, numbers in _objects(probabilities, values, index):
            values[candidate].append(_criterion(object_pairs(numbers, reference), criterion))
    return {candidate: np.array(found) for candidate, found in values.items()}, objects


def _criterion(pairs: ObjectPairs, criterion: str) -> float:
    above, below = pairs.aggregated()
    if not below:
        return float("nan")
    found = {"aji": above / below, "pq": pairs.match().panoptic_quality}
    return found[criterion] if criterion in found else sum(found.values()) / 2


def _objects(
    probabilities: np.ndarray, candidates: Iterable[SplitSettings], index: int
) -> Iterator[tuple[SplitSettings, np.ndarray]]:
    one = len(probabilities) == 1
    winner = None if one else probabilities.argmax(axis=0) == index
    probability = probabilities[0 if one else index]
    for candidate in candidates:
        foreground = probability >= candidate.threshold if winner is None else winner
        yield candidate, split_objects(probability, foreground, candidate)


def _middle(size: int) -> slice:
    start = max(0, (size - LARGEST_SIDE) // 2)
    return slice(start, start + LARGEST_SIDE)
