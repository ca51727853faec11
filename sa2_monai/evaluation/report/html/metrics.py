# SPDX-License-Identifier: Apache-2.0
"""What the metrics of a report are called, and what those of its first table mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sa2_monai.evaluation.scores.extra_metrics import EXTRA_METRICS

__all__ = ["FIRST", "PLOTTED", "SHARES", "TITLES", "explanations", "metric_title"]

#: Name -> title, in the order of the tables.
TITLES = {
    "dice": "Dice",
    "jaccard": "IoU",
    "nsd": "NSD",
    "precision": "Precision",
    "sensitivity": "Sensitivity",
    "hd95": "HD95",
    "hd": "HD",
    "assd": "ASSD",
    "relative_volume_difference": "Relative volume difference",
    **EXTRA_METRICS,
}
#: Those that the first table shows.
FIRST = ("dice", "nsd", "hd95")
#: Those that are plotted.
PLOTTED = ("dice", "nsd", "hd95", "assd", "relative_volume_difference")
#: Those that lie between 0 and 1.
SHARES = {"dice", "jaccard", "nsd", "precision", "sensitivity", *EXTRA_METRICS}
_DISTANCES = {"hd95", "hd", "assd", "masd"}


def metric_title(name: str, unit: str) -> str:
    """The title of a metric, of a distance with its unit."""
    title = TITLES.get(name, name)
    return f"{title} [{unit}]" if name in _DISTANCES else title


def explanations(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """One line for each metric of the first table that a summary has: title and meaning."""
    protocol = summary["protocol"]
    unit, tolerances = protocol["unit"], protocol.get("tolerance")
    if isinstance(tolerances, Mapping):
        values = set(tolerances.values())
        same = f"{next(iter(values)):g} {unit}" if len(values) == 1 else "the tolerance of the class"
    else:
        same = "the tolerance"
    directed = protocol.get("hd95") == "directed-maximum"
    meaning = {
        "dice": "overlap of prediction and reference: 1 where they are the same, 0 where they share no pixel.",
        "nsd": f"normalised surface distance: the share of both outlines that lies within {same} of the other one; "
        "1 is best.",
        "hd95": f"95 % of an outline lie closer to the other one than this, in {unit}"
        + ("; the larger of both directions" if directed else "")
        + ". 0 is best; a missed structure has none and is counted instead.",
    }
    return [(TITLES[name], meaning[name]) for name in FIRST if name in summary["overall"]]
