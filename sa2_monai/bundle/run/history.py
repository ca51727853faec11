# SPDX-License-Identifier: Apache-2.0
"""``history.csv``: one line for each epoch of a training."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from ignite.engine import Engine, Events

from sa2_monai.bundle.run.watch import Epoch
from sa2_monai.evaluation.report.history import HISTORY_NAME, read_history
from sa2_monai.io.atomic import write_atomically

__all__ = ["History"]


class History:
    """Write ``history.csv``; after an interruption the lines of epochs that the state does not know are dropped.

    Args:
        folder: for the file.
        class_names: background first.
    """

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self.file = folder / HISTORY_NAME
        self.names = list(class_names)[1:]
        self._rows: list[dict[str, float]] = []

    def attach(self, trainer: Engine) -> None:
        """Attach to the trainer, behind the handler that resumes."""
        trainer.add_event_handler(Events.STARTED, self._start)

    def _start(self, trainer: Engine) -> None:
        known = trainer.state.epoch
        self._rows = [row for row in read_history(self.file) if row["epoch"] <= known] if known else []
        self._write()

    def __call__(self, epoch: Epoch) -> None:
        """Add an epoch."""
        row = {
            "epoch": epoch.number,
            "train_loss": epoch.loss,
            "val_mean_dice": epoch.dice,
            **{f"val_dice_{name}": epoch.class_dice.get(name) for name in self.names},
            "learning_rate": epoch.learning_rate,
            "seconds": epoch.seconds,
        }
        self._rows.append({name: value for name, value in row.items() if value is not None})
        self._write()

    def _write(self) -> None:
        fields = ["epoch", "train_loss", "val_mean_dice", *(f"val_dice_{name}" for name in self.names)]
        fields += ["learning_rate", "seconds"]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(fields)
        writer.writerows([[_text(name, row.get(name)) for name in fields] for row in self._rows])
        write_atomically(self.file, text.getvalue().encode())


def _text(name: str, value: float | None) -> str:
    """As it was written, once read again."""
    if value is None or math.isnan(value):
        return ""
    return f"{value:.3f}" if name == "seconds" else f"{value:.6g}"
