# SPDX-License-Identifier: Apache-2.0
"""Everything that MONAI, Ignite and this package say during a training goes to one file, and not to the console."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["log_to"]

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@contextlib.contextmanager
def log_to(file: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Log to a file for the time of a ``with`` block, Python's warnings included.

    What this package itself warns of concerns the user's data: it is told as well, once.

    Args:
        file: log file, to which is added; its folder is made.
        tell: shows a line to the user.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    to_file, to_user = logging.FileHandler(file, encoding="utf-8"), _Notes(tell)
    to_file.setFormatter(logging.Formatter(_FORMAT))
    level = root.level
    root.setLevel(logging.INFO)
    root.addHandler(to_file)
    root.addHandler(to_user)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(to_user)
        root.removeHandler(to_file)
        root.setLevel(level)
        to_file.close()


class _Notes(logging.Handler):
    """Shows warnings of this package, each once."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self.tell = tell
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record."""
        message = record.getMessage()
        if record.name.split(".")[0] == "sa2_monai" and message not in self._told:
            self._told.add(message)
            self.tell(f"note: {message}")
