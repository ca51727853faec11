# SPDX-License-Identifier: Apache-2.0
"""What an evaluation returns and writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.evaluation.cases.loading import LoadedCase
from sa2_monai.evaluation.scores.instances import InstanceCounts, instances_to_csv
from sa2_monai.evaluation.scores.rows import rows_to_csv
from sa2_monai.evaluation.scores.table import format_table
from sa2_monai.evaluation.strata.thirds import STRATA_NAME, strata_to_csv
from sa2_monai.io.atomic import write_atomically

__all__ = ["CSV_NAME", "INSTANCES_NAME", "JSON_NAME", "EvaluationResult"]

CSV_NAME = "metrics_per_case.csv"
JSON_NAME = "metrics_summary.json"
INSTANCES_NAME = "instances_per_case.csv"


@dataclass
class EvaluationResult:
    """Values of every case and class, and their summary.

    Attributes:
        per_case: one dict per case and class with the columns of ``metrics_per_case.csv``, sorted by case and class
            value; undefined values are ``NaN``.
        summary: the content of ``metrics_summary.json``; undefined values are ``None``.
        load_case: function that reads a case again, as class values on the grid that was measured; the overlay
            images use it.
        images: case -> path or array of the image, as given.
        groups: case -> group of the bootstrap, or ``None``.
        objects: detection of single objects per case, where it was asked for.
        properties: case -> property -> value, where strata were asked for.
    """

    per_case: list[dict[str, Any]]
    summary: dict[str, Any]
    load_case: Callable[[str], LoadedCase] = field(repr=False)
    images: dict[str, Any] = field(default_factory=dict, repr=False)
    groups: dict[str, str] | None = field(default=None, repr=False)
    objects: list[InstanceCounts] = field(default_factory=list, repr=False)
    properties: dict[str, dict[str, float | None]] = field(default_factory=dict, repr=False)

    @property
    def cases(self) -> list[str]:
        """Names of the cases, sorted."""
        return sorted({row["case"] for row in self.per_case})

    @property
    def failed(self) -> list[dict[str, str]]:
        """The cases that could not be measured, each with its message and files."""
        return list(self.summary.get("failed", []))

    @property
    def passed(self) -> bool:
        """Whether every case could be measured and every limit was kept."""
        return not self.failed and all(limit["passed"] for limit in self.summary.get("limits", []))

    def load(self, case: str) -> tuple[np.ndarray | None, np.ndarray]:
        """Read a case again: ``(prediction or None, reference)`` as class values on the grid that was measured."""
        item = self.load_case(case)
        return item.prediction, item.reference

    @property
    def headline(self) -> float | None:
        """The one number of the protocol: mean of class means of Dice, or the Dice of the paper family."""
        if "paper" in self.summary:
            value = self.summary["paper"].get("dice")
        else:
            value = self.summary["overall"]["dice"]["mean_of_class_means"]
        return None if value is None else float(value)

    def table(self) -> str:
        """Return the summary as a text table."""
        return format_table(self.summary)

    def write(self, directory: str | Path) -> dict[str, Path]:
        """Write ``metrics_per_case.csv`` and ``metrics_summary.json``, each at once or not at all.

        With single objects also ``instances_per_case.csv``, with strata ``strata_per_case.csv``.

        Args:
            directory: folder for the files; created when it does not exist.

        Returns:
            The paths under ``"csv"``, ``"json"``, ``"instances"`` and ``"strata"``.

        Raises:
            OSError: when the folder cannot be created or written.
        """
        folder = Path(directory)
        text = json.dumps(self.summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        paths = {"csv": write_atomically(folder / CSV_NAME, rows_to_csv(self.per_case))}
        if self.objects:
            paths["instances"] = write_atomically(folder / INSTANCES_NAME, instances_to_csv(self.objects))
        if self.properties:
            strata = strata_to_csv(self.properties, self.summary["strata"])
            paths["strata"] = write_atomically(folder / STRATA_NAME, strata)
        paths["json"] = write_atomically(folder / JSON_NAME, text)
        return paths
