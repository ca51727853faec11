# SPDX-License-Identifier: Apache-2.0
"""One validation case as an image, epoch after epoch; the file shows the weights that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.handlers.tensorboard_handlers import TensorBoardHandler

from sa2_monai.evaluation.report.overlays import draw_overlay, png_bytes
from sa2_monai.io.atomic import write_atomically
from sa2_monai.slices.stored_volume import StoredVolume

__all__ = ["ValidationImage"]


class ValidationImage(TensorBoardHandler):
    """Draw reference and prediction into the first case of every validation.

    The image goes to TensorBoard (``validation``, by epoch); ``validation.png`` is that of the best epoch so far, whose
    weights are ``model.pt``. Of a volume it is the slice, along the last axis, whose reference shows most: the same one
    in every epoch. Of several processes one has this handler.

    Args:
        output_dir: folder for the image and the file of TensorBoard.
        transposed: the maps are ``(W, H)`` while the image is ``(H, W)``. Volumes are the same way round.
        upright: the slices of volumes, image and maps, are ``(H, W)``; else ``(X, Y)``.
        class_names: for the legend, background first; a value beyond them is that of pixels without a label, which are
            drawn as background. ``None`` shows the numbers of the classes.
    """

    def __init__(
        self,
        output_dir: str | Path,
        transposed: bool = False,
        upright: bool = False,
        class_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(log_dir=str(output_dir))
        self.path = Path(output_dir) / "validation.png"
        self.transposed = transposed
        self.upright = upright
        self.class_names = class_names
        self._page: bytes | None = None

    def attach(self, engine: Engine) -> None:
        """Attach to the evaluator of a training."""
        engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), self)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.keep)

    def __call__(self, engine: Engine) -> None:
        """Draw the first case: items ``image`` ``(C, ...)``, ``label`` and ``pred`` ``(1, ...)``, class numbers.

        Raises:
            ValueError: when label and prediction have different shapes.
        """
        item = engine.state.output[0]  # type: ignore[index]
        image = torch.as_tensor(item["image"])
        label, pred = (_array(item[key]) for key in ("label", "pred"))
        reference, prediction = label[0], pred[0]
        place = ""
        if reference.ndim == 3:
            index = int(np.count_nonzero(reference, axis=(0, 1)).argmax())
            place = f", slice {index + 1}" if reference.shape[-1] > 1 else ""
            image = StoredVolume.of(image).cut(2, index, index + 1)[0]
            reference, prediction = reference[..., index], prediction[..., index]
            if not self.upright:
                image, reference, prediction = image.swapaxes(1, 2), reference.T, prediction.T
        elif self.transposed:
            reference, prediction = reference.T, prediction.T
        if self.class_names is not None:
            known = reference < len(self.class_names)
            reference, prediction = np.where(known, reference, 0), np.where(known, prediction, 0)
        title = f"epoch {engine.state.epoch}{place}"
        dice = _dice(prediction, reference)
        page = draw_overlay(np.moveaxis(_array(image), 0, -1), prediction, reference, title, dice, self.class_names)
        self._page = png_bytes(page)
        self._writer.add_image("validation", np.asarray(page), engine.state.epoch, dataformats="HWC")
        self._writer.flush()

    def keep(self, engine: Engine) -> None:
        """Write the image of an epoch that is the best, or the first; the metrics have been compared by now.

        Raises:
            OSError: when the image cannot be written.
        """
        best = getattr(engine.state, "best_metric_epoch", -1)
        if self._page is not None and (best in (-1, engine.state.epoch) or not self.path.exists()):
            write_atomically(self.path, self._page)
        self._page = None


def _array(values: Any) -> np.ndarray:
    array: np.ndarray = torch.as_tensor(values).detach().cpu().numpy()
    return array


def _dice(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Dice of what is drawn, all structures together: a pixel counts as right when it has the right class."""
    total = np.count_nonzero(prediction) + np.count_nonzero(reference)
    right = np.count_nonzero((prediction == reference) & (reference != 0))
    return 2 * right / total if total else float("nan")
