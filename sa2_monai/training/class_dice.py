# SPDX-License-Identifier: Apache-2.0
"""The validation Dice of each class beside their mean."""

from __future__ import annotations

from collections.abc import Sequence

from ignite.engine import Engine, Events

__all__ = ["ClassDice"]


class ClassDice:
    """Add the Dice of each class to the metrics of a validation, where loggers find it.

    It reads the table of the metric that selects the weights; nothing is computed twice. It comes before the handlers
    that log: ``StatsHandler``, ``TensorBoardStatsHandler``, ``MLFlowHandler``.

    Args:
        class_names: names of the classes, background first; the metrics are called ``val_dice_<name>``.
        metric: name of the metric whose table ``(cases, classes without background)`` is read.

    Raises:
        ValueError: after a validation, when the table has another number of classes than there are names.
    """

    def __init__(self, class_names: Sequence[str], metric: str = "val_mean_dice") -> None:
        self.names = list(class_names)[1:]
        self.metric = metric

    def attach(self, engine: Engine) -> None:
        """Attach to the evaluator of a training."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Add the means over the cases in which a class is defined; ``NaN`` where it is in none."""
        table = getattr(engine.state, "metric_details", {}).get(self.metric)
        if table is None:  # another metric was put in its place
            return
        if table.shape[-1] != len(self.names):
            raise ValueError(
                f"ClassDice: {self.metric} has {table.shape[-1]} classes, but class_names names {len(self.names)} "
                f"beside the background: {', '.join(self.names)}."
            )
        for name, mean in zip(self.names, table.nanmean(dim=0).tolist(), strict=True):
            engine.state.metrics[f"val_dice_{name}"] = mean
