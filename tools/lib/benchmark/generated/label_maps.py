# SPDX-License-Identifier: Apache-2.0
"""Organs of very different size, and a prediction with other deformations and a few false islands."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import zoom

__all__ = ["ORGANS", "label_maps", "noisy"]

# Centre and half axes as shares of the array, sizes as in an abdominal CT.
ORGANS = {
    "liver": ((0.33, 0.42, 0.62), (0.20, 0.17, 0.30)),
    "spleen": ((0.74, 0.55, 0.66), (0.07, 0.09, 0.16)),
    "stomach": ((0.60, 0.36, 0.58), (0.12, 0.09, 0.16)),
    "left kidney": ((0.66, 0.62, 0.40), (0.055, 0.06, 0.18)),
    "right kidney": ((0.35, 0.63, 0.38), (0.055, 0.06, 0.18)),
    "pancreas": ((0.51, 0.46, 0.45), (0.12, 0.035, 0.08)),
    "aorta": ((0.52, 0.58, 0.45), (0.022, 0.022, 0.42)),
    "gallbladder": ((0.37, 0.37, 0.42), (0.03, 0.03, 0.07)),
}


def smooth(rng: np.random.Generator, shape: tuple[int, ...], cells: int) -> np.ndarray:
    """Noise between a few random values."""
    low = rng.normal(size=[min(cells, n) + 1 for n in shape]).astype(np.float32)
    return zoom(low, [n / m for n, m in zip(shape, low.shape, strict=True)], order=1)


def label_maps(
    shape: tuple[int, int, int], classes: int = len(ORGANS), seed: int = 0, shift: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and reference, uint8 ``(x, y, z)``; the same for a seed."""
    rng = np.random.default_rng(seed)
    prediction, reference = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for value, (centre, half) in enumerate(list(ORGANS.values())[:classes], start=1):
        middle, axes = np.multiply(centre, shape), np.maximum(np.multiply(half, shape), 1)
        ends = zip(np.floor(middle - 1.6 * axes), np.ceil(middle + 1.6 * axes), shape, strict=True)
        box = tuple(slice(max(int(a), 0), min(int(b) + 1, n)) for a, b, n in ends)
        grid = np.ogrid[box]
        radius = np.sqrt(sum(((x - m) / a) ** 2 for x, m, a in zip(grid, middle, axes, strict=True)))
        size = tuple(s.stop - s.start for s in box)
        radius += 0.12 * smooth(rng, size, 4)
        reference[box][radius < 1] = value
        # one to two voxels of error at the border, whatever the size of the organ
        prediction[box][radius + smooth(rng, size, 8) / axes.min() < 1] = value
        island = tuple(slice(start, start + 2) for start in (rng.integers(0, n - 2) for n in shape))
        prediction[island] = value
    return np.roll(prediction, shift, axis=0), reference


def noisy(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """A copy in which a share of the voxels has a random value of the map."""
    if not share:
        return labels
    rng = np.random.default_rng(seed)
    where = np.unique(rng.integers(0, labels.size, round(labels.size * share)))
    found = labels.copy()
    found.reshape(-1)[where] = rng.integers(0, int(labels.max()) + 1, len(where))
    return found
