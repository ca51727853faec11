# SPDX-License-Identifier: Apache-2.0
"""The summary once more for images with small objects: cumulative strata by the share of the largest object.

The limits are those of SvANet's evaluation, where objects below 1 % of the image are called ultra-small and those below
10 % small. The size of an object is here the pixel count of the largest 8-connected component of one class; the
publication takes the area inside its outer contour after a closing, which is smaller (a single pixel has area 0, a
rectangle (w - 1)(h - 1)) and larger where there are holes: nearly the same for lesions, two to four times as much for
vessels, whose loops it fills. The paper family ``size_range`` can repeat it (``size="contour"``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sa2_monai.evaluation.cases.loading import LoadedCase
from sa2_monai.evaluation.scores.extra_metrics import EXTRA_METRICS
from sa2_monai.evaluation.scores.statistics import Bootstrap
from sa2_monai.evaluation.scores.summary import summarize_stratum
from sa2_monai.metrics.instances import largest_object_percent

__all__ = [
    "LIMITS",
    "NAMES",
    "PUBLISHED_COLUMNS",
    "SIZE_COLUMN",
    "STRATA_COLUMNS",
    "check_size_strata",
    "object_percent",
    "stratum_name",
    "summarize_strata",
]

#: Published limits, in percent of the image.
LIMITS = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 100.0)
#: What the publication calls the objects below a limit.
NAMES = {1.0: "ultra-small", 10.0: "small"}
#: Columns of the strata of the clinical protocol, where there are such.
STRATA_COLUMNS = {
    "dice": "Dice",
    "jaccard": "IoU",
    "precision": "Precision",
    "sensitivity": "Sensitivity",
    **EXTRA_METRICS,
}
#: Columns of the subsets of the paper family ``size_range``: those of the averaged classes, those of the foreground.
PUBLISHED_COLUMNS = {
    "dice": "mDice",
    "iou": "mIoU",
    "recall": "sensitivity",
    "precision": "precision",
    "f2": "F2",
    "mean_absolute_error": "MAE",
    "e_measure": "E-measure",
    "s_measure": "S-measure",
}
#: Column of the per-case table.
SIZE_COLUMN = "object_percent"


def check_size_strata(strata: Sequence[float] | bool | None, protocol: str) -> tuple[float, ...]:
    """Check the option ``size_strata`` and return the limits, sorted; none when it is off.

    Raises:
        ValueError: for limits outside (0, 100], or the paper protocol.
    """
    if strata is None or strata is False:
        return ()
    if protocol != "clinical":
        raise ValueError("size_strata belongs to the clinical protocol; the paper family 'size_range' has its own")
    limits = LIMITS if strata is True or not len(strata) else tuple(sorted({float(limit) for limit in strata}))
    if not all(0 < limit <= 100 for limit in limits):
        raise ValueError(f"size_strata is {strata!r}, expected percents of the image above 0 and up to 100")
    return limits


def stratum_name(limit: float) -> str:
    """The published word for objects below a limit, or an empty text."""
    return NAMES.get(float(limit), "")


def object_percent(item: LoadedCase) -> float:
    """Size of the largest object of a case's reference in percent of the image; 0 without any.

    Raises:
        ValueError: for a volume.
    """
    if item.reference.ndim != 2:
        raise ValueError(
            f"case {item.case}: size_strata is defined for images, this is a volume {item.reference.shape}; leave it "
            "out"
        )
    return largest_object_percent(item.reference)


def summarize_strata(
    rows: Sequence[Mapping[str, Any]],
    sizes: Mapping[str, float],
    limits: Sequence[float],
    names: Sequence[str],
    bootstrap_of: Callable[[Sequence[str]], Bootstrap],
    extra: Sequence[str] = (),
) -> dict[str, Any]:
    """Summarise the cases below every limit.

    Args:
        rows: one per case and class.
        sizes: case -> percent.
        limits: in percent; a case belongs to every stratum whose limit is above its size, one without an object to all.
        names: of the classes.
        bootstrap_of: makes the draws over given cases.
        extra: further metrics.

    Returns:
        ``size`` (the definition), ``limits``, ``object_percent`` by case, and ``below_percent``: limit -> ``name``,
        ``images``, ``cases``, ``few_cases``, and the blocks ``per_class`` and ``overall`` of a summary.
    """
    below: dict[str, Any] = {}
    for limit in limits:
        cases = sorted(case for case, size in sizes.items() if size < limit)
        stratum = summarize_stratum(rows, cases, names, bootstrap_of, extra)
        below[f"{limit:g}"] = {"name": stratum_name(limit), **stratum}
    return {
        "size": "pixels of the largest 8-connected object of one class, in percent of the image",
        "limits": [float(limit) for limit in limits],
        SIZE_COLUMN: dict(sorted(sizes.items())),
        "below_percent": below,
    }
