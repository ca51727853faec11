# SPDX-License-Identifier: Apache-2.0
"""The colours of an image: whether there are any, how bright what is no structure is, whether structures are violet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sa2_monai.data.fingerprint.facts import Colours

__all__ = ["ImageColours", "joined_colours", "measure_colours"]

_GREY = 4 / 255  # mean difference of channels up to which an image counts as grey: what JPEG makes of grey
_BRIGHT = 99.0  # percentile


@dataclass(frozen=True)
class ImageColours:
    """Of one image; see :class:`~sa2_monai.data.fingerprint.facts.Colours`."""

    coloured: bool
    background: float
    violet: float
    exposure: float
    bits: int


def measure_colours(image: np.ndarray, structures: np.ndarray, bits: int) -> ImageColours:
    """Colours of one image.

    Args:
        image: (H, W, C), 0 to 1.
        structures: (H, W), where a class other than the background is.
        bits: of a sample in the file.
    """
    brightness = image.mean(axis=-1)
    outside = brightness[~structures] if not structures.all() else brightness
    coloured = image.shape[-1] == 3 and float(np.ptp(image, axis=-1).mean()) > _GREY
    violet = 0.0
    if coloured and structures.any():
        red, green, blue = (image[..., channel][structures] for channel in range(3))
        violet = float(np.median(np.minimum(red, blue) - green))
    exposure = float(np.percentile(brightness, _BRIGHT))
    return ImageColours(coloured, float(np.median(outside)), violet, exposure, bits)


def joined_colours(images: Sequence[ImageColours]) -> Colours | None:
    """Those of a data set; ``None`` of no images."""
    if not images:
        return None
    coloured = [image for image in images if image.coloured]
    return Colours(
        colour=len(coloured) / len(images),
        background=float(np.median([image.background for image in images])),
        violet=float(np.median([image.violet for image in coloured])) if coloured else 0.0,
        exposure=(min(image.exposure for image in images), max(image.exposure for image in images)),
        bits=max(image.bits for image in images),
    )
