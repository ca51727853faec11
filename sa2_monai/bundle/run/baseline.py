# SPDX-License-Identifier: Apache-2.0
"""What a constant prediction would score: a network that has learned nothing is not much different from one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from ignite.engine import Engine, Events

from sa2_monai.evaluation import CaseMetric

__all__ = ["ConstantBaseline"]

#: A score that is nearer than this is that of the constant prediction.
_NEAR = 0.01


class ConstantBaseline:
    """Mean Dice of the validation cases for each prediction that is one class everywhere, from the first validation.

    Args:
        class_names: background first.
        ignore_value: value of pixels without a label, or ``None``.
    """

    def __init__(self, class_names: Sequence[str], ignore_value: int | None) -> None:
        self.names = list(class_names)
        self._metrics = [CaseMetric(len(self.names), ignore_value=ignore_value) for _ in self.names[1:]]
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
            for number, metric in enumerate(self._metrics, start=1):
                metric([torch.full_like(item["label"], number)], [item["label"]])

    def scores(self) -> dict[str, float]:
        """Mean Dice by the class that is predicted everywhere; empty without a validation."""
        if not self._validations:
            return {}
        return {name: float(m.aggregate()) for name, m in zip(self.names[1:], self._metrics, strict=True)}

    def warning(self, best: float | None) -> str | None:
        """A line for a training whose best Dice is that of a constant prediction; ``None`` for any other.

        Args:
            best: best validation Dice, in [0, 1]; ``None`` without a validation.
        """
        scores = self.scores()
        if best is None or not scores:
            return None
        what = None
        if best < _NEAR:
            what = "finding nothing at all (Dice 0)"
        else:
            name, constant = max(scores.items(), key=lambda item: item[1])
            if best <= constant + _NEAR:
                what = f"calling every pixel {name} (Dice {constant:.3f})"
        if what is None:
            return None
        return (
            f"the best validation Dice, {best:.3f}, is no better than {what}: the network has learned nothing yet. "
            "Look at the masks ('sa2-monai datasets check'), train longer, or lower the learning rate."
        )
