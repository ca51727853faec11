# SPDX-License-Identifier: Apache-2.0
"""Programs and groups of processes that tests run.

Why: most of what a short program takes is the import of PyTorch and MONAI (4 s of 4.2 s). :func:`run_program` forks a
process that has done this already: the program itself, and all of this package, starts anew, in a process of its own.
With ``SA2_PLAIN=1`` all of them start fresh interpreters.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.support.forked import work
from tests.support.plain import PLAIN

__all__ = ["IMPORTED", "run_processes", "run_program", "run_untraced"]

# Third parties only: an import that a module of this package forgets must not be hidden.
IMPORTED = ["monai.bundle", "monai.engines", "monai.handlers", "nibabel", "torch._dynamo", "torch.utils.tensorboard"]
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

    if not PLAIN:
        multiprocessing.set_forkserver_preload(IMPORTED)
    traced = os.environ.pop(_COVERAGE, None)  # the process that is forked would measure all its imports
    try:
        torch.multiprocessing.start_processes(
            _measured,
            (function, traced, _start_method(), arguments),
            nprocs=count,
            start_method="spawn" if PLAIN else "forkserver",
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
    if PLAIN:
        variables = {**os.environ, **environment}
        return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    traced = os.environ.pop(_COVERAGE, None)
    try:
        with tempfile.TemporaryDirectory() as folder:
            printed, errors = (Path(folder) / name for name in ("out", "err"))
            variables = {**os.environ, **environment}
            arguments = (list(command), str(cwd or Path.cwd()), variables, str(printed), str(errors), _start_method())
            process = context.Process(target=work, args=arguments)
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
