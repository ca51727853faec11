# SPDX-License-Identifier: Apache-2.0
"""``history.csv`` of a training, one line for each epoch: read for reports, curves, and trainings that go on."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

__all__ = ["HISTORY_NAME", "read_history"]

HISTORY_NAME = "history.csv"

logger = logging.getLogger(__name__)


def read_history(path: Path) -> list[dict[str, float]]:
    """The epochs of a ``history.csv``; none where there is no such file, or with a warning where it is another one.

    Args:
        path: columns ``epoch``, ``train_loss``, ``val_mean_dice``, ``val_dice_<class>``, ``learning_rate``,
            ``seconds``; empty where an epoch was not validated.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [
                {name: float(text) for name, text in row.items() if isinstance(text, str) and text.strip()}
                for row in csv.DictReader(file)
            ]
        if not all("epoch" in row for row in rows):
            raise ValueError("it has no column epoch")
    except FileNotFoundError:
        return []
    except (OSError, ValueError, csv.Error) as error:
        logger.warning("%s is left out: %s", path, error)
        return []
    return rows
