# SPDX-License-Identifier: Apache-2.0
"""The step of a bundle's post-processing that numbers objects."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type

from sa2_monai.inference.instances.settings import settings_of
from sa2_monai.inference.instances.split import split_image

__all__ = ["SplitInstancesd", "outlined"]


class SplitInstancesd(MapTransform):
    """Number the objects of 2D images; the probabilities stay as they are.

    Args:
        keys: probabilities (C, H, W, 1) or (C, H, W) in [0, 1]: one channel for one class, or background and classes.
        settings: the switch ``instances``, see :func:`~sa2_monai.inference.instances.settings_of`; ``False`` numbers
            nothing.
        class_names: names of the classes, background first.
        weights: weight file, beside which the settings stand.
        output_key: entry that gets the numbers, (1, H, W, 1) or (1, H, W), ``int32``, 0 for background; not
            ``instances``, where a data set has the file of its reference.

    Raises:
        ValueError: at once for settings that are none; when called, for a volume or another number of channels.
    """

    def __init__(
        self,
        keys: KeysCollection,
        settings: bool | Mapping[str, Any],
        class_names: Sequence[str],
        weights: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
        output_key: str = "pred_instances",
    ) -> None:
        super().__init__(keys)
        self.settings = None if settings is False else list(settings_of(settings, class_names, weights)[0].values())
        self.output_key = output_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with the numbers."""
        d = dict(data)
        if self.settings is None:
            return d
        for key in self.key_iterator(d):
            item = d[key]
            array = item.detach().cpu().numpy() if isinstance(item, torch.Tensor) else np.asarray(item)
            if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] != 1):
                raise ValueError(
                    f"instances: the probabilities have the shape {array.shape}, expected those of a 2D image; objects "
                    "of volumes are not divided. Leave the switch instances off."
                )
            numbers, _ = split_image(array[..., 0] if array.ndim == 4 else array, self.settings)
            numbers = numbers[None, ..., None] if array.ndim == 4 else numbers[None]
            d[self.output_key] = convert_to_dst_type(numbers, item, dtype=np.int32)[0]
        return d


def outlined(labels: Any, numbers: Any) -> Any:
    """A label map in which a line of background, one pixel wide, lies where two objects touch.

    Programs that make outlines of a label map, as MONAI Label does for QuPath, then find one for every object.

    Args:
        labels: class numbers, tensor or array of any shape.
        numbers: of the objects, same shape.

    Returns:
        A copy of the class numbers.
    """
    objects = np.asarray(numbers)
    border = np.zeros(objects.shape, dtype=bool)
    for axis in range(objects.ndim):
        one, next_one = (np.moveaxis(array, axis, 0) for array in (objects, border))
        next_one[1:] |= (one[1:] > 0) & (one[:-1] > 0) & (one[1:] != one[:-1])
    result = labels.clone() if isinstance(labels, torch.Tensor) else np.array(labels)
    result[torch.as_tensor(border) if isinstance(result, torch.Tensor) else border] = 0
    return result
