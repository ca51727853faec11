# SPDX-License-Identifier: Apache-2.0
"""Intensities to [0, 1]: those of each slice for itself, and those of images that are kept as their file has them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import EnsureTyped, MapTransform
from monai.transforms.utils_pytorch_numpy_unification import percentile
from monai.utils import convert_to_dst_type, convert_to_tensor

from sa2_monai.io.readers.stored import Step
from sa2_monai.slices.labels import source_name
from sa2_monai.slices.percentiles import block_percentiles
from sa2_monai.slices.stored_volume import StoredVolume

__all__ = ["MEASURES", "ScaleSliceMaximumd", "ScaleWhenCutd"]

_QUANTILES = 1_000_000  # values up to which MONAI takes torch.quantile


class ScaleSliceMaximumd(MapTransform):
    """Divide each slice of a volume by its own maximum; values below 0 become 0, and so do slices without any above.

    Published for the MR volumes of SvANet. The brightness of an organ then depends on what else the slice shows.

    Args:
        keys: volumes (C, x, y, z), slices along the last axis, or single slices (C, H, W). Channels are taken together.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: when called, for an array of another number of axes.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with the volumes of ``keys`` in [0, 1], ``float32``."""
        d = dict(data)
        for key in self.key_iterator(d):
            volume = convert_to_tensor(d[key], track_meta=False, dtype=torch.float32)
            if volume.ndim not in (3, 4):
                raise ValueError(
                    f"{key} {source_name(d[key], key)} has the shape {tuple(volume.shape)}, expected a volume "
                    "(C, x, y, z) or a slice (C, H, W)."
                )
            highest = volume.amax(dim=(0, 1, 2), keepdim=True)
            scaled = volume.clamp(min=0) / torch.where(highest > 0, highest, 1)
            d[key] = convert_to_dst_type(scaled, dst=d[key], dtype=torch.float32)[0]
        return d


class ScaleWhenCutd(MapTransform):
    """A scaling to [0, 1], done at once, or left to the inferer where the image is kept as its file has it.

    Of such an image (``load_image(..., as_stored=True)``) the range is measured, some slices at a time, and noted in
    the metadata; :class:`~sa2_monai.inference.VolumeInferer` scales the slices that it cuts. The intensities are those
    of the scaling at once, bit for bit.

    Args:
        key: entry with the image.
        at_once: the scaling as a transform.
        measure: the step that it is for a :class:`~sa2_monai.slices.StoredVolume`, a function of :data:`MEASURES`;
            ``None`` as its answer says that there is no range, and the image is scaled at once.
    """

    def __init__(
        self, key: Hashable, at_once: MapTransform, measure: Callable[[StoredVolume], Step | None] | None = None
    ) -> None:
        super().__init__(key)
        self.at_once = at_once
        self.measure = measure
        self.as_float = EnsureTyped(key, dtype=torch.float32)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with the image in [0, 1], ``float32``, or with the range in its metadata."""
        d = dict(data)
        for key in self.key_iterator(d):
            if not StoredVolume.waits(d[key]):
                return dict(self.at_once(self.as_float(d)))
            if self.measure is None:  # nothing to do
                return d
            volume = StoredVolume.of(d[key])
            step = self.measure(volume)
            if step is None:
                return dict(self.at_once({**d, key: volume.done(d[key])}))
            d[key] = volume.put_off(step, d[key])
        return d


def measure_window(low: float, high: float) -> Callable[[StoredVolume], Step | None]:
    """As ``ScaleIntensityRange`` does: from one number to another, the same for all images."""
    return lambda volume: ("scale", low, high - low, True) if high != low else None


def measure_percentiles(lower: float, upper: float) -> Callable[[StoredVolume], Step | None]:
    """As ``ScaleIntensityRangePercentiles`` does: from one percentile of the image to another."""

    def measure(volume: StoredVolume) -> Step | None:
        count = volume.voxels.numel()
        if count > _QUANTILES:
            found = block_percentiles(lambda: (b.cpu().numpy() for b in volume.blocks()), count, (lower, upper))
        else:
            values = torch.cat([block.flatten() for block in volume.blocks()])
            found = [float(percentile(values, q)) for q in (lower, upper)]
        return _range(found[0], found[1], clip=True)

    return measure


def measure_minmax() -> Callable[[StoredVolume], Step | None]:
    """As ``ScaleIntensity`` does: from the lowest value of the image to the highest."""

    def measure(volume: StoredVolume) -> Step | None:
        ends = [(float(block.min()), float(block.max())) for block in volume.blocks()]
        return _range(min(low for low, _ in ends), max(high for _, high in ends), clip=False)

    return measure


def measure_slice_maximum() -> Callable[[StoredVolume], Step | None]:
    """As :class:`ScaleSliceMaximumd` does: up to the highest value of each slice."""
    return lambda volume: ("slice_maximum", [v for b in volume.blocks() for v in b.amax(dim=(1, 2, 3)).tolist()])


#: By the way of :func:`~sa2_monai.slices.scale_intensity`, what measures the range of a stored volume.
MEASURES: dict[str, Callable[..., Callable[[StoredVolume], Step | None]]] = {
    "window": measure_window,
    "percentiles": measure_percentiles,
    "minmax": measure_minmax,
    "slice_maximum": measure_slice_maximum,
}


def _range(low: float, high: float, clip: bool) -> Step | None:
    """From one value of the image to another, their difference in single precision as the values are."""
    lowest, highest = (torch.tensor(value, dtype=torch.float32) for value in (low, high))
    span = float(highest - lowest)
    return ("scale", float(lowest), span, clip) if span else None
