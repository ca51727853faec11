# SPDX-License-Identifier: Apache-2.0
"""The parts of a data set as the training will split them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sa2_monai.data.datalist import load_parts
from sa2_monai.data.layouts.cases import Parts
from sa2_monai.data.layouts.pairs_csv import write_pairs

if TYPE_CHECKING:
    from sa2_monai.data.layouts.discovery import FoundData

__all__ = ["split_parts"]

_SPLITS = ("fold", "num_folds", "split_seed", "patient_pattern", "split")


def split_parts(found: FoundData, given: Mapping[str, Any]) -> Parts:
    """Training, validation and test cases.

    Args:
        found: the data set. Cases that were found by patterns are known to it alone: their folder does not say them.
        given: switches of the user, of which those count that say how cases are split.

    Raises:
        OSError, ValueError: as :func:`~sa2_monai.data.load_parts`.
    """
    splits = {name: given[name] for name in _SPLITS if given.get(name) is not None}
    if found.dataset not in ("folder", "volumes") or not found.parts:
        return load_parts(found.path, found.dataset, **splits)
    try:
        parts = load_parts(found.path, found.dataset, **splits)
    except ValueError:
        parts = {}
    if parts and _labels(parts) == _labels(found.parts):
        return parts
    with tempfile.TemporaryDirectory(prefix="sa2_monai_") as folder:
        return load_parts(write_pairs(Path(folder) / "pairs.csv", found.parts), found.dataset, **splits)


def _labels(parts: Parts) -> set[str]:
    return {str(case["label"]) for cases in parts.values() for case in cases if "label" in case}
