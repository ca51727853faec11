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
from sa2_monai.io.atomic import write_atomically

__all__ = ["HISTORY", "History", "read_history"]

HISTORY = "history.csv"


class History:
    """Write ``history.csv``; after an interruption the lines of epochs that the state does not know are dropped.

    Args:
        folder: for the file.
        class_names: background first.
    """

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self.file = folder / HISTORY
        self.names = list(class_names)[1:]
        self._rows: list[dict[str, str]] = []

    def attach(self, trainer: Engine) -> None:
        """Attach to the trainer, behind the handler that resumes."""
        trainer.add_event_handler(Events.STARTED, self._start)

    def _start(self, trainer: Engine) -> None:
        known = trainer.state.epoch
        self._rows = [row for row in read_history(self.file) if int(row["epoch"]) <= known] if known else []
        self._write()

    def __call__(self, epoch: Epoch) -> None:
        """Add an epoch."""
        row = {
            "epoch": str(epoch.number),
            "train_loss": _number(epoch.loss),
            "val_mean_dice": _number(epoch.dice),
            **{f"val_dice_{name}": _number(epoch.class_dice.get(name)) for name in self.names},
            "learning_rate": _number(epoch.learning_rate),
            "seconds": f"{epoch.seconds:.3f}",
        }
        self._rows.append(row)
        self._write()

    def _write(self) -> None:
        fields = ["epoch", "train_loss", "val_mean_dice", *(f"val_dice_{name}" for name in self.names)]
        text = io.StringIO()
        writer = csv.DictWriter(text, [*fields, "learning_rate", "seconds"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        write_atomically(self.file, text.getvalue().encode())


def read_history(file: Path) -> list[dict[str, str]]:
    """Lines of a ``history.csv`` by column, texts as they stand there; none when there is no file.

    Args:
        file: the file.
    """
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.6g}"
