# SPDX-License-Identifier: Apache-2.0
"""One row of the per-case table: all clinical values of one case and class."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from sa2_monai.io.text import csv_cell
from sa2_monai.metrics import overlap, surface
from sa2_monai.metrics.overlap import Counts
from sa2_monai.metrics.structures import Structure

__all__ = ["AREAS", "COLUMNS", "METRICS", "STATES", "clinical_row", "csv_table", "empty_row", "rows_to_csv", "state_of"]

STATES = ("ok", "missed", "spurious", "absent")
OVERLAPS = ("dice", "jaccard", "precision", "sensitivity", "specificity")
DISTANCES = ("hd95", "hd", "assd", "masd")
VOLUMES = ("volume_pred_ml", "volume_ref_ml", "volume_difference_ml", "relative_volume_difference")
#: Of 2D images whose pixels have a known size, behind the other columns.
AREAS = ("area_pred_mm2", "area_ref_mm2", "area_difference_mm2")
METRICS = (*OVERLAPS, "nsd", *DISTANCES, *VOLUMES)
COLUMNS = (
    "case",
    "class_value",
    "class_name",
    "status",
    *METRICS,
    "voxels_pred",
    "voxels_ref",
    "voxels_both",
    "spacing_0",
    "spacing_1",
    "spacing_2",
    "unit",
    "tolerance",
    "prediction_file",
    "reference_file",
    "resampled",
)
_NAN = float("nan")


def state_of(counts: Counts) -> str:
    """State of a structure from pixel counts: ``ok``, ``missed``, ``spurious`` or ``absent``."""
    if counts.reference:
        return "ok" if counts.prediction else "missed"
    return "spurious" if counts.prediction else "absent"


def empty_row(
    case: str, value: int, name: str, counts: Counts, spacing: Sequence[float], unit: str, tolerance: float = _NAN
) -> dict[str, Any]:
    """Return a row with state and counts in which every metric is ``NaN``."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS, _NAN)
    row.update(case=case, class_value=value, class_name=name, status=state_of(counts))
    row.update(voxels_pred=counts.prediction, voxels_ref=counts.reference, voxels_both=counts.tp)
    row.update({f"spacing_{axis}": float(step) for axis, step in enumerate(spacing)})
    row.update(unit=unit, tolerance=tolerance, prediction_file="", reference_file="", resampled=False)
    return row


def clinical_row(
    case: str,
    value: int,
    name: str,
    structure: Structure,
    spacing: Sequence[float],
    unit: str,
    tolerance: float,
    voxel_volume: float | None = None,
    pixel_area: float | None = None,
) -> dict[str, Any]:
    """Compute the clinical values of one case and class.

    Args:
        case: name of the case.
        value: value of the class.
        name: name of the class.
        structure: counts and surface distances of the class.
        spacing: distance of pixel centres per axis in ``unit``.
        unit: ``"mm"`` or ``"px"``.
        tolerance: of the normalised surface distance, in ``unit``.
        voxel_volume: mm³ of one voxel; ``None`` where volumes have no meaning (2D, pixels).
        pixel_area: mm² of one pixel of a 2D image; ``None`` where it is not known.

    Returns:
        A dict with the keys :data:`COLUMNS`, with a pixel area :data:`AREAS`, too; undefined values are ``NaN``. The
        state comes from the counts; an absent structure has no Dice, a missed or spurious one has Dice 0, NSD 0 and no
        distances.
    """
    counts, vectors = structure
    row = empty_row(case, value, name, counts, spacing, unit, tolerance)
    for metric in OVERLAPS:
        row[metric] = getattr(overlap, metric)(counts)
    row["nsd"] = surface.nsd(*vectors, tolerance)
    for metric in DISTANCES:
        row[metric] = getattr(surface, metric)(*vectors)
    if voxel_volume is not None:
        v_pred, v_ref = (n * voxel_volume / 1000 for n in (counts.prediction, counts.reference))
        row.update(volume_pred_ml=v_pred, volume_ref_ml=v_ref, volume_difference_ml=v_pred - v_ref)
        row["relative_volume_difference"] = (v_pred - v_ref) / v_ref if v_ref else _NAN
    if pixel_area is not None:
        a_pred, a_ref = (n * pixel_area for n in (counts.prediction, counts.reference))
        row.update(area_pred_mm2=a_pred, area_ref_mm2=a_ref, area_difference_mm2=a_pred - a_ref)
    return row


def _text(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)):
        return "" if math.isnan(value) else repr(float(value))
    return str(csv_cell(value))


def rows_to_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows of cases and classes as CSV text.

    Columns that were asked for beyond :data:`COLUMNS` stand behind these.
    """
    return csv_table([*COLUMNS, *(name for name in (rows[0] if rows else ()) if name not in COLUMNS)], rows)


def csv_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a table as CSV text: full precision, an empty field for ``NaN``, lines ending in a line feed.

    Args:
        columns: names of the columns, the first line.
        rows: one mapping per line, with at least these names.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_text(row[column]) for column in columns] for row in rows)
    return stream.getvalue()
