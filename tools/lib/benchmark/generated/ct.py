# SPDX-License-Identifier: Apache-2.0
"""A CT of the abdomen with eight organs."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

__all__ = ["CLASSES", "ORGANS", "SPACING", "TISSUE", "WINDOW", "make_case"]

WINDOW = (-125.0, 275.0)
SPACING = (0.75, 0.75, 3.0)
# Class: name, HU, centre and half axes in units of the volume. Background: air and soft tissue.
ORGANS = {
    1: ("aorta", 250, (0.50, 0.40, 0.50), (0.030, 0.030, 0.70)),
    2: ("gallbladder", 5, (0.62, 0.62, 0.45), (0.040, 0.045, 0.10)),
    3: ("left kidney", 205, (0.34, 0.38, 0.40), (0.055, 0.060, 0.18)),
    4: ("right kidney", 180, (0.66, 0.38, 0.38), (0.055, 0.060, 0.18)),
    5: ("liver", 125, (0.68, 0.55, 0.62), (0.170, 0.150, 0.26)),
    6: ("pancreas", 90, (0.48, 0.56, 0.52), (0.110, 0.035, 0.08)),
    7: ("spleen", 152, (0.27, 0.46, 0.66), (0.075, 0.060, 0.14)),
    8: ("stomach", -45, (0.40, 0.68, 0.64), (0.110, 0.075, 0.16)),
}
CLASSES = ["background", *(name for name, *_ in ORGANS.values())]
TISSUE = (-1000, 45)


def make_case(folder: Path, size: int, slices: int) -> tuple[Path, Path]:
    """Write image.nii.gz (HU, 16 bit) and label.nii.gz with axes to the left, the back and the head."""
    random = np.random.default_rng(0)
    shape = (size, size, slices)
    x, y, z = (
        np.linspace(0, 1, n, dtype=np.float32).reshape([-1 if a == i else 1 for a in range(3)])
        for i, n in enumerate(shape)
    )
    body = ((x - 0.5) / 0.46) ** 2 + ((y - 0.5) / 0.36) ** 2 < 1
    image = np.where(body, TISSUE[1], TISSUE[0]).astype(np.int16) * np.ones(shape, dtype=np.int16)
    label = np.zeros(shape, dtype=np.uint8)
    bumps = 0.06 * np.sin(23 * x) * np.sin(19 * y) * np.sin(11 * z)
    for value, (_, hu, centre, half) in ORGANS.items():
        distance = sum(((axis - c) / h) ** 2 for axis, c, h in zip((x, y, z), centre, half, strict=True))
        organ = distance + bumps < 1
        image[organ] = hu
        label[organ] = value
    image += random.normal(0, 6, shape).astype(np.int16)
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    paths = folder / "image.nii.gz", folder / "label.nii.gz"
    for path, array in zip(paths, (image, label), strict=True):
        nib.save(nib.Nifti1Image(array, affine), path)
    return paths
