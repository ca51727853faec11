# SPDX-License-Identifier: Apache-2.0
"""What the families of the paper protocol share: the report of a family, its rows, and its deviations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sa2_monai.evaluation.cases.loading import LoadedCase
from sa2_monai.evaluation.paper_options import PaperOptions
from sa2_monai.evaluation.scores.rows import empty_row
from sa2_monai.metrics.overlap import Counts

__all__ = ["FamilyReport", "binary_name", "grid_deviation", "paper_row", "some_cases"]


def some_cases(cases: Sequence[str], shown: int = 5) -> str:
    """Name cases in a sentence: the first few, and how many more there are."""
    more = f" and {len(cases) - shown} more" if len(cases) > shown else ""
    return f"case{'s' if len(cases) > 1 else ''} {', '.join(cases[:shown])}{more}"


@dataclass
class FamilyReport:
    """What a family computes.

    Attributes:
        rows: per case and class, with the columns of the per-case table; what is not published is ``NaN``.
        names: classes of the rows.
        metrics: columns that the publication averages over cases; empty for pooled families.
        values: the numbers of the publication.
        protocol: entries that describe the variant (grid, options).
        deviations: where the run differs from the publication.
    """

    rows: list[dict[str, Any]]
    names: list[str]
    metrics: tuple[str, ...]
    values: dict[str, Any]
    protocol: dict[str, Any]
    deviations: list[str] = field(default_factory=list)


def paper_row(item: LoadedCase, value: int, name: str, counts: Counts) -> dict[str, Any]:
    """Return a row in pixels with files, state and counts, and no metric yet."""
    row = empty_row(item.case, value, name, counts, [1.0] * item.geometry.array.ndim, "px")
    row.update(prediction_file=item.prediction_file, reference_file=item.geometry.source)
    return row


def binary_name(classes: Mapping[int, str], family: str) -> tuple[int, str]:
    """Return the one foreground class.

    Raises:
        ValueError: when there are more classes.
    """
    foreground = [(value, name) for value, name in classes.items() if value]
    if len(foreground) != 1:
        raise ValueError(f"family {family!r} is defined for one class beside the background, got {dict(classes)}")
    return foreground[0]


def grid_deviation(grid: tuple[int, int], published: int, options: PaperOptions | None = None) -> list[str]:
    """Name a grid that is not the published one, and predictions that were not made on it."""
    found = []
    if grid != (published, published):
        found.append(f"measured at {grid[0]}x{grid[1]}, the publication at {published}x{published}")
    if options is not None and options.resize_predictions:
        found.append("predictions of another size were brought onto the grid by nearest neighbour")
    return found
