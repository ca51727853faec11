# SPDX-License-Identifier: Apache-2.0
"""What a corruption does to an image: pure functions of an array, a strength and a seed.

Arrays are float32 with channels or slices first: ``(C, H, W)`` of an image in [0, 1], ``(slices, H, W)`` of a volume
with its range of intensities on [0, 1]. One seed draws one pattern, which all strengths share. MONAI's transforms where
it has them; its Gaussian filter pads with zeros, which would darken the border.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from monai.transforms import AdjustContrast, RandBiasField, RandGaussianNoise, RandSimulateLowResolution
from PIL import Image
from skimage.color import hed_from_rgb, rgb_from_hed
from skimage.filters import gaussian

__all__ = ["bias_field", "blur", "exposure", "gamma", "jpeg", "missing_slices", "noise", "resampling", "stain"]


def noise(image: np.ndarray, deviation: float, seed: int) -> np.ndarray:
    """Add Gaussian noise of a standard deviation in shares of the range."""
    transform = RandGaussianNoise(prob=1.0, std=deviation, sample_std=False).set_random_state(seed)
    return _array(transform(image))


def blur(image: np.ndarray, deviation: float, seed: int) -> np.ndarray:
    """Blur by a Gaussian of a standard deviation in pixels, each channel or slice by itself."""
    return np.asarray(gaussian(image, deviation, mode="nearest", channel_axis=0, preserve_range=True), np.float32)


def jpeg(image: np.ndarray, quality: float, seed: int) -> np.ndarray:
    """Compress with a quality of 1 to 95 by libjpeg: colour as one file, other channels by themselves."""
    pixels = (image.clip(0, 1) * 255).round().astype(np.uint8)
    planes = [pixels.transpose(1, 2, 0)] if len(pixels) == 3 else list(pixels)
    done = []
    for plane in planes:
        stream = io.BytesIO()
        Image.fromarray(plane).save(stream, format="JPEG", quality=int(quality))
        done.append(np.atleast_3d(np.asarray(Image.open(stream))).transpose(2, 0, 1))
    return np.concatenate(done).astype(np.float32) / 255


def exposure(image: np.ndarray, stops: float, seed: int) -> np.ndarray:
    """Make brighter or darker by a factor of ``2**stops`` of the stored values; what leaves the range is lost."""
    return np.asarray((image * 2.0 ** (_sign(seed) * stops)).clip(0, 1), np.float32)


def gamma(image: np.ndarray, exponent: float, seed: int) -> np.ndarray:
    """Raise the intensities, between their least and largest, to an exponent or to its reciprocal."""
    return _array(AdjustContrast(exponent ** _sign(seed))(torch.from_numpy(image)))


def stain(image: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Make haematoxylin, eosin and DAB each stronger or weaker by a share, of colour images ``(3, H, W)``.

    After Tellez et al., "Whole-slide mitosis detection in H&E breast histology", IEEE TMI 37 (2018), with the stains of
    scikit-image (Ruifrok and Johnston, 2001). Its ``rgb2hed`` cuts negative amounts off, which would change colours of
    other images even without any change of stain: here they stay.
    """
    signs = np.random.default_rng(seed).choice([-1, 1], 3)
    density = -np.log(image.clip(1e-6, 1).transpose(1, 2, 0))
    changed = (density @ hed_from_rgb * (1 + share * signs)) @ rgb_from_hed
    return np.asarray(np.exp(-changed).transpose(2, 0, 1).clip(0, 1), np.float32)


def bias_field(image: np.ndarray, coefficient: float, seed: int) -> np.ndarray:
    """Multiply a volume by a smooth field: the exponential of polynomials of degree 3 with coefficients up to one."""
    transform = RandBiasField(prob=1.0, degree=3, coeff_range=(-coefficient, coefficient)).set_random_state(seed)
    return _array(transform(image[None])[0])


def resampling(image: np.ndarray, factor: float, seed: int) -> np.ndarray:
    """Reduce rows and columns by a factor, by the mean of areas, and enlarge them again, linearly."""
    transform = RandSimulateLowResolution(
        prob=1.0, downsample_mode="area", upsample_mode="bilinear", zoom_range=(1 / factor, 1 / factor)
    )
    return _array(transform(torch.from_numpy(image)))


def missing_slices(image: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Lose a share of the slices, at least one; the nearest slice that is left stands in its place."""
    order = np.random.default_rng(seed).permutation(len(image))
    lost = order[: min(len(image) - 1, max(1, round(share * len(image))))]
    kept = np.setdiff1d(order, lost)
    nearest = kept[np.abs(np.arange(len(image))[:, None] - kept).argmin(axis=1)]
    return image[nearest]


def _sign(seed: int) -> int:
    """Half of the cases go up, half of them down."""
    return int(np.random.default_rng(seed).choice([-1, 1]))


def _array(image: object) -> np.ndarray:
    return np.asarray(image, dtype=np.float32)
