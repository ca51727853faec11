# SPDX-License-Identifier: Apache-2.0
"""Further columns of the per-case table, which are computed when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sa2_monai.evaluation.cases.loading import LoadedCase
from sa2_monai.metrics import centreline, foreground, overlap
from sa2_monai.metrics.overlap import Counts
from sa2_monai.metrics.structure_measure import s_measure

__all__ = ["EXTRA_METRICS", "FLAT_METRICS", "ISIC_THRESHOLD", "check_extra_metrics", "extra_values"]

#: Name -> title in tables.
EXTRA_METRICS = {
    "f2": "F2",
    "mean_absolute_error": "MAE",
    "e_measure": "E-measure",
    "s_measure": "S-measure",
    "thresholded_jaccard": "thresholded IoU",
    "cldice": "clDice",
}
#: Those that are defined for images alone.
FLAT_METRICS = ("e_measure", "s_measure")
#: Below it the official score of ISIC 2018, task 1, gives an image nothing.
ISIC_THRESHOLD = 0.65


def check_extra_metrics(names: Sequence[str] | str | None, protocol: str) -> tuple[str, ...]:
    """Check the option ``extra_metrics`` and return it in the order of :data:`EXTRA_METRICS`.

    Raises:
        ImportError: ``cldice`` without scikit-image.
        ValueError: for an unknown name, or the paper protocol.
    """
    if not names:
        return ()
    wanted = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in wanted if name not in EXTRA_METRICS]
    if unknown:
        raise ValueError(f"extra_metrics names {unknown}, expected some of {', '.join(EXTRA_METRICS)}")
    if protocol != "clinical":
        raise ValueError("extra_metrics belongs to the clinical protocol; the paper families have their own values")
    if "cldice" in wanted:
        centreline.require_skeletonize()
    return tuple(name for name in EXTRA_METRICS if name in wanted)


def extra_values(
    item: LoadedCase, prediction: np.ndarray, value: int, counts: Counts, names: Sequence[str]
) -> dict[str, float]:
    """Compute the further values of one class of a case.

    Args:
        item: the case.
        prediction: its class values; background where there is none.
        value: the class, which is compared with everything else.
        counts: its pixels, without the ignored ones.
        names: some of :data:`EXTRA_METRICS`.

    Returns:
        Name -> value; all ``NaN`` for a class that is in neither map. Ignored pixels are in none of them but the
        S-measure and the centre lines, which need the whole image: there they are background in both masks. The
        E-measure is that of its authors (:func:`sa2_monai.metrics.enhanced_alignment`), in the paper family
        ``size_range`` that of the publication.

    Raises:
        ValueError: for a metric of images on a volume.
    """
    flat = [name for name in names if name in FLAT_METRICS]
    if flat and item.reference.ndim != 2:
        raise ValueError(f"case {item.case}: {', '.join(flat)} is defined for images, this is a volume; leave it out")
    if not counts.prediction and not counts.reference:
        return dict.fromkeys(names, math.nan)
    masks = prediction == value, item.reference == value
    jaccard = overlap.jaccard(counts)
    values = {
        "f2": lambda: overlap.f_beta(counts),
        "mean_absolute_error": lambda: 1 - overlap.accuracy(counts),
        "e_measure": lambda: foreground.enhanced_alignment_of_counts(counts),
        "s_measure": lambda: s_measure(*masks),
        "thresholded_jaccard": lambda: jaccard if jaccard >= ISIC_THRESHOLD else 0.0,
        "cldice": lambda: centreline.cldice(*masks),
    }
    return {name: float(values[name]()) for name in names}
