# SPDX-License-Identifier: Apache-2.0
"""Programs and groups of processes that tests run.

Most of what a short program takes is the import of PyTorch and MONAI. :func:`run_program` forks a process that has done
this already: the program itself, and all of this package, starts anew, in a process of its own.
"""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

# Third parties only: an import that a module of this package forgets must not be hidden.
_IMPORTED = ["monai.bundle", "monai.engines", "monai.handlers", "nibabel", "torch._dynamo", "torch.utils.tensorboard"]
_COVERAGE = "COVERAGE_PROCESS_START"


def run_untraced(
    command: Sequence[str], cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program whose lines are measured by other tests: without the tracer it takes half of the time."""
    inherited = {name: value for name, value in os.environ.items() if name != _COVERAGE}
    return subprocess.run(command, cwd=cwd, env={**inherited, **environment}, capture_output=True, text=True)


def run_processes(function: Callable[..., None], count: int, *arguments: Any) -> None:
    """Call ``function(rank, *arguments)`` in ``count`` processes forked from the same one; coverage is measured."""
    import torch.multiprocessing

    multiprocessing.set_forkserver_preload(_IMPORTED)
    traced = os.environ.pop(_COVERAGE, None)  # the process that is forked would measure all its imports
    try:
        torch.multiprocessing.start_processes(
            _measured, (function, traced, _start_method(), arguments), nprocs=count, start_method="forkserver"
        )
    finally:
        if traced is not None:
            os.environ[_COVERAGE] = traced


def _measured(
    rank: int, function: Callable[..., None], traced: str | None, start_method: str, arguments: tuple[Any, ...]
) -> None:
    multiprocessing.set_start_method(start_method, force=True)
    if traced is None:
        return function(rank, *arguments)
    import coverage

    measurement = coverage.Coverage(config_file=traced, data_suffix=True)
    measurement.start()
    try:
        return function(rank, *arguments)
    finally:
        measurement.stop()
        measurement.save()


def run_program(
    command: Sequence[str], cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ``python ...`` or a console script as :func:`run_untraced` does, but without importing the third parties."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    traced = os.environ.pop(_COVERAGE, None)
    try:
        with tempfile.TemporaryDirectory() as folder:
            printed, errors = (Path(folder) / name for name in ("out", "err"))
            variables = {**os.environ, **environment}
            arguments = (list(command), str(cwd or Path.cwd()), variables, str(printed), str(errors), _start_method())
            process = context.Process(target=_work, args=arguments)
            process.start()
            process.join()
            assert process.exitcode is not None
            return subprocess.CompletedProcess(
                command, process.exitcode, printed.read_text("utf-8"), errors.read_text("utf-8")
            )
    finally:
        if traced is not None:
            os.environ[_COVERAGE] = traced


def _start_method() -> str:
    """How programs of their own start processes; one that is forked here would take over how it was started."""
    return multiprocessing.get_start_method()


def _work(
    command: list[str], cwd: str, environment: Mapping[str, str], printed: str, errors: str, start_method: str
) -> None:
    multiprocessing.set_start_method(start_method, force=True)
    for number, path in ((1, printed), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    subprocess.run = _run_forked(subprocess.run)  # type: ignore[assignment]  # programs of the program
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
    """``subprocess.run`` that forks for ``python ...`` where nothing but the exit code is wanted."""

    def instead(command: Any, **options: Any) -> subprocess.CompletedProcess[Any]:
        if command[0] != sys.executable or not options.keys() <= {"check", "env"}:
            return run(command, **options)
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            os._exit(_exit_code(list(command), options.get("env") or os.environ))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if options.get("check") and code != 0:
            raise subprocess.CalledProcessError(code, command)
        return subprocess.CompletedProcess(command, code)

    return instead


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
