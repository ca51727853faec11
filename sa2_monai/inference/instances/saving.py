# SPDX-License-Identifier: Apache-2.0
"""Writer of numbered objects: 16-bit PNG, or TIFF where there are more than fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sa2_monai.aliases import lazy_module
from sa2_monai.inference.saving import CaseSaveImaged

__all__ = ["InstanceSaveImaged"]

tifffile = lazy_module("tifffile")

_MOST = np.iinfo(np.uint16).max


class InstanceSaveImaged(CaseSaveImaged):
    """Write the numbers of objects as ``<output_dir>/<case>.png``: one channel, 16 bit, 0 for background.

    Above 65535 objects it is ``<case>.tif``, 32 bit.

    See :class:`~sa2_monai.inference.CaseSaveImaged` for the arguments; the arrays of ``keys`` hold numbers of objects,
    (1, W, H), (W, H) or (1, W, H, 1).
    """

    def encode(self, array: np.ndarray, stem: Path) -> tuple[str, Callable[[BinaryIO], None]]:
        """Choose the file type of a map of numbers; see :meth:`CaseSaveImaged.encode`.

        Raises:
            ValueError: no such map.
        """
        plane = array[0] if array.ndim == 3 and array.shape[0] == 1 else array
        if plane.ndim != 2 or plane.dtype.kind not in "iu" or plane.min(initial=0) < 0:
            raise ValueError(
                f"cannot write {stem}.png: expected numbers of objects (1, W, H) from 0, got {array.dtype} of the "
                f"shape {array.shape}."
            )
        if plane.max(initial=0) <= _MOST:
            return ".png", self._png(plane.astype(np.uint16))
        rows_first = np.ascontiguousarray(plane.T if self.reverse_indexing else plane, dtype=np.uint32)

        def save(file: BinaryIO) -> None:
            tifffile.imwrite(file, rows_first, compression="zlib")

        return ".tif", save
