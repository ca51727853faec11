# SPDX-License-Identifier: Apache-2.0
"""The time that a suite may take."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from types import FrameType

__all__ = ["Late", "Limit", "stopped_at"]


class Late(BaseException):
    """The time is over. No exception that somebody catches by accident."""


class Limit:
    """Seconds that are left.

    Args:
        seconds: from now on.
    """

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()


@contextlib.contextmanager
def stopped_at(limit: Limit) -> Iterator[None]:
    """Raise :class:`Late` within it when the time is over, between two steps of Python."""

    def late(_: int, __: FrameType | None) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, max(limit.left, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
