# SPDX-License-Identifier: Apache-2.0
"""Class names and label tables of the abdominal CT set "Synapse" (BTCV), and which numbering some labels have.

Three numberings of the same organs are in circulation, under the same file names. A table that is applied to the wrong
one, or twice, exchanges organs without any error; so the numbering is told from the label values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sa2_monai.io.label_values import LabelTable

__all__ = ["SYNAPSE_CLASSES", "SYNAPSE_TABLES", "check_numbering", "numbering"]

#: Classes in the order of TransUNet's archive and of the papers that use it, background first.
SYNAPSE_CLASSES = (
    "background",
    "aorta",
    "gallbladder",
    "left kidney",
    "right kidney",
    "liver",
    "pancreas",
    "spleen",
    "stomach",
)

#: Label tables value in the file -> class of :data:`SYNAPSE_CLASSES`, by numbering: ``"raw"`` (the 13 structures as
#: downloaded, and the CASCADE archive), ``"transunet"`` (its archive) and ``"samed"`` (its archive).
SYNAPSE_TABLES: dict[str, dict[int, int]] = {
    "raw": {0: 0, 1: 7, 2: 4, 3: 3, 4: 2, 5: 0, 6: 5, 7: 8, 8: 1, 9: 0, 10: 0, 11: 6, 12: 0, 13: 0},
    "transunet": {value: value for value in range(9)},
    "samed": {0: 0, 1: 7, 2: 4, 3: 3, 4: 2, 5: 5, 6: 8, 7: 1, 8: 6},
}

_SPLEEN, _AORTA = 7, 1  # classes of TransUNet; SAMed has them the other way round


def numbering(voxels: Mapping[Any, int]) -> str | None:
    """Which numbering labels have, by the values and by size: the spleen is larger than the aorta.

    Args:
        voxels: number of voxels by value, summed over some cases (one alone may lack a spleen).

    Returns:
        A key of :data:`SYNAPSE_TABLES`, or ``None`` where the values do not tell.
    """
    if any(value > 8 for value in voxels):
        return "raw"
    seven, one = voxels.get(_SPLEEN, 0), voxels.get(_AORTA, 0)
    if seven == one:
        return None
    return "transunet" if seven > one else "samed"


def check_numbering(voxels: Mapping[Any, int], table: LabelTable) -> tuple[str, str, str] | None:
    """Whether the label table is that of the numbering of the labels.

    Args:
        voxels: number of voxels by value, summed over the cases.
        table: value in the file -> class. A table that is none of :data:`SYNAPSE_TABLES` is not judged.

    Returns:
        ``None`` where nothing speaks against it, else what is wrong as (kind, what was found, hint).
    """
    assumed = next((name for name, known in SYNAPSE_TABLES.items() if known == table), None)
    found = numbering(voxels)
    if assumed is None or found is None or found == assumed:
        return None
    evidence = (
        f"the values go up to {max(voxels):g}"
        if found == "raw"
        else f"no value above 8, {voxels.get(7, 0)} voxels of 7 and {voxels.get(1, 0)} of 1"
        " (spleen and aorta in TransUNet's order, the reverse in SAMed's)"
    )
    return (
        f"labels numbered otherwise than label_values assumes: {_NAMES[found]}, not {_NAMES[assumed]}",
        evidence,
        f"set label_values to sa2_monai.data.SYNAPSE_TABLES[{found!r}]: {SYNAPSE_TABLES[found]}",
    )


_NAMES = {
    "raw": "the 13 structures as downloaded",
    "transunet": "the 8 organs in TransUNet's order",
    "samed": "the 8 organs in SAMed's order",
}
