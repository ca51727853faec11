# SPDX-License-Identifier: Apache-2.0
"""Distributions of intensities from a bounded number of values."""

from __future__ import annotations

import numpy as np

from sa2_monai.data.fingerprint.facts import Intensities

__all__ = ["draw_values", "summarise"]


def draw_values(values: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """At most ``number`` of the values, drawn with replacement where there are more.

    Args:
        values: of any shape.
        number: at least 1.
        rng: draws.
    """
    flat = values.reshape(-1)
    chosen = flat if flat.size <= number else flat[rng.integers(flat.size, size=number)]
    return np.asarray(chosen, dtype=np.float64)


def summarise(values: np.ndarray) -> Intensities | None:
    """Percentiles, mean and standard deviation; ``None`` of no values."""
    if values.size == 0:
        return None
    points = map(float, np.percentile(values, [0, 0.5, 5, 50, 95, 99.5, 100]))
    return Intensities(*points, mean=float(values.mean()), std=float(values.std()))  # type: ignore[misc]
