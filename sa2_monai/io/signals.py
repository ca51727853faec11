# SPDX-License-Identifier: Apache-2.0
"""SIGTERM ends a command as Ctrl-C does, with all that is tidied up then; by default it would end it at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["TERMINATED", "Ending", "TerminatedError", "sigterm_interrupts"]

#: As a shell reports a program that ended by SIGTERM.
TERMINATED = 143


class TerminatedError(KeyboardInterrupt):
    """The program was asked to end; what Ctrl-C tidies up is tidied up."""


@dataclass
class Ending:
    """Whether the program was asked to end.

    Attributes:
        asked: by SIGTERM.
    """

    asked: bool = False


@contextlib.contextmanager
def sigterm_interrupts() -> Iterator[Ending]:
    """In a ``with`` block SIGTERM raises :class:`TerminatedError`, after the end of workers that would be waited for.

    Where it was ignored it stays ignored, and other threads than the first have no signals.

    Yields:
        Whether it has come.
    """
    ending, process = Ending(), os.getpid()
    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or before in (signal.SIG_IGN, None):
        yield ending
        return

    def stop(number: int, frame: Any) -> None:
        if os.getpid() != process:  # a worker that was forked
            os._exit(TERMINATED)
        ending.asked = True
        _end_workers()
        raise TerminatedError

    signal.signal(signal.SIGTERM, stop)
    try:
        yield ending
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_workers() -> None:
    """Those of a process pool, which waits for their work; workers of data loaders end with their parent."""
    multiprocessing = sys.modules.get("multiprocessing")
    for child in multiprocessing.active_children() if multiprocessing is not None else ():
        if not child.daemon:
            child.terminate()
