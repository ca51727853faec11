# SPDX-License-Identifier: Apache-2.0
"""Loading of the cases of an evaluation, with all checks that come before a metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.evaluation.cases.classes import map_values, value_table
from sa2_monai.evaluation.cases.grids import fit_of, grid_difference, same_lattice
from sa2_monai.io.label_maps import DICOM, PREPROCESSED, LabelMap, read_label_map, resample_to
from sa2_monai.io.label_values import THRESHOLD
from sa2_monai.io.volumes.lattice import Fit

__all__ = ["CaseLoader", "InstanceMaps", "LoadedCase"]

_SHEARED = "reference: its axes are not at right angles; distances are measured from point to point, by the affine"


@dataclass(frozen=True)
class InstanceMaps:
    """Maps of a case that hold the numbers of its objects, where these are files of their own.

    Attributes:
        prediction: (H, W), 0 for background; ``None`` where it is missing.
        reference: the same; ``None`` where the label map has to do.
    """

    prediction: np.ndarray | None
    reference: np.ndarray | None


@dataclass(frozen=True)
class LoadedCase:
    """One case after the checks.

    Attributes:
        case: its name.
        prediction: class values on the grid of the reference, or ``None`` where there is no prediction.
        reference: class values.
        geometry: the reference as read, with spacing, unit and affine; its array holds the values of the file.
        raw_prediction: values of the prediction's file, or ``None``; on the grid of the reference only when it was not
            resampled.
        prediction_file: path as given, empty for an array or a missing prediction.
        resampled: whether the prediction was brought onto the grid of the reference.
        ignored: mask of the pixels that are left out, or ``None``; they are background in both maps (and 0 in
            ``geometry`` and ``raw_prediction``).
        original: the reference at its own size, where a paper family has brought it onto another grid.
        remarks: what is doubtful in the files but not wrong, one sentence each.
        instances: the numbers of the objects, where they are files of their own.
    """

    case: str
    prediction: np.ndarray | None
    reference: np.ndarray
    geometry: LabelMap
    prediction_file: str
    resampled: bool
    raw_prediction: np.ndarray | None = None
    ignored: np.ndarray | None = None
    original: np.ndarray | None = None
    remarks: tuple[str, ...] = ()
    instances: InstanceMaps | None = None

    @property
    def predicted(self) -> np.ndarray:
        """The prediction; a missing one is all background on the grid of the reference."""
        return np.zeros_like(self.reference) if self.prediction is None else self.prediction


@dataclass(frozen=True)
class CaseLoader:
    """Reads and checks single cases.

    Args:
        predictions: case -> path or array.
        references: case -> path or array.
        classes: value -> name, background included.
        label_values: table of the values in the reference files, see :class:`sa2_monai.evaluation.EvaluationOptions`.
        spacing: millimetres per axis for arrays and images, or ``None``.
        allow_resample: whether a prediction on another grid is brought onto that of the reference.
        same_grid: whether both must have one shape; the paper family ``image`` checks its grid itself.
        prediction_values: table of the values in the prediction files: ``None`` for the classes (with ``label_values``
            ``"threshold"`` the same threshold), ``"nonzero"`` where every value above 0 of a prediction is the one
            foreground class.
        ignore_value: value in the reference files whose pixels are left out; ``None`` for none.
        reference_objects: see :class:`~sa2_monai.evaluation.cases.case_files.CaseFiles`, as the next one.
        predicted_objects: ``None``: no numbers of objects are read.
    """

    predictions: Mapping[str, Any]
    references: Mapping[str, Any]
    classes: Mapping[int, str]
    label_values: Mapping[int, int] | str | None = None
    spacing: Any = None
    allow_resample: bool = False
    same_grid: bool = True
    prediction_values: str | None = None
    ignore_value: int | None = None
    reference_objects: Mapping[str, Any] = field(default_factory=dict)
    predicted_objects: Mapping[str, Any] | None = None

    def reference(self, case: str) -> tuple[LabelMap, np.ndarray]:
        """Return the reference as read and as class values; ignored pixels become background."""
        label = read_label_map(self.references[case], f"reference of case {case}", self.spacing)
        table = value_table(self.label_values, self.classes, lenient=label.affine is None)
        source = label.source or f"reference of case {case}"
        labels = map_values(label.array, table, self.classes, source, ignore_value=self.ignore_value)
        # the noise of a lossy file is nobody's business, least of all that of who looks for numbers of objects
        return (replace(label, array=labels) if table == THRESHOLD else label), labels

    def prediction(self, case: str) -> tuple[LabelMap, np.ndarray] | None:
        """Return the prediction as read and as class values, or ``None`` where there is no file."""
        item = self.predictions.get(case)
        if item is None or (isinstance(item, Path) and not item.is_file()):
            return None
        label = read_label_map(item, f"prediction of case {case}", self.spacing)
        values = self.prediction_values
        if values is None and self.label_values == THRESHOLD:
            values = THRESHOLD  # programs that read masks in JPEG files write them, too
        table = value_table(values, self.classes, lenient=label.affine is None)
        source = label.source or f"prediction of case {case}"
        labels = map_values(label.array, table, self.classes, source, "predictions hold the values of the classes")
        return (replace(label, array=labels) if table == THRESHOLD else label), labels

    def load(self, case: str) -> LoadedCase:
        """Read both maps of a case and check them against each other.

        Raises:
            FileNotFoundError: when the reference does not exist.
            ValueError: when a file cannot be read, holds unknown values, or the grids differ.
        """
        return self._without_ignored(replace(self._load(case), instances=self._instances(case)))

    def _without_ignored(self, item: LoadedCase) -> LoadedCase:
        if self.ignore_value is None:
            return item
        ignored = item.geometry.array == self.ignore_value
        if not ignored.any():
            return item

        def blank(array: np.ndarray | None) -> np.ndarray | None:
            # another shape: before it was resampled, or refused later
            return array if array is None or array.shape != ignored.shape else np.where(ignored, 0, array)

        return replace(
            item,
            prediction=blank(item.prediction),
            raw_prediction=blank(item.raw_prediction),
            geometry=replace(item.geometry, array=np.where(ignored, 0, item.geometry.array)),
            ignored=ignored,
            instances=item.instances
            and InstanceMaps(blank(item.instances.prediction), blank(item.instances.reference)),
        )

    def _load(self, case: str) -> LoadedCase:
        geometry, reference = self.reference(case)
        remarks = tuple(f"reference: {remark}" for remark in geometry.remarks)
        remarks += (_SHEARED,) * geometry.sheared
        found = self.prediction(case)
        if found is None:
            return LoadedCase(case, None, reference, geometry, "", False, remarks=remarks)
        label, prediction = found
        if geometry.source.lower().endswith(PREPROCESSED):
            # predictions of such files are written with an affine that says nothing, slices as volumes of one
            flat = prediction[..., 0] if prediction.shape == (*reference.shape, 1) else prediction
            label = LabelMap(flat, geometry.spacing, geometry.unit, None, label.source)
            prediction = flat
        resampled = False
        if self.same_grid:
            label, prediction, resampled, remark = self._on_grid(case, label, prediction, geometry)
            remarks += (f"prediction: {remark}",) if remark else ()
        # what holds of both is said of the reference
        remarks += tuple(f"prediction: {remark}" for remark in label.remarks if remark not in geometry.remarks)
        return LoadedCase(case, prediction, reference, geometry, label.source, resampled, label.array, remarks=remarks)

    def _instances(self, case: str) -> InstanceMaps | None:
        if self.predicted_objects is None:
            return None
        predicted, reference = (
            None if maps.get(case) is None else read_label_map(maps[case], f"instances of case {case}").array
            for maps in (self.predicted_objects, self.reference_objects)
        )
        return InstanceMaps(predicted, reference)

    def _on_grid(
        self, case: str, label: LabelMap, prediction: np.ndarray, geometry: LabelMap
    ) -> tuple[LabelMap, np.ndarray, bool, str]:
        """Prediction as read and as class values on the grid of the reference, whether resampled, and a remark."""
        fit = fit_of(label, geometry)
        if fit is not None and fit.same:
            # the same voxels, at most stored in another order of axes, as training takes them too
            array, prediction = (_turned(fit, values) for values in (label.array, prediction))
            return replace(label, array=array, affine=fit.affine), prediction, False, fit.remark
        problem = grid_difference(label, geometry)
        if not problem:
            return label, prediction, False, ""
        moved = replace(label, array=prediction)
        if label.source.lower().endswith(DICOM) and same_lattice(label, geometry):
            # DICOM SEG leaves empty slices out and turns the axes to its own order: the voxels are the same ones
            return label, resample_to(moved, geometry), False, ""
        both = label.affine is not None and geometry.affine is not None
        if both and self.allow_resample:
            return label, resample_to(moved, geometry), True, ""
        raise ValueError(
            f"case {case}: {problem} (prediction {label.source or 'array'}, reference {geometry.source or 'array'}); "
            f"save predictions on the grid of the reference{', or allow resampling (--resample)' if both else ''}"
        )


def _turned(fit: Fit, array: np.ndarray) -> np.ndarray:
    """An array of a prediction, also a 2D one, in the order of its reference."""
    return fit.turned(array[:, :, None])[:, :, 0] if array.ndim == 2 else fit.turned(array)
