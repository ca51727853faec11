# SPDX-License-Identifier: Apache-2.0
"""``uncertainty.csv``: the scores of all cases of a prediction."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from sa2_monai.io.atomic import write_atomically

__all__ = ["UNCERTAINTY_TABLE", "UncertaintyTable", "write_uncertainty_table"]

#: Its name.
UNCERTAINTY_TABLE = "uncertainty.csv"


def write_uncertainty_table(folder: str | os.PathLike[str], scores: Mapping[str, Mapping[str, Any]]) -> Path | None:
    """Write the scores of cases, in the order in which they are given.

    Args:
        folder: where the table comes.
        scores: case -> scores by name, see :func:`~sa2_monai.inference.uncertainty.uncertainty_scores`.

    Returns:
        The file; ``None`` when there are no scores, and no file is written.

    Raises:
        OSError: it cannot be written.
    """
    names = list(dict.fromkeys(name for one in scores.values() for name in one))
    if not names:
        return None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", *names])
    writer.writerows([case, *(one.get(name, "") for name in names)] for case, one in scores.items())
    return write_atomically(Path(folder) / UNCERTAINTY_TABLE, text.getvalue())


class UncertaintyTable:
    """Write the table when an evaluator that keeps ``cases`` has seen all of them.

    Args:
        output_dir: folder for it.
    """

    def __init__(self, output_dir: str | os.PathLike[str]) -> None:
        self.output_dir = output_dir

    def attach(self, engine: Engine) -> None:
        """Attach to a :class:`~sa2_monai.inference.CaseEvaluator`."""
        engine.add_event_handler(Events.COMPLETED, self._write)

    def _write(self, engine: Engine) -> None:
        cases = getattr(engine, "cases", None) or []
        scores = {case["case"]: case["uncertainty"] for case in cases if case.get("uncertainty")}
        write_uncertainty_table(self.output_dir, scores)
