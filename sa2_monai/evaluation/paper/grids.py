# SPDX-License-Identifier: Apache-2.0
"""The grid on which a family of the paper protocol compares images, and how references come onto it.

Each publication resizes its masks by nearest neighbour, and each by another library with another idea of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import zoom

from sa2_monai.evaluation.cases.case_files import CaseFiles
from sa2_monai.evaluation.cases.loading import CaseLoader, LoadedCase
from sa2_monai.evaluation.options import EvaluationOptions

__all__ = ["RULES", "RULES_BACK", "GridLoader", "grid_arguments", "nearest_samples", "resize_labels"]

#: Family -> rule of :func:`nearest_samples`.
RULES = {"pooled": "floor", "cell": "floor", "image_2d": "zoom", "size_range": "centre"}
#: The same for predictions that the ``paper`` view brought to the size of the image: back the way they came. The
#: images of ``image_2d`` are resized with the spline, which keeps both end samples; all others keep the edges.
RULES_BACK = {"pooled": "centre", "cell": "centre", "image_2d": "aligned", "size_range": "centre"}


def nearest_samples(n: int, m: int, rule: str) -> np.ndarray:
    """Sample of ``n`` that each of ``m`` samples shows.

    Args:
        n: samples of the input.
        m: samples of the output.
        rule: ``"floor"``: PyTorch's ``nearest`` (torchvision on tensors), ``floor(i n / m)`` in single precision;
            ``"centre"``: Pillow's, ``floor((i + 1/2) n / m)`` but for its rounding; ``"zoom"``: SciPy's zoom of
            order 0, which keeps both end samples, and of some pairs of sizes loses the last one; ``"aligned"``: the
            same without that loss.

    Returns:
        int64 vector ``(m,)``; -1 for a sample outside, which becomes background.
    """
    if rule == "floor":
        scale = np.float32(n) / np.float32(m)
        return np.minimum(np.floor(np.arange(m, dtype=np.float32) * scale).astype(np.int64), n - 1)
    if rule == "centre":
        indices = Image.fromarray(np.arange(n, dtype=np.int32)[None])
        return np.asarray(indices.resize((m, 1), Image.Resampling.NEAREST), dtype=np.int64)[0]
    # counted from 1, so that the 0 of what lies outside can be told from the first sample
    mode = "constant" if rule == "zoom" else "mirror"
    return np.asarray(zoom(np.arange(1, n + 1, dtype=np.float64), m / n, order=0, mode=mode).astype(np.int64) - 1)


def resize_labels(labels: np.ndarray, grid: tuple[int, int], rule: str) -> np.ndarray:
    """Resize a label map ``(H, W)`` by nearest neighbour; one that lies on the grid comes back as it is."""
    if labels.shape == grid:
        return labels
    rows, columns = (
        np.arange(m) if n == m else nearest_samples(n, m, rule) for n, m in zip(labels.shape, grid, strict=True)
    )
    resized = labels[np.ix_(rows, columns)]
    resized[rows < 0] = 0
    resized[:, columns < 0] = 0
    return resized


@dataclass(frozen=True)
class GridLoader(CaseLoader):
    """Loads references of any size onto the grid of a family; predictions must lie on it already.

    Args:
        family: one of :data:`RULES`.
        grid: rows and columns.
        resize_predictions: whether predictions may have the size of the reference's file.
    """

    same_grid: bool = False
    family: str = "pooled"
    grid: tuple[int, int] = (224, 224)
    resize_predictions: bool = False

    def load(self, case: str) -> LoadedCase:
        """Read a case and bring it onto the grid.

        Raises:
            FileNotFoundError: when the reference does not exist.
            ValueError: when a map is no image, or the prediction lies on another grid.
        """
        item = super().load(case)
        rule, reference, prediction = RULES[self.family], item.reference, item.prediction
        if reference.ndim != 2:
            raise ValueError(
                f"case {case}: {item.geometry.source or 'the reference'} has shape {reference.shape}, family "
                f"{self.family!r} compares images (H, W)"
            )
        if prediction is not None and prediction.shape != self.grid:
            if not (self.resize_predictions and prediction.shape == reference.shape):
                raise ValueError(self._off_grid(item, prediction))
            prediction = resize_labels(prediction, self.grid, RULES_BACK[self.family])
        return replace(
            item,
            prediction=prediction,
            reference=resize_labels(reference, self.grid, rule),
            ignored=None if item.ignored is None else resize_labels(item.ignored, self.grid, rule),
            original=reference,
        )

    def _without_ignored(self, item: LoadedCase) -> LoadedCase:
        # the prediction keeps what it says there: the published E-measure and MAE look at it
        ignored = None if self.ignore_value is None else item.geometry.array == self.ignore_value
        return replace(item, ignored=ignored)

    def _off_grid(self, item: LoadedCase, prediction: np.ndarray) -> str:
        size = f"{self.grid[0]}x{self.grid[1]}"
        text = (
            f"case {item.case}: the prediction {item.prediction_file or '(array)'} has shape {prediction.shape}, "
            f"family {self.family!r} compares at {size}; run inference with the paper overlay, it writes that"
        )
        if prediction.shape == item.reference.shape and not self.resize_predictions:
            return f"{text}, or set resize_predictions to bring label maps of the reference's size onto it"
        if self.resize_predictions:
            return f"{text}, or save predictions at the size of the reference, {item.reference.shape}"
        return f"{text}, or set grid"


def grid_arguments(cases: CaseFiles, options: EvaluationOptions, published: int) -> dict[str, Any]:
    """The arguments of :class:`GridLoader`.

    Args:
        cases: the files.
        options: of the protocol.
        published: rows and columns of the published grid.
    """
    return {
        "predictions": cases.label_maps(options.prediction_suffix),
        "references": cases.references,
        "classes": options.table,
        "label_values": options.label_values,
        "ignore_value": options.published.ignore_value,
        "family": options.family,
        "grid": options.published.grid_size(published),
        "resize_predictions": options.published.resize_predictions,
    }
