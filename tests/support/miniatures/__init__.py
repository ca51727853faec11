# SPDX-License-Identifier: Apache-2.0
"""Miniatures of the data sets in exactly the documented layouts: tiny files, enough for three parts and five folds.

Why: no data set may be committed, and yet every reader, check, overlay and bundle has to run on every layout. A new
data set adds one function here, and the tests of all bundles train, validate, evaluate and predict on it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.miniatures.cells_and_slices import MINI_CELLS_AND_SLICES
from tests.support.miniatures.images import MINI_IMAGES
from tests.support.miniatures.patients import MINI_PATIENTS

__all__ = ["MINI"]

#: Functions that write the miniature of a layout into a folder, by name of the layout.
MINI: dict[str, Callable[[Path], None]] = {**MINI_IMAGES, **MINI_PATIENTS, **MINI_CELLS_AND_SLICES}
