# SPDX-License-Identifier: Apache-2.0
"""Quality of an image without a better one to compare it with: blur, contrast, noise."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import convolve, maximum_filter, minimum_filter, sobel
from skimage.measure import blur_effect

__all__ = ["blur", "noise", "rms_contrast"]

#: Difference of two Laplacians: it takes away constants, slopes and most edges, and leaves noise 6 times as strong.
_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float64)
_EVEN = 0.9  # share of the pixels that count as no edges
_LEAST = 3  # pixels along an axis


def blur(image: np.ndarray) -> float:
    """Perceptual blur: how little an image changes when it is blurred once more.

    Source: Crété-Roffet et al., "The blur effect: perception and estimation with a new no-reference perceptual blur
    metric", SPIE 6492 (2007), as :func:`skimage.measure.blur_effect` computes it, of the worse axis. Unlike the
    variance of the Laplacian it does not depend on the contrast.

    Args:
        image: grey, ``(H, W)``.

    Returns:
        0 (sharp) to 1 (blurred), without a unit; ``NaN`` of an image of one value.
    """
    grey = _checked(image)
    # an axis along which nothing changes says nothing
    steps = [np.abs(np.diff(grey, axis=axis)).max() for axis in (0, 1)]
    if not max(steps):
        return math.nan
    if not min(steps):
        return float(blur_effect(grey, channel_axis=None, reduce_func=None)[int(np.argmax(steps))])
    return float(blur_effect(grey, channel_axis=None))


def rms_contrast(image: np.ndarray) -> float:
    """Contrast as the standard deviation of the intensities.

    Source: Peli, "Contrast in complex images", J. Opt. Soc. Am. A 7 (1990).

    Args:
        image: grey, ``(H, W)``, in [0, 1].

    Returns:
        0 to 0.5, in shares of the range.
    """
    return float(_checked(image).std())


def noise(image: np.ndarray) -> float:
    """Standard deviation of the noise, estimated from the finest details beside edges.

    ``sqrt(pi / 2) / 6`` times the mean of ``|image * mask|``, with the mask of Immerkær, "Fast noise variance
    estimation", Computer Vision and Image Understanding 64 (1996), over the pixels with the smaller 90 % of gradients:
    Tai and Yang, "A fast method for image noise estimation using Laplacian operator and adaptive edge detection",
    ISCCSP (2008). Places where all neighbours are equal, as in a blank border, are left out.

    Args:
        image: grey, ``(H, W)``.

    Returns:
        In the unit of the intensities; 0 where nothing is left. It cannot see noise below the steps of the intensities:
        of 8 bits in [0, 1] about 0.002.
    """
    grey = _checked(image)
    inside = (slice(1, -1), slice(1, -1))
    varied = (maximum_filter(grey, 3) > minimum_filter(grey, 3))[inside]
    details = np.abs(convolve(grey, _MASK))[inside][varied]
    gradients = np.hypot(sobel(grey, axis=0), sobel(grey, axis=1))[inside][varied]
    if not details.size:
        return 0.0
    even = gradients <= np.quantile(gradients, _EVEN)
    return float(math.sqrt(math.pi / 2) / 6 * details[even].mean())


def _checked(image: np.ndarray) -> np.ndarray:
    grey = np.asarray(image, dtype=np.float64)
    if grey.ndim != 2 or min(grey.shape) < _LEAST:
        raise ValueError(f"image has shape {grey.shape}, expected a grey image (H, W) of at least {_LEAST} pixels")
    return grey
