# SPDX-License-Identifier: Apache-2.0
"""How a volume becomes what TransUNet's archive holds: order of axes, window, numbering of the organs.

The orientation is told relative to the canonical order of axes LPS (x to the left, y to the back, z to the head), so
that it applies to files of any storage order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sa2_monai.io.volumes.read import Volume

__all__ = ["WINDOW", "canonical", "mapped", "orient", "scaled"]

#: Hounsfield units of the archive's 0 and 1.
WINDOW = (-125.0, 275.0)


def canonical(volume: Volume) -> np.ndarray:
    """Voxels (x, y, z) with axes LPS; a view.

    Args:
        volume: volume with axes in any order.
    """
    import nibabel as nib

    ornt = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(volume.header.affine), nib.orientations.axcodes2ornt("LPS")
    )
    return np.asarray(nib.orientations.apply_orientation(volume.array, ornt))


def orient(volume: np.ndarray, orientation: Mapping[str, Any]) -> np.ndarray:
    """Turn a canonical volume as an archive has it.

    Args:
        volume: (x, y, z), axes LPS.
        orientation: result of :func:`calibrate`.

    Returns:
        View (a, b, z) of the volume: slices ``[:, :, k]`` are those of the archive.

    Raises:
        ValueError: relative to another order of axes than LPS.
    """
    if orientation.get("relative_to", "LPS") != "LPS":
        raise ValueError(f"orientation is relative to {orientation['relative_to']!r}, expected 'LPS'; calibrate again")
    turned = np.flip(volume, tuple(orientation["flip"]))
    turned = turned[:, :, ::-1] if orientation["reverse_z"] else turned
    return turned.transpose(1, 0, 2) if orientation["transpose"] else turned


def scaled(volume: np.ndarray) -> np.ndarray:
    """Hounsfield units as the archive has them: :data:`WINDOW` becomes 0 to 1.

    Args:
        volume: Hounsfield units.

    Returns:
        float32 array of the same shape.
    """
    return (np.clip(volume.astype(np.float32), *WINDOW) - WINDOW[0]) / np.float32(WINDOW[1] - WINDOW[0])


def mapped(volume: Volume, table: Mapping[int, int]) -> np.ndarray:
    """Labels of a volume, with axes LPS, as classes.

    Args:
        volume: label volume.
        table: value in the file -> class.

    Returns:
        uint8 array (x, y, z).

    Raises:
        ValueError: the volume holds a value that is not in the table.
    """
    raw = canonical(volume)
    classes = np.zeros(raw.shape, np.uint8)
    for value in np.unique(raw).tolist():
        if value not in table:
            raise ValueError(
                f"{volume.header.source}: holds the value {value}, which is not in the label table {dict(table)}"
            )
        classes[raw == value] = table[value]
    return classes
