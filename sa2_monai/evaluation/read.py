# SPDX-License-Identifier: Apache-2.0
"""The result of an evaluation, read again from the files that it wrote."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sa2_monai.evaluation.cases.loading import LoadedCase
from sa2_monai.evaluation.result import CSV_NAME, JSON_NAME, EvaluationResult

__all__ = ["read_result"]

_TEXTS = ("case", "class_name", "status", "unit", "prediction_file", "reference_file")
_WHOLE = ("class_value", "voxels_pred", "voxels_ref", "voxels_both", "fold")


def read_result(
    directory: str | Path,
    load_case: Callable[[str], LoadedCase],
    images: Mapping[str, Any] | None = None,
    groups: Mapping[str, str] | None = None,
) -> EvaluationResult:
    """Read what :meth:`EvaluationResult.write` has written; the same numbers to the last bit.

    Args:
        directory: folder of the files.
        load_case: reads the files of a case again.
        images: case -> path of the image.
        groups: case -> group of the bootstrap.

    Raises:
        FileNotFoundError: one of the files is missing.
    """
    folder = Path(directory)
    for name in (CSV_NAME, JSON_NAME):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name}: no such file; expected the tables of an evaluation")
    summary = json.loads((folder / JSON_NAME).read_text(encoding="utf-8"))
    with open(folder / CSV_NAME, newline="", encoding="utf-8") as file:
        rows = [{name: _value(name, text) for name, text in row.items()} for row in csv.DictReader(file)]
    return EvaluationResult(rows, summary, load_case, dict(images or {}), None if groups is None else dict(groups))


def _value(name: str, text: str) -> Any:
    if name in _TEXTS:
        return text
    if name in _WHOLE:
        return int(text)
    if text in ("true", "false"):
        return text == "true"
    return float(text) if text else float("nan")
