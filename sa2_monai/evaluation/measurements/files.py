# SPDX-License-Identifier: Apache-2.0
"""The measurements as files."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.evaluation.measurements.case import MeasuredCase
from sa2_monai.evaluation.measurements.columns import COLUMNS
from sa2_monai.evaluation.scores.rows import csv_table
from sa2_monai.io.atomic import write_atomically
from sa2_monai.version import __version__

__all__ = ["CSV_NAME", "JSON_NAME", "write_measurements"]

CSV_NAME, JSON_NAME = "measurements.csv", "measurements.json"


def write_measurements(folder: Path, cases: Iterable[MeasuredCase]) -> dict[str, Path]:
    """Write ``measurements.csv`` and ``measurements.json``, each at once or not at all.

    Args:
        folder: made when it is not there.
        cases: what was measured.

    Returns:
        The paths under ``"csv"`` and ``"json"``.

    Raises:
        OSError: when the folder cannot be written.
    """
    found = list(cases)
    rows = [row for case in found for row in case.rows]
    document = {
        "sa2_monai": __version__,
        "columns": COLUMNS,
        "pixel_size_mm": {case.case: _steps(case) for case in found},
        "rows": [{name: _plain(value) for name, value in row.items()} for row in rows],
    }
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return {
        "csv": write_atomically(folder / CSV_NAME, csv_table(list(COLUMNS), rows)),
        "json": write_atomically(folder / JSON_NAME, text),
    }


def _steps(case: MeasuredCase) -> dict[str, Any] | None:
    """Millimetres per step along the axes, and who says it."""
    if case.grid.axes is None:
        return None
    return {"mm": np.linalg.norm(case.grid.axes, axis=0).tolist(), "source": case.grid.source}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
