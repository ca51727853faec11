# SPDX-License-Identifier: Apache-2.0
"""The range of intensities of a slide, measured once: a tile that was scaled by itself would look like no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from monai.transforms import (
    ScaleIntensityd,
    ScaleIntensityRange,
    ScaleIntensityRanged,
    ScaleIntensityRangePercentilesd,
)
from monai.transforms.utils_pytorch_numpy_unification import percentile

from sa2_monai.bundle.slides.analysed import AnalysedImage
from sa2_monai.slices import ScaleSliceMaximumd, ScaleWhenCutd

__all__ = ["intensity_step", "scaling_of"]

_SIDE, _NUMBER = 256, 128  # pixels of a square, and how many of them are looked at
_STEPS = (ScaleIntensityRangePercentilesd, ScaleIntensityd, ScaleIntensityRanged, ScaleSliceMaximumd)

Box = tuple[int, int, int, int]


def intensity_step(transforms: Iterable[Any]) -> Any:
    """The step of a preprocessing that brings intensities to [0, 1]; ``None`` where there is none."""
    scalings = (step.at_once if isinstance(step, ScaleWhenCutd) else step for step in transforms)
    return next((step for step in scalings if isinstance(step, _STEPS)), None)


def scaling_of(
    step: Any, stretched: bool, image: AnalysedImage, wanted: Callable[[int, int, int, int], bool]
) -> tuple[Callable[[torch.Tensor], torch.Tensor], str]:
    """What brings a region to [0, 1] as the preprocessing of the bundle does with a whole image.

    Percentiles, the lowest and the highest value are those of at most 128 squares of 256 x 256 pixels, spread evenly
    over what is predicted: of all of it, where that is less.

    Args:
        step: of :func:`intensity_step`.
        stretched: the bundle stretches each image from its lowest to its highest value after a resize.
        image: the slide.
        wanted: whether anything of the rectangle (top, left, height, width) is predicted.

    Returns:
        The function, and what was measured, in a line; empty where nothing was.
    """
    if isinstance(step, ScaleIntensityRanged):
        return step.scaler, ""
    if step is None and not stretched:
        return lambda region: region, ""
    boxes = [
        (top, left, min(_SIDE, image.height - top), min(_SIDE, image.width - left))
        for top in range(0, image.height, _SIDE)
        for left in range(0, image.width, _SIDE)
    ]
    boxes = [box for box in boxes if wanted(*box)]
    if not boxes:
        return lambda region: region, ""
    chosen = boxes[:: max(1, -(-len(boxes) // _NUMBER))]
    values = torch.cat([image.read(*box).flatten() for box in chosen])
    if isinstance(step, ScaleIntensityRangePercentilesd):
        limits = (step.scaler.lower, step.scaler.upper)
        low, high = (float(percentile(values, limit)) for limit in limits)
        what = f"percentiles {limits[0]:g} and {limits[1]:g}"
    else:
        low = 0.0 if isinstance(step, ScaleSliceMaximumd) else float(values.min())
        high, what = float(values.max()), "lowest and highest value"
    text = f"intensities: {what} are {low:.4f} and {high:.4f} of the range, from {len(chosen)} of {len(boxes)} squares"
    if high <= low:  # one value everywhere; MONAI would divide by 0
        return torch.zeros_like, text
    return ScaleIntensityRange(low, high, 0.0, 1.0, clip=True), text
