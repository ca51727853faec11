# SPDX-License-Identifier: Apache-2.0
"""The clinical values of every case inside a MONAI engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.metrics import CumulativeIterationMetric

from sa2_monai.metrics import surface
from sa2_monai.metrics.structures import measure_structures

__all__ = ["CaseMetric"]

_PIECE = 2**20  # pixels that are counted together


class CaseMetric(CumulativeIterationMetric):
    """Collects the values of all classes per case; the headline is the mean of class means of the clinical Dice.

    Inputs are class-index maps, ``(1, H, W)`` each in a list or ``(B, 1, H, W)``, the same with three axes for volumes.
    The state of a structure comes from pixel counts: a missed or spurious structure has Dice 0, one that is in neither
    map is left out. Every case gives rows of one fixed size, so that lists of decollated maps, batches and several
    processes can be gathered alike.

    Args:
        num_classes: number of classes, background included.
        distances: compute the surface distances too (NumPy, on the CPU; off by default because training does not need
            them).
        tolerance: of the normalised surface distance, in the unit of ``spacing``.
        spacing: distance of pixel centres per axis, or ``None`` for pixels.
        ignore_value: value of the reference at pixels without a label, which are left out; not one of the classes.
            Where it is no byte, such as -1, 255 is left out, too, which ``MapLabelsd`` makes of it. For the distances
            such a pixel is background in both maps. ``None``: there are none.

    Raises:
        ValueError: for fewer than two classes, or an ``ignore_value`` that is a class; when called, for maps of another
            shape or with values that are no class.
    """

    VALUES = (
        *("tp", "fp", "fn", "tn"),
        *("dice", "jaccard", "precision", "sensitivity", "specificity"),
        *("nsd", "hd95", "hd", "assd", "masd"),
    )

    def __init__(
        self,
        num_classes: int,
        *,
        distances: bool = False,
        tolerance: float = 2.0,
        spacing: Sequence[float] | None = None,
        ignore_value: int | None = None,
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"num_classes is {num_classes}, expected the background and at least one class")
        if ignore_value is not None and 0 <= ignore_value < num_classes:
            raise ValueError(f"ignore_value is {ignore_value}, expected a number that is none of 0..{num_classes - 1}")
        self.num_classes = num_classes
        self.distances = distances
        self.tolerance = tolerance
        self.spacing = spacing
        self.ignore_value = ignore_value

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None, **kwargs: Any) -> torch.Tensor:
        """Return the rows ``(B, classes without background, values)`` of a batch."""
        if y is None:
            raise ValueError("CaseMetric needs the reference y as well as y_pred")
        prediction, reference = (m.as_tensor() if isinstance(m, MetaTensor) else m for m in (y_pred, y))
        if prediction.shape != reference.shape or prediction.ndim not in (4, 5) or prediction.shape[1] != 1:
            raise ValueError(
                f"y_pred has shape {tuple(prediction.shape)}, y {tuple(reference.shape)}: expected equal class-index "
                "maps (1, H, W) in lists or (B, 1, H, W); apply arg max or the threshold first"
            )
        return torch.stack([self._rows(p[0], r[0]) for p, r in zip(prediction, reference, strict=True)])

    def _rows(self, prediction: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        ignored: torch.Tensor | None = None
        if self.ignore_value is not None:
            ignored = reference == self.ignore_value
            if self.ignore_value not in range(256):
                ignored = ignored | (reference == 255)  # what MapLabelsd makes of it
            prediction, reference = (labels.masked_fill(ignored, 0) for labels in (prediction, reference))
        for name, labels in (("y_pred", prediction), ("y", reference)):
            low, high = labels.min(), labels.max()
            whole = not labels.is_floating_point() or torch.equal(labels, labels.trunc())
            if low < 0 or high >= self.num_classes or not whole:
                raise ValueError(
                    f"{name} holds values from {float(low):g} to {float(high):g}, "
                    f"expected class indices 0..{self.num_classes - 1}"
                )
        matrix = self._pairs(prediction, reference, ignored)
        tp = matrix.diagonal()[1:].double()
        fp, fn = matrix.sum(dim=0)[1:] - tp, matrix.sum(dim=1)[1:] - tp
        tn = matrix.sum() - tp - fp - fn
        values = [tp, fp, fn, tn, 2 * tp / (2 * tp + fp + fn), tp / (tp + fp + fn)]
        values += [tp / (tp + fp), tp / (tp + fn), tn / (tn + fp)]  # 0/0 is NaN
        rows = torch.stack([*values, *[torch.full_like(tp, torch.nan)] * 5], dim=1)
        if self.distances:
            maps = (labels.cpu().numpy().astype(np.int64) for labels in (prediction, reference))
            rows[:, 9:] = torch.from_numpy(self._surface(*maps))
        # MPS has no double precision
        return rows.float().to(prediction.device) if prediction.device.type == "mps" else rows.to(prediction.device)

    def _pairs(self, prediction: torch.Tensor, reference: torch.Tensor, ignored: torch.Tensor | None) -> torch.Tensor:
        """Numbers of pixels (K, K) by class of the reference and of the prediction, counted a few rows at a time."""
        classes = self.num_classes
        pairs = torch.zeros(classes**2, dtype=torch.int64, device=prediction.device)
        step = max(1, _PIECE * len(prediction) // max(prediction.numel(), 1))
        for start in range(0, len(prediction), step):
            part = slice(start, start + step)
            both = reference[part].to(torch.int64) * classes + prediction[part].to(torch.int64)
            both = both.flatten() if ignored is None else both[~ignored[part]]
            pairs += torch.bincount(both, minlength=classes**2)
        return pairs.reshape(classes, classes).cpu()

    def _surface(self, prediction: np.ndarray, reference: np.ndarray) -> np.ndarray:
        values = []
        for structure in measure_structures(prediction, reference, range(1, self.num_classes), self.spacing).values():
            d = structure.distances
            nsd = surface.nsd(*d, self.tolerance)
            values.append([nsd, surface.hd95(*d), surface.hd(*d), surface.assd(*d), surface.masd(*d)])
        return np.array(values)

    def get_rows(self) -> torch.Tensor:
        """Return all values of all cases of all processes, ``(cases, classes without background, len(VALUES))``.

        Raises:
            ValueError: when no case was seen.
        """
        rows = super().get_buffer()
        if rows is None:
            raise ValueError("CaseMetric has seen no case; call it on predictions first")
        return rows

    def get_buffer(self) -> torch.Tensor:
        """Return the clinical Dice of all cases, ``(cases, classes without background)``; MONAI's savers write it."""
        return self.get_rows()[:, :, self.VALUES.index("dice")]

    def class_means(self, value: str = "dice") -> torch.Tensor:
        """Return the mean of one value per class over the cases in which it is defined, ``NaN`` where it never is.

        Args:
            value: one of :attr:`VALUES`.

        Raises:
            ValueError: for an unknown value, or when no case was seen.
        """
        if value not in self.VALUES:
            raise ValueError(f"value is {value!r}, expected one of {', '.join(self.VALUES)}")
        return self.get_rows()[:, :, self.VALUES.index(value)].nanmean(dim=0)

    def aggregate(self, value: str = "dice") -> torch.Tensor:
        """Return the mean over classes of :meth:`class_means`, a single number; ``NaN`` when no class is defined."""
        return self.class_means(value).nanmean()
