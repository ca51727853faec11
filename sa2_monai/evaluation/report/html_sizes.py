# SPDX-License-Identifier: Apache-2.0
"""The tables of the HTML report that go by the size of the largest object."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from sa2_monai.evaluation.report.html_parts import number, span, table
from sa2_monai.evaluation.scores.size_strata import PUBLISHED_COLUMNS, STRATA_COLUMNS

__all__ = ["size_strata", "size_subsets"]


def _below(limit: str, name: str) -> str:
    return f"&lt; {escape(limit)} %" + (f"<br><small>{escape(name)}</small>" if name else "")


def size_strata(block: Mapping[str, Any] | None) -> str:
    """The strata of the clinical protocol, one line per class and one for the mean of the class means (HTML)."""
    if not block:
        return ""
    strata = block["below_percent"]
    keys = [key for key in STRATA_COLUMNS if any(key in stratum.get("overall", {}) for stratum in strata.values())]
    rows = []
    for limit, stratum in strata.items():
        first, count = _below(limit, stratum["name"]), str(stratum["images"])
        if not stratum["images"]:
            rows.append((first, count, *[number(None)] * (len(keys) + 1)))
            continue
        lines = [(escape(name), values, "mean") for name, values in stratum["per_class"].items()]
        if len(lines) > 1:
            lines.append(("mean of classes", stratum["overall"], "mean_of_class_means"))
        for title, values, mean in lines:
            cells = [
                f"{number(values[key][mean])}<br><small>"
                f"{span(values[key]['ci95_low'], values[key]['ci95_high'])}</small>"
                for key in keys
            ]
            rows.append((first, count, title, *cells))
            first = count = ""
    head = ("largest object", "images", "class", *(STRATA_COLUMNS[key] for key in keys))
    text = f"<p>Cumulative; size: {escape(block['size'])}. Images without an object are in every line.</p>"
    return text + table(head, rows)


def size_subsets(block: Mapping[str, Any] | None) -> str:
    """The cumulative subsets of the paper family ``size_range`` (HTML)."""
    if not block:
        return ""
    rows = []
    for limit, subset in block.items():
        values = {**subset, **subset.get("micro", {})}  # the lists by class make place for their weighted means
        cells = [number(values.get(key)) for key in PUBLISHED_COLUMNS]
        rows.append((_below(limit, ""), str(subset["images"]), *cells))
    return table(("largest object", "images", *PUBLISHED_COLUMNS.values()), rows)
