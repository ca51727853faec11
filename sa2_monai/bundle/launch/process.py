# SPDX-License-Identifier: Apache-2.0
"""A program in a process of its own, which ends with this one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

__all__ = ["Process", "signals_raise", "start_process"]

#: Signals that end this process, beside that of Ctrl-C.
_ENDS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
_PR_SET_PDEATHSIG = 1  # of Linux


class Process:
    """A running program; see :func:`start_process`.

    Args:
        program: that was started.
        log: its output, closed at the end; ``None`` when it goes where that of this process goes.
    """

    def __init__(self, program: subprocess.Popen[bytes], log: IO[bytes] | None) -> None:
        self.program, self.log = program, log

    def wait(self, seconds: float) -> int | None:
        """Exit code when it ends in time, else ``None``.

        Args:
            seconds: to wait at most.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.program.wait(seconds)
            if self.log is not None:
                self.log.close()
            return code
        return None

    def ask_to_end(self) -> None:
        """Interrupt it, as Ctrl-C does: it writes what it knows."""
        self.program.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it at once."""
        self.program.kill()
        self.wait(10)


def start_process(command: Sequence[str], environment: Mapping[str, str], log: Path | None = None) -> Process:
    """Print a command and start it. On Linux the program is killed when this process is.

    Args:
        command: the words.
        environment: of the program.
        log: file for all that it prints; by default it goes where that of this process goes.

    Raises:
        OSError: the program cannot be started, or the file cannot be written.
    """
    print(shlex.join(command), flush=True)
    output = None if log is None else open(log, "ab")  # noqa: SIM115 - closed when the program ends
    # In a session of its own a signal of the terminal reaches it once, from here.
    program = subprocess.Popen(
        command,
        env=dict(environment),
        start_new_session=True,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        preexec_fn=_die_with_parent(),
    )
    return Process(program, output)


@contextlib.contextmanager
def signals_raise() -> Iterator[None]:
    """Signals that would end this process at once raise ``SystemExit`` (128 + signal) instead, as Ctrl-C raises."""
    if threading.current_thread() is not threading.main_thread():  # only there can signals be handled
        yield
        return
    before = {number: signal.signal(number, _stop) for number in _ENDS}
    # Of a job in the background a shell makes SIGINT ignored; the program shall hear it all the same.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        before[signal.SIGINT] = signal.signal(signal.SIGINT, _ignore)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _die_with_parent() -> Callable[[], None] | None:
    """What a program does before it begins: ask Linux to kill it when its parent is gone, however that ended."""
    if not sys.platform.startswith("linux"):
        return None
    library, parent = ctypes.CDLL(None), os.getpid()

    def prepare() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone already
            os._exit(1)

    return prepare


def _ignore(_: int, __: FrameType | None) -> None:
    """Unlike ``SIG_IGN`` it is not inherited by a program."""


def _stop(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
