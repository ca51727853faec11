# SPDX-License-Identifier: Apache-2.0
"""What a constant prediction would score: a network that has learned nothing is not much different from one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from ignite.engine import Engine, Events

from sa2_monai.evaluation.scores.constant_prediction import MARGIN, everything_marked_dice

__all__ = ["ConstantBaseline"]


class ConstantBaseline:
    """Mean Dice of the validation cases for each prediction that is one class everywhere, from the first validation.

    Args:
        class_names: background first.
        ignore_value: value of pixels without a label, or ``None``.
    """

    def __init__(self, class_names: Sequence[str], ignore_value: int | None) -> None:
        self.names = list(class_names)
        self.ignore_value = ignore_value
        self._pixels: list[list[int]] = []  # of each case, by class
        self._validations = 0

    def attach(self, evaluator: Engine) -> None:
        """Attach to the evaluator of a training."""
        evaluator.add_event_handler(Events.STARTED, self._start)
        evaluator.add_event_handler(Events.ITERATION_COMPLETED, self._add)

    def _start(self, _: Engine) -> None:
        self._validations += 1

    def _add(self, evaluator: Engine) -> None:
        if self._validations > 1:
            return
        items: list[dict[str, torch.Tensor]] = evaluator.state.output  # type: ignore[assignment]
        for item in items:
            label = item["label"]
            counted = label if self.ignore_value is None else label[label != self.ignore_value]
            self._pixels.append(torch.bincount(counted.flatten().long(), minlength=len(self.names)).tolist())

    def scores(self) -> dict[str, float]:
        """Mean over classes of the Dice by the class that is predicted everywhere; empty without a validation.

        The Dice of another class is 0, or undefined where no case has it.
        """
        columns = list(zip(*self._pixels, strict=True))
        total = [max(1, sum(pixels)) for pixels in self._pixels]
        present = {number for number, pixels in enumerate(columns) if number and any(pixels)}
        return {
            name: everything_marked_dice(columns[number], total) / len(present | {number})
            for number, name in enumerate(self.names)
            if number and columns
        }

    def warning(self, best: float | None) -> str | None:
        """A line for a training whose best Dice is that of a constant prediction; ``None`` for any other.

        Args:
            best: best validation Dice, in [0, 1]; ``None`` without a validation.
        """
        scores = self.scores()
        if best is None or not scores:
            return None
        what = None
        if best < MARGIN:
            what = "finding nothing at all (Dice 0)"
        else:
            name, constant = max(scores.items(), key=lambda item: item[1])
            if best <= constant + MARGIN:
                what = f"calling every pixel {name} (Dice {constant:.3f})"
        if what is None:
            return None
        return (
            f"the best validation Dice, {best:.3f}, is no better than {what}: the network has learned nothing yet. "
            "Look at the masks ('sa2-monai datasets check'), train longer, or lower the learning rate."
        )
