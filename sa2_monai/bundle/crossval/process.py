# SPDX-License-Identifier: Apache-2.0
"""A program in a process of its own, which ends with this one."""

from __future__ import annotations

import contextlib
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import NoReturn

__all__ = ["run_process"]

#: Seconds that the program has to write what it knows, once it is asked to end.
_GRACE = 60.0
#: Signals that end this process, beside that of Ctrl-C.
_ENDS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def run_process(command: Sequence[str]) -> int:
    """Print a command and run it to its end; Ctrl-C and SIGTERM reach the program, too.

    Args:
        command: the words.

    Returns:
        Its exit code.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when the program has ended.
        SystemExit: the same after SIGTERM, with the exit code of the shells.
        OSError: the program cannot be started.
    """
    print(shlex.join(command), flush=True)
    # In a session of its own a signal of the terminal reaches it once, from here.
    with _signals_raise(), subprocess.Popen(command, start_new_session=True) as program:
        try:
            return program.wait()
        except BaseException:
            program.send_signal(signal.SIGINT)
            try:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    program.wait(timeout=_GRACE)
            finally:  # also after a second Ctrl-C
                program.kill()
            raise


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Signals that would end this process at once raise ``SystemExit`` instead."""
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


def _ignore(_: int, __: FrameType | None) -> None:
    """Unlike ``SIG_IGN`` it is not inherited by a program."""


def _stop(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
