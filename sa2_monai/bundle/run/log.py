# SPDX-License-Identifier: Apache-2.0
"""Everything that MONAI, Ignite and this package say during a training goes to one file, and not to the console."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["log_to", "show_notes"]

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@contextlib.contextmanager
def show_notes(tell: Callable[[str], None]) -> Iterator[None]:
    """Print nothing of what is logged or warned of, for a ``with`` block, but what this package itself warns of, once.

    Such a warning concerns the user's data.

    Args:
        tell: shows a line to the user.
    """
    root = logging.getLogger()
    to_user = _Notes(tell)
    root.addHandler(to_user)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(to_user)


@contextlib.contextmanager
def log_to(file: Path) -> Iterator[None]:
    """Log to a file for the time of a ``with`` block.

    Args:
        file: log file, to which is added; its folder is made.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(file, encoding="utf-8")
    to_file.setFormatter(logging.Formatter(_FORMAT))
    root = logging.getLogger()
    with contextlib.ExitStack() as stack:
        stack.callback(to_file.close)
        stack.enter_context(_handlers(root, [*root.handlers, to_file]))
        for logger in _with_own_handlers():
            stack.enter_context(_handlers(logger, [to_file]))
        yield


def _with_own_handlers() -> list[logging.Logger]:
    """Loggers of MONAI and Ignite that print by themselves; that of ``StatsHandler`` is made with the first of them."""
    from monai.apps.utils import get_logger

    get_logger("monai.handlers.StatsHandler")
    known = [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    return [one for one in known if one.name.split(".")[0] in ("monai", "ignite") and one.handlers]


@contextlib.contextmanager
def _handlers(logger: logging.Logger, handlers: list[logging.Handler]) -> Iterator[None]:
    """Give a logger other handlers for the time of a ``with`` block."""
    before, level = list(logger.handlers), logger.level
    logger.handlers[:] = handlers
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.handlers[:] = before
        logger.setLevel(level)


class _Notes(logging.Handler):
    """Shows warnings of this package, each once."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self.tell = tell
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record."""
        message = record.getMessage()
        if record.levelno == logging.WARNING and record.name.split(".")[0] == "sa2_monai" and message not in self._told:
            self._told.add(message)
            self.tell(f"note: {message}")
