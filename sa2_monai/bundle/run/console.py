# SPDX-License-Identifier: Apache-2.0
"""A training on the console: one line for each epoch, and one live bar where somebody watches."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ignite.engine import Engine, Events

from sa2_monai.bundle.run.watch import Epoch
from sa2_monai.training import show_progress
from sa2_monai.training.tracking.loss import loss_of

__all__ = ["Console", "duration", "epoch_line"]

_RECENT = 5  # epochs by which the rest is judged


class Console:
    """Show each epoch in a line, and on a terminal how far the present one is.

    Args:
        tell: shows a line.
        bar: whether to draw the bar; ``None``: on a terminal.
        seconds: time that the training has at most; ``None`` for no limit.
    """

    def __init__(self, tell: Callable[[str], None], bar: bool | None = None, seconds: float | None = None) -> None:
        self.tell = tell
        self.shows_bar = show_progress(bar)
        self.seconds = seconds
        self.epochs: list[int] = []  # those that were shown
        self._started = time.monotonic()
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._bar: Any = None

    def attach(self, trainer: Engine, evaluator: Engine) -> None:
        """Attach to the engines; the lines come from an :class:`~sa2_monai.bundle.run.watch.EpochWatch`."""
        if not self.shows_bar:
            return
        trainer.add_event_handler(Events.EPOCH_STARTED, self._open)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._advance)
        evaluator.add_event_handler(Events.STARTED, self._validate)
        evaluator.add_event_handler(Events.ITERATION_COMPLETED, self._advance)

    def __call__(self, epoch: Epoch) -> None:
        """Show an epoch."""
        self.close()
        self.epochs.append(epoch.number)
        self._recent.append(epoch.seconds)
        left = (epoch.of - epoch.number) * sum(self._recent) / len(self._recent)
        if self.seconds is not None:
            left = min(left, max(0.0, self.seconds - (time.monotonic() - self._started)))
        self.tell(epoch_line(epoch, left))

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _open(self, trainer: Engine) -> None:
        from tqdm import tqdm

        self.close()
        name = f"epoch {trainer.state.epoch}/{trainer.state.max_epochs}"
        self._bar = tqdm(total=trainer.state.epoch_length, desc=name, leave=False, file=sys.stderr, dynamic_ncols=True)

    def _validate(self, evaluator: Engine) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str("validation", refresh=False)
            self._bar.reset(total=evaluator.state.epoch_length)

    def _advance(self, engine: Engine) -> None:
        if self._bar is None:
            return
        output: Any = engine.state.output
        if isinstance(output, dict) and "loss" in output:
            self._bar.set_postfix_str(f"loss {_three_digits(float(loss_of(engine)))}", refresh=False)
        self._bar.update()


def epoch_line(epoch: Epoch, left: float) -> str:
    """An epoch in a line.

    Args:
        epoch: its facts.
        left: seconds that the training will still take.
    """
    width = len(str(epoch.of))
    parts = [f"epoch {epoch.number:{width}}/{epoch.of}", f"loss {_three_digits(epoch.loss)}"]
    if epoch.dice is not None:
        best = "" if epoch.best is None else f" (best {epoch.best:.3f} @{epoch.best_epoch})"
        parts.append(f"Dice {epoch.dice:.3f}{best}")
    parts.append(f"{epoch.seconds:.1f} s")
    if epoch.number < epoch.of:
        parts.append(f"left {duration(left)}")
    return "  ".join(parts)


def _three_digits(value: float) -> str:
    return f"{value:#.3g}".rstrip(".")


def duration(seconds: float) -> str:
    """A time for people, in the unit that suits it.

    Args:
        seconds: the time.
    """
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 99.5 * 60 else f"{seconds / 3600:.1f} h"
