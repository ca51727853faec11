# SPDX-License-Identifier: Apache-2.0
"""Images that stay in memory as their file has them: the entry of their metadata, and types that tensors can have.

The entry says what still has to be done with the voxels before they are intensities, step by step, as JSON: text goes
through the collating of batches, caches and processes as it is. :class:`sa2_monai.slices.StoredVolume` does the steps,
a few slices at a time:

- ``["linear", slope, intercept]``: in double precision, rounded to single;
- ``["scale", low, span, clip]``: ``(x - low) / span``, clipped to [0, 1] or not;
- ``["slice_maximum", [maximum of each slice]]``: divided by it, what is below 0 becomes 0.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["STORED", "Step", "compact", "compact_labels", "steps_text"]

#: Entry of the metadata. Where it is, the memory of the image belongs to the steps of a bundle, which may turn it.
STORED = "stored_intensities"

#: Name and numbers, see above.
Step = Sequence[Any]

_HALF = 2**15


def steps_text(steps: Sequence[Step]) -> str:
    """The steps as :data:`STORED` has them.

    Args:
        steps: those that are left to do, the first one first.
    """
    return json.dumps([list(step) for step in steps])


def compact(array: np.ndarray) -> tuple[np.ndarray, list[Step]]:
    """The same values in a type of at most four bytes that tensors can calculate with, without a copy where possible.

    Args:
        array: numbers; its memory is used.

    Returns:
        int8, uint8 or int16 where the array has integers of 8 or 16 bits, else float32; and the step that brings the
        values back, of unsigned numbers of 16 bits beyond 32767.
    """
    if array.dtype.kind == "b":
        return array.view(np.uint8), []
    if array.dtype == np.uint16:
        if array.max(initial=0) < _HALF:
            return array.view(np.int16), []
        array = array if array.flags.writeable else array.copy()
        np.bitwise_xor(array, np.uint16(_HALF), out=array)  # 32768 less, in the pattern of signed numbers
        return array.view(np.int16), [("linear", 1.0, float(_HALF))]
    small = array.dtype.kind in "iu" and array.dtype.itemsize <= 2
    return (array if small else array.astype(np.float32, copy=False)), []


def compact_labels(array: np.ndarray) -> np.ndarray:
    """Whole numbers in a type that tensors can calculate with.

    Args:
        array: integers of any type.
    """
    if array.dtype == np.uint16 and array.max(initial=0) < _HALF:
        return array.view(np.int16)
    wider = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}
    return array.astype(wider.get(array.dtype.name, array.dtype), copy=False)
