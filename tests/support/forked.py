# SPDX-License-Identifier: Apache-2.0
"""What a process forked by :mod:`tests.support.programs` does: the part of the interpreter, for one command line.

Why: programs of this package start programs themselves (``sa2-monai crossval`` a training per fold), so the fork also
replaces ``subprocess.run`` and ``Popen`` in itself; everything else of the program is as it is in an interpreter of its
own.
"""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.fast_yaml import install

__all__ = ["work"]


def work(
    command: list[str], cwd: str, environment: Mapping[str, str], printed: str, errors: str, start_method: str
) -> None:
    multiprocessing.set_start_method(start_method, force=True)
    install()
    for number, path in ((1, printed), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    subprocess.run = _run_forked(subprocess.run)  # type: ignore[assignment]  # programs of the program
    subprocess.Popen = _PopenOrFork  # type: ignore[assignment,misc]
    _execute(command)


def _execute(command: list[str]) -> None:
    """What the interpreter does with its command line, or the script that pip writes for an entry point."""
    name, *words = command
    if not Path(name).name.startswith("python"):
        (script,) = importlib.metadata.entry_points(group="console_scripts", name=Path(name).name)
        sys.argv = [name, *words]
        sys.exit(script.load()())
    if words[0] == "-m":
        sys.argv = [name, *words[2:]]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        sys.path.insert(0, "")
        exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = words
        sys.path.insert(0, str(Path(words[0]).parent))
        runpy.run_path(words[0], run_name="__main__")


def _run_forked(run: Any) -> Any:
    """``subprocess.run`` that forks for ``python ...``; what it prints can be captured as text."""

    def instead(command: Any, **options: Any) -> subprocess.CompletedProcess[Any]:
        if command[0] != sys.executable or not options.keys() <= {"check", "env", "capture_output", "text"}:
            return run(command, **options)
        with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as errors:

            def redirect() -> None:
                os.dup2(printed.fileno(), 1)
                os.dup2(errors.fileno(), 2)

            captured = options.get("capture_output", False)
            code = _Fork(command, options.get("env"), redirect if captured else None).wait()
            if options.get("check") and code != 0:
                raise subprocess.CalledProcessError(code, command)
            for stream in (printed, errors):
                stream.seek(0)
            texts = (printed.read(), errors.read()) if captured else (None, None)
            return subprocess.CompletedProcess(command, code, *texts)

    return instead


class _Fork:
    """What is used of ``Popen``, of a fork for ``python ...``."""

    def __init__(self, command: Any, env: Mapping[str, str] | None = None, prepare: Callable[[], None] | None = None):
        sys.stdout.flush()
        sys.stderr.flush()
        self.command = command
        self.pid = os.fork()
        if self.pid == 0:
            if prepare is not None:
                prepare()
            os._exit(_exit_code(list(command), env or os.environ))

    def __enter__(self) -> _Fork:
        return self

    def __exit__(self, *_: object) -> None: ...

    def wait(self, timeout: float | None = None) -> int:
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            pid, status = os.waitpid(self.pid, 0 if end is None else os.WNOHANG)
            if pid == self.pid:
                return os.waitstatus_to_exitcode(status)
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(self.command, timeout or 0.0)
            time.sleep(0.02)

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _PopenOrFork(subprocess.Popen):  # type: ignore[type-arg]
    """A fork for ``python ...`` whose output goes where that of this process goes, as the launcher starts programs."""

    def __new__(cls, command: Any, **options: Any) -> Any:
        given = {name: value for name, value in options.items() if value is not None}
        if command[0] != sys.executable or not given.keys() <= {"env", "start_new_session", "preexec_fn"}:
            return super().__new__(cls)
        in_session, then = given.get("start_new_session", False), given.get("preexec_fn")

        def prepare() -> None:
            if in_session:
                os.setsid()
            if then is not None:
                then()

        return _Fork(command, given.get("env"), prepare)


def _exit_code(command: list[str], environment: Mapping[str, str]) -> int:
    code = 1
    try:
        variables = dict(environment)
        os.environ.clear()
        os.environ.update(variables)
        _execute(command)
        code = 0
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
        if isinstance(stopped.code, str):
            print(stopped.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return code
