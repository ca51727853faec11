# SPDX-License-Identifier: Apache-2.0
"""From probabilities to numbered objects: foreground, markers, watershed.

Markers are the peaks of a smoothed landscape (distance to the border, probability, or both) that rise above their
surroundings by a share of their height: h-maxima with a height relative to the peak, so that small and large objects of
one image are treated alike. The watershed of the landscape divides the foreground among them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sa2_monai.aliases import lazy_module
from sa2_monai.inference.instances.settings import SplitSettings

__all__ = ["split_image", "split_objects"]

ndimage = lazy_module("scipy.ndimage")
morphology = lazy_module("skimage.morphology")
segmentation = lazy_module("skimage.segmentation")

_EIGHT = np.ones((3, 3), dtype=bool)
# Of the median object: what the settings take where they are None.
_SIGMA_OF_DIAMETER, _SMALLEST_OF_AREA = 0.06, 0.05
_NOISE = 9  # pixels: smaller pieces say nothing about the size of the objects


def split_image(probabilities: np.ndarray, settings: Sequence[SplitSettings]) -> tuple[np.ndarray, np.ndarray]:
    """Number the objects of an image.

    Args:
        probabilities: (1, H, W) of the one class, or (K, H, W) of background and classes, in [0, 1].
        settings: of every class, without the background.

    Returns:
        Numbers (H, W), ``int32``: 0 for background, the objects from 1 without gaps, class after class; and the class
        of every number, (N + 1,), 0 for the background.

    Raises:
        ValueError: another shape or number of settings.
    """
    if probabilities.ndim != 3 or len(settings) != max(len(probabilities) - 1, 1):
        raise ValueError(
            f"probabilities have the shape {probabilities.shape} and there are settings for {len(settings)} classes, "
            "expected (1, H, W) for one class, (K, H, W) for background and K - 1 classes"
        )
    if len(probabilities) == 1:
        numbers = split_objects(probabilities[0], probabilities[0] >= settings[0].threshold, settings[0])
        return numbers, np.minimum(np.arange(numbers.max(initial=0) + 1), 1)
    winner = probabilities.argmax(axis=0)
    numbers = np.zeros(winner.shape, dtype=np.int32)
    classes = [np.zeros(1, dtype=np.int64)]
    for index, of_class in enumerate(settings, start=1):
        found = split_objects(probabilities[index], winner == index, of_class)
        numbers = np.where(found > 0, found + numbers.max(initial=0), numbers)
        classes.append(np.full(found.max(initial=0), index))
    return numbers, np.concatenate(classes)


def split_objects(probability: np.ndarray, foreground: np.ndarray, settings: SplitSettings) -> np.ndarray:
    """Divide a foreground into objects.

    Args:
        probability: (H, W), in [0, 1].
        foreground: (H, W), boolean.
        settings: how.

    Returns:
        Numbers (H, W), ``int32``, from 1 without gaps.
    """
    pieces, count = ndimage.label(foreground, structure=_EIGHT)
    area = _median_area(pieces)
    if settings.method == "components" or not count:
        numbers = pieces
    else:
        diameter = 2 * math.sqrt(area / math.pi)
        sigma = _SIGMA_OF_DIAMETER * diameter if settings.sigma is None else settings.sigma
        landscape = _landscape(probability, foreground, settings.method, sigma)
        plateaus = morphology.reconstruction(landscape * (1 - settings.depth), landscape)
        # with a border of 0, for an image that is foreground everywhere and of one height has no peak
        peaks = morphology.local_maxima(np.pad(plateaus, 1))[1:-1, 1:-1] & foreground
        markers, _ = ndimage.label(peaks, structure=_EIGHT)
        numbers = segmentation.watershed(-landscape, markers, mask=foreground, connectivity=_EIGHT)
    smallest = _SMALLEST_OF_AREA * area if settings.min_area is None else settings.min_area
    sizes = np.bincount(numbers.ravel())
    kept = sizes >= smallest
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0).astype(np.int32)[numbers]


def _landscape(probability: np.ndarray, foreground: np.ndarray, method: str, sigma: float) -> np.ndarray:
    """What is flooded: (H, W), 0 outside of the foreground and above 0 in it."""
    height = np.asarray(probability, dtype=np.float32)
    if method != "probability":
        distance = ndimage.distance_transform_edt(foreground).astype(np.float32)
        height = distance if method == "distance" else distance * height
    if sigma:
        height = ndimage.gaussian_filter(height, sigma)
    return np.where(foreground, np.maximum(height, np.finfo(np.float32).tiny), 0)


def _median_area(pieces: np.ndarray) -> float:
    """Median of the pixels of what is connected, noise left out; 0 without any."""
    sizes = np.bincount(pieces.ravel())[1:]
    return float(np.median(sizes[sizes > _NOISE])) if (sizes > _NOISE).any() else 0.0
