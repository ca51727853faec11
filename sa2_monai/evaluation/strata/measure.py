# SPDX-License-Identifier: Apache-2.0
"""The properties of one case, from its reference and its image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sa2_monai.evaluation.cases.images import case_image, case_volume
from sa2_monai.evaluation.cases.loading import LoadedCase
from sa2_monai.evaluation.scores.instances import holds_numbers
from sa2_monai.evaluation.scores.statistics import nan_mean, none_if_nan
from sa2_monai.evaluation.strata.properties import DENSITIES
from sa2_monai.io.images.read import luminance
from sa2_monai.io.label_maps import read_label_map
from sa2_monai.io.volumes.geometry import scan_axis
from sa2_monai.metrics import image_quality
from sa2_monai.metrics.objects import class_objects, object_density, object_sizes, size_spread, touching_share

__all__ = ["measure_properties"]

_SLICES = 32  # of a volume, evenly spread: more say nothing new of its quality
_RANGE = (0.5, 99.5)  # percentiles that count as the range of intensities without a range of their own


def measure_properties(
    item: LoadedCase, image: Any, strata: Sequence[str], numbers: str | None, classes: int, objects: Any = None
) -> dict[str, float | None]:
    """Measure what the strata ask for.

    Args:
        item: the case.
        image: path or array of its image, or ``None``.
        strata: some of :data:`sa2_monai.evaluation.strata.properties.STRATA`.
        numbers: how the numbers of objects are told in the reference's file, one of
            :data:`sa2_monai.evaluation.scores.instances.KINDS`; ``None`` where it holds classes, whose connected parts
            are the objects.
        classes: number of classes without the background.
        objects: path or array with the numbers of the objects, where these are a file of their own.

    Returns:
        Name of the property -> value; ``None`` where it is not defined for this case.

    Raises:
        OSError, ValueError: for an image that cannot be read, or numbers of objects on another grid.
    """
    values: dict[str, float] = {}
    if set(strata) - {"quality"}:
        found = _objects(item, numbers, objects)
        # connected parts of one class cannot touch: they would be one
        apart = found is not None or classes > 1
        values.update(_of_objects(item, strata, class_objects(item.reference) if found is None else found, apart))
    if "quality" in strata:
        values.update(_of_image(item, image))
    return {name: none_if_nan(value) for name, value in values.items()}


def _objects(item: LoadedCase, numbers: str | None, source: Any) -> np.ndarray | None:
    """The objects by their numbers, or ``None`` where no file has these."""
    if source is None:
        array = item.geometry.array
        return array if numbers is not None and holds_numbers(array, numbers) else None
    array = read_label_map(source, f"objects of case {item.case}").array
    if array.shape != item.reference.shape:
        raise ValueError(
            f"case {item.case}: its numbers of objects have the shape {array.shape}, its reference "
            f"{item.reference.shape}; give maps of one size"
        )
    return np.where(item.ignored, 0, array) if item.ignored is not None else array


def _of_objects(item: LoadedCase, strata: Sequence[str], objects: np.ndarray, apart: bool) -> dict[str, float]:
    values = {}
    if "size" in strata:
        values["largest_object"] = 100.0 * int(object_sizes(objects).max(initial=0)) / objects.size
    if "size_spread" in strata:
        values["size_spread"] = size_spread(objects)
    if "crowding" in strata:
        _, area = DENSITIES[objects.ndim, item.geometry.unit]
        values["density"] = area * object_density(objects, item.geometry.spacing)
        values["touching"] = touching_share(objects) if apart else math.nan
    return values


def _of_image(item: LoadedCase, image: Any) -> dict[str, float]:
    planes = list(_planes(item, image))
    measures = {"blur": image_quality.blur, "contrast": image_quality.rms_contrast, "noise": image_quality.noise}
    return {name: float(nan_mean(np.array([of(plane) for plane in planes]))) for name, of in measures.items()}


def _planes(item: LoadedCase, image: Any) -> Iterator[np.ndarray]:
    """Grey images (H, W) in [0, 1]: an image itself, slices of a volume as it was scanned."""
    if image is None:
        return
    if item.reference.ndim == 2:
        pixels = case_image(image)
        assert pixels is not None
        pixels = pixels if pixels.ndim == 3 else pixels[:, :, None]
        grey = luminance(pixels) if pixels.shape[2] == 3 else pixels.mean(axis=2, keepdims=True, dtype=np.float64)
        yield _scaled(grey[:, :, 0], pixels)
        return
    volume = case_volume(image, item.reference.shape, item.geometry.affine)
    assert volume is not None
    slices = np.moveaxis(volume, scan_axis(item.geometry.spacing), 0)
    low, high = np.percentile(volume, _RANGE)
    for index in np.unique(np.linspace(0, len(slices) - 1, _SLICES).round().astype(int)):
        if slices[index].min() < slices[index].max():  # beyond the ends of a scan there is nothing to see
            yield np.clip((slices[index] - low) / max(high - low, np.finfo(float).tiny), 0, 1)


def _scaled(grey: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """By the largest value of the file's type; floating point beyond [0, 1] by percentiles."""
    if pixels.dtype.kind == "u":
        return grey / np.iinfo(pixels.dtype).max
    if pixels.dtype.kind == "f" and pixels.min() >= 0 and pixels.max() <= 1:
        return grey
    low, high = np.percentile(grey, _RANGE)
    return np.asarray(np.clip((grey - low) / max(high - low, np.finfo(float).tiny), 0, 1))
