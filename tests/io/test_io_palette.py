# SPDX-License-Identifier: Apache-2.0
"""The colours of classes: distinct, stable, told apart without one kind of cone, and black for the background alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sa2_monai.io.palette import class_colour, mask_palette

#: Linear RGB as seen without long, middle and short cones (Machado, Oliveira and Fernandes 2009, severity 1).
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def seen(colour: tuple[int, int, int], kind: str) -> np.ndarray:
    """CIELAB of a colour."""
    srgb = np.array(colour) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(DEFICIENCIES[kind] @ linear, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ linear / to_xyz.sum(axis=1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("kind", DEFICIENCIES)
def test_fourteen_classes_and_black_are_told_apart(kind: str) -> None:
    colours = [seen(class_colour(value), kind) for value in range(15)]
    least = min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(colours, 2))
    assert least > 12
    few = min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(colours[:4], 2))
    assert few > 25


def test_all_values_of_a_mask_have_a_colour_of_their_own() -> None:
    colours = [class_colour(value) for value in range(256)]
    assert colours[0] == (0, 0, 0)
    assert len(set(colours)) == 256
    assert min(max(colour) for colour in colours[1:]) > 100
    assert mask_palette() == bytes(np.array(colours, np.uint8).tobytes())
    assert class_colour(1000) == class_colour(1000)  # numbers of objects
    with pytest.raises(ValueError, match="class number is -1"):
        class_colour(-1)
