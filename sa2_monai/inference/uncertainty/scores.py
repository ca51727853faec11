# SPDX-License-Identifier: Apache-2.0
"""One number for the uncertainty of a case: the mean of its maps where there is something to decide."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from sa2_monai.aliases import lazy_module
from sa2_monai.inference.uncertainty.maps import map_names

__all__ = ["MARGIN", "ScoreUncertaintyd", "uncertainty_scores"]

ndimage = lazy_module("scipy.ndimage")

#: Pixels around predicted structures that count for the score.
MARGIN = 3


def uncertainty_scores(
    maps: Mapping[str, np.ndarray], labels: np.ndarray, spacing: Sequence[float] | np.ndarray | None = None
) -> dict[str, float]:
    """Means of maps inside of the predicted structures and within a margin around them.

    The mean over a whole image would say how much background there is. Where nothing is predicted, which may be the
    mistake, all of the image counts.

    Args:
        maps: name -> map (X, Y, Z).
        labels: class numbers (X, Y, Z), 0 for the background.
        spacing: millimetres per voxel along the axes, by which the margin of :data:`MARGIN` of the smallest steps goes
            less far along the others; ``None`` for equal steps.

    Returns:
        The mean of each map by its name, and ``"foreground"``, the number of pixels or voxels of the structures.
    """
    found = labels > 0
    steps = np.ones(labels.ndim) if spacing is None else np.asarray(spacing, dtype=float)
    size = [2 * int(MARGIN * steps.min() / step) + 1 for step in steps]
    region = ndimage.maximum_filter(found, size=size) if found.any() else np.ones_like(found)
    means = {name: float(f"{np.mean(values[region], dtype=np.float64):.6g}") for name, values in maps.items()}
    return {**means, "foreground": int(found.sum())}


class ScoreUncertaintyd(MapTransform):
    """Add the scores of a case as ``uncertainty_scores``; see :func:`uncertainty_scores`.

    Args:
        keys: class numbers (1, x, y, z), as they are written.
        uncertainty: which maps.
        maps_key: the maps (M, x, y, z).

    Raises:
        ValueError: another choice of maps.
    """

    def __init__(self, keys: KeysCollection, uncertainty: str, maps_key: Hashable = "uncertainty") -> None:
        super().__init__(keys)
        self.maps = map_names(uncertainty)
        self.maps_key = maps_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with the scores."""
        d = dict(data)
        for key in self.key_iterator(d):
            maps = dict(zip(self.maps, _array(d[self.maps_key]), strict=True))
            d["uncertainty_scores"] = uncertainty_scores(maps, _array(d[key])[0], _spacing(d[key]))
        return d


def _array(item: Any) -> np.ndarray:
    return item.detach().cpu().numpy() if isinstance(item, torch.Tensor) else np.asarray(item)


def _spacing(item: Any) -> np.ndarray | None:
    if not isinstance(item, MetaTensor):
        return None
    lengths = np.linalg.norm(np.asarray(item.affine, dtype=float)[:3, :3], axis=0)
    return lengths if (lengths > 0).all() else None
