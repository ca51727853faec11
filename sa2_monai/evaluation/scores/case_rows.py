# SPDX-License-Identifier: Apache-2.0
"""The clinical rows of one case: its own grid, distances in the unit of the file, missing structures by state."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sa2_monai.evaluation.cases.loading import LoadedCase
from sa2_monai.evaluation.scores.extra_metrics import extra_values
from sa2_monai.evaluation.scores.rows import clinical_row
from sa2_monai.metrics.structures import measure_structures

__all__ = ["case_rows", "diagonal", "sheared_axes"]


def sheared_axes(item: LoadedCase) -> np.ndarray | None:
    """Steps along the axes of a case's grid, as columns in millimetres, where these are not at right angles.

    Returns:
        ``(3, axes)``, the directions of the affine; ``None`` without an affine, or where the axes are orthogonal: the
        spacing says all then.
    """
    if item.geometry.affine is None or not item.geometry.sheared:
        return None
    return np.asarray(item.geometry.affine[:3, : item.reference.ndim], dtype=np.float64)


def diagonal(item: LoadedCase) -> float:
    """Length of the array's longest diagonal in the unit of the spacing, ``sqrt(sum((n_i s_i)²))`` without shear."""
    axes = sheared_axes(item)
    if axes is not None:
        edges = axes * np.asarray(item.reference.shape)
        signs = np.array(list(itertools.product((1, -1), repeat=edges.shape[1])))
        return float(np.linalg.norm(edges @ signs.T, axis=0).max())
    lengths = [n * s for n, s in zip(item.reference.shape, item.geometry.spacing, strict=True)]
    return float(np.sqrt(np.square(lengths).sum()))


def _voxel_volume(item: LoadedCase) -> float | None:
    if item.reference.ndim != 3 or item.geometry.unit != "mm":
        return None
    if item.geometry.affine is not None:
        return float(abs(np.linalg.det(item.geometry.affine[:3, :3])))
    return float(np.prod(item.geometry.spacing))


def _pixel_area(item: LoadedCase) -> float | None:
    """mm² of a pixel of an image whose spacing was given; a plane with an affine is measured as a volume is."""
    known = item.reference.ndim == 2 and item.geometry.unit == "mm" and item.geometry.affine is None
    return float(np.prod(item.geometry.spacing)) if known else None


def case_rows(
    item: LoadedCase, classes: Mapping[int, str], tolerances: Mapping[str, float], extra: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Compute the rows of one case, one per foreground class; a missing prediction counts as empty.

    Args:
        item: the case.
        classes: value -> name.
        tolerances: of the normalised surface distance, by name.
        extra: further columns, see :mod:`sa2_monai.evaluation.scores.extra_metrics`.

    Returns:
        The rows, in the order of the classes. Ignored pixels are background in both maps and no true negatives. On a
        sheared grid distances run between the positions that the affine gives to the voxel centres.

    Raises:
        ValueError: for a further column that a volume does not have.
    """
    prediction = item.predicted
    spacing, unit, voxel = item.geometry.spacing, item.geometry.unit, _voxel_volume(item)
    area = _pixel_area(item)
    axes = sheared_axes(item)
    structures = measure_structures(
        prediction,
        item.reference,
        [value for value in classes if value],
        spacing if axes is None else None,
        axes=axes,
    )
    ignored = 0 if item.ignored is None else int(np.count_nonzero(item.ignored))
    rows = []
    for value, found in structures.items():
        name = classes[value]
        structure = found._replace(counts=found.counts._replace(tn=found.counts.tn - ignored))
        row = clinical_row(item.case, value, name, structure, spacing, unit, tolerances[name], voxel, area)
        row.update(prediction_file=item.prediction_file, reference_file=item.geometry.source, resampled=item.resampled)
        row.update(extra_values(item, prediction, value, structure.counts, extra) if extra else {})
        rows.append(row)
    return rows
