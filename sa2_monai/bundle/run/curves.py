# SPDX-License-Identifier: Apache-2.0
"""``curves.png``: loss, validation Dice and learning rate by epoch."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.bundle.run.watch import Epoch
from sa2_monai.evaluation.report.history import read_history
from sa2_monai.io.atomic import write_atomically

__all__ = ["CURVES", "Curves", "draw_curves"]

CURVES = "curves.png"
_PREFIX = "val_dice_"
_INTERVAL = 60  # seconds between two drawings
_MOST_CLASSES = 10  # more lines than colours nobody can tell apart


class Curves:
    """Draw the curves of a training while it runs, now and then.

    Args:
        history: its ``history.csv``.
        file: the image.
        title: above it.
    """

    def __init__(self, history: Path, file: Path, title: str) -> None:
        self.history = history
        self.file = file
        self.title = title
        self._drawn = time.monotonic()

    def __call__(self, epoch: Epoch) -> None:
        """Draw after a validation, when it is a while ago."""
        if epoch.dice is not None and time.monotonic() - self._drawn > _INTERVAL:
            self.draw()

    def draw(self) -> None:
        """Draw now."""
        draw_curves(self.history, self.file, self.title)
        self._drawn = time.monotonic()


def draw_curves(history: Path, file: Path, title: str) -> bool:
    """Draw the learning curves of a training.

    Args:
        history: its ``history.csv``.
        file: the image.
        title: above it.

    Returns:
        Whether there was anything to draw.

    Raises:
        OSError: the image cannot be written.
    """
    rows = read_history(history)
    if not rows:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6))
    canvas = FigureCanvasAgg(figure)
    # Places that fit any values; a layout that is searched for takes twice as long as the drawing.
    loss, dice, rate = figure.subplots(
        1, 3, gridspec_kw={"left": 0.055, "right": 0.985, "bottom": 0.14, "top": 0.82, "wspace": 0.24}
    )
    figure.suptitle(title)
    _draw(loss, rows, "train_loss", "loss")
    loss.set_title("training loss")
    classes = list(dict.fromkeys(name for row in rows for name in row if name.startswith(_PREFIX)))
    if 1 < len(classes) <= _MOST_CLASSES:
        for name in classes:
            _draw(dice, rows, name, name.removeprefix(_PREFIX), linewidth=1)
    validated = _draw(dice, rows, "val_mean_dice", "mean", color="black", linewidth=2)
    dice.set_title("validation Dice")
    if validated:
        dice.set_ylim(0, 1)
        epoch, best = max(validated, key=lambda point: point[1])
        dice.plot([epoch], [best], "o", color="black", label=f"best {best:.3f}, epoch {epoch}")
        dice.legend(loc="lower right", fontsize="small")
    else:
        dice.text(0.5, 0.5, "no validation", ha="center", va="center", transform=dice.transAxes)
    _draw(rate, rows, "learning_rate", "learning rate")
    rate.set_title("learning rate")
    for axes in (loss, dice, rate):
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    page = io.BytesIO()
    canvas.print_png(page, metadata={"Software": None})
    write_atomically(file, page.getvalue())
    return True


def _draw(
    axes: Any, rows: Sequence[Mapping[str, float]], column: str, label: str, **style: Any
) -> list[tuple[int, float]]:
    """Draw a column where it has values, and return the points."""
    points = [(int(row["epoch"]), row[column]) for row in rows if column in row]
    if points:
        # A single point makes no line.
        axes.plot(*zip(*points, strict=True), marker="." if len(points) < 30 else None, label=label, **style)
    return points
