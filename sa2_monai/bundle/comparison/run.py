# SPDX-License-Identifier: Apache-2.0
"""A comparison from the first training to the report."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sa2_monai.bundle.comparison.differences import draw_differences
from sa2_monai.bundle.comparison.document import describe
from sa2_monai.bundle.comparison.page import comparison_page
from sa2_monai.bundle.comparison.request import CompareRequest
from sa2_monai.bundle.comparison.scores import scores_table
from sa2_monai.bundle.comparison.state import STATE, begin, record
from sa2_monai.bundle.comparison.table import comparison_table
from sa2_monai.bundle.comparison.train import train_networks
from sa2_monai.bundle.comparison.trainings import curves_of
from sa2_monai.bundle.crossval.out_of_fold import read_out_of_fold
from sa2_monai.bundle.launch import hold, signals_raise
from sa2_monai.io.atomic import write_atomically

__all__ = ["REPORT", "SCORES", "STATE", "TABLE", "compare_networks"]

REPORT, TABLE, SCORES = "report.html", "table.txt", "scores.csv"


def compare_networks(request: CompareRequest) -> dict[str, Any]:
    """Train the networks, score every case by models that have not seen it, and write the report.

    The same call goes on with what an interrupted one has left, also on another machine that shares the folder.

    Args:
        request: what is wanted.

    Returns:
        The content of ``compare.json``: ``configuration``; ``networks`` by name, each with ``folder``, ``error`` or
        ``scores``, ``runs`` and ``settings``; ``pairs``, ``costs``, ``recommendation``, ``caveats``.

    Raises:
        SwitchError: an unknown id, or a value that is no choice; before anything is read or written.
        OSError: a folder or file is missing, or the output folder cannot be written.
        ValueError: data that cannot be folded, or an output folder that holds another comparison.
        RuntimeError: every network failed; their messages stand above.
        KeyboardInterrupt, SystemExit: after a signal, when the programs have ended.
    """
    with signals_raise():
        state = begin(request)
        train_networks(request, state)
        folder = Path(request.output).absolute()
        with hold(folder / "costs", "report of a comparison"):
            return _report(request, state, folder)


def _report(request: CompareRequest, state: dict[str, Any], folder: Path) -> dict[str, Any]:
    folders = {name: Path(entry["folder"]) for name, entry in state["networks"].items() if "error" not in entry}
    if not folders:
        raise RuntimeError("every network failed; their messages stand above")
    results = {name: read_out_of_fold(where) for name, where in folders.items()}
    document = describe(request, state, results)
    page = comparison_page(
        document,
        results,
        curves_of(folders, request.folds),
        draw_differences(results),
        datetime.now(timezone.utc).date().isoformat(),
    )
    write_atomically(folder / SCORES, scores_table(results))
    write_atomically(folder / TABLE, comparison_table(document))
    write_atomically(folder / REPORT, page)
    record(request, document)
    return document
