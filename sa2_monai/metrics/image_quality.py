# SPDX-License-Identifier: Apache-2.0
"""Quality of an image without a better one to compare it with: blur, contrast, noise."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import convolve
from skimage.measure import blur_effect

__all__ = ["blur", "noise", "rms_contrast"]

#: Difference of two Laplacians: it takes away constants, slopes and most edges, and leaves noise 6 times as strong.
_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float64)
_MAD = 0.6744897501960817  # of the normal distribution: its upper quartile
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
    """Standard deviation of the noise, estimated from the finest details.

    The median of ``|image * mask|`` over 6 x 0.6745: the mask of Immerkær, "Fast noise variance estimation", Computer
    Vision and Image Understanding 64 (1996), with the median of Donoho and Johnstone, "Ideal spatial adaptation by
    wavelet shrinkage", Biometrika 81 (1994), which edges hardly move. Places where it is exactly 0, as in a blank
    border, are left out.

    Args:
        image: grey, ``(H, W)``.

    Returns:
        In the unit of the intensities; 0 where nothing is left.
    """
    details = np.abs(convolve(_checked(image), _MASK)[1:-1, 1:-1])
    left = details[details > 0]
    return float(np.median(left) / (6 * _MAD)) if left.size else 0.0


def _checked(image: np.ndarray) -> np.ndarray:
    grey = np.asarray(image, dtype=np.float64)
    if grey.ndim != 2 or min(grey.shape) < _LEAST:
        raise ValueError(f"image has shape {grey.shape}, expected a grey image (H, W) of at least {_LEAST} pixels")
    return grey
