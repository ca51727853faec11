# SPDX-License-Identifier: Apache-2.0
"""SIGTERM: every command ends with 143 and one line, its children and locks with it; and what SIGKILL leaves goes."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sa2_monai.cli.main import COMMANDS, main
from sa2_monai.io.ownership import claim_folder
from sa2_monai.io.signals import TerminatedError, sigterm_interrupts


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


def _stand_in(monkeypatch: pytest.MonkeyPatch, run: Callable[[Any], int]) -> None:
    """In the place of every command."""
    real, module = importlib.import_module, SimpleNamespace(__doc__="x", add_arguments=lambda parser: None, run=run)

    def load(name: str, package: str | None = None) -> Any:
        return module if name.startswith("sa2_monai.cli.") else real(name, package)

    monkeypatch.setattr(importlib, "import_module", load)


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_releases_its_locks(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(args: Any) -> int:
        with claim_folder(tmp_path, command):
            _terminate()
        return 0

    _stand_in(monkeypatch, run)
    before = signal.getsignal(signal.SIGTERM)
    assert main([command]) == 143
    assert capsys.readouterr() == ("", "sa2-monai: stopped\n")
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before


def _as_ctrl_c(args: Any) -> int:
    try:
        _terminate()
    except KeyboardInterrupt:
        return 130
    return 0


def _as_a_broken_pool(args: Any) -> int:
    try:
        _terminate()
    except KeyboardInterrupt as error:
        raise RuntimeError("a worker process was killed") from error
    return 0


@pytest.mark.parametrize("run", [_as_ctrl_c, _as_a_broken_pool])
def test_whatever_a_command_makes_of_it(run: Callable[[Any], int], monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(monkeypatch, run)
    assert main(["info"]) == 143


def test_workers_of_a_pool_are_not_waited_for() -> None:
    pool = ProcessPoolExecutor(1, get_context("spawn"))
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    begin = time.monotonic()
    try:
        with sigterm_interrupts() as ending, pytest.raises(TerminatedError):
            pool.submit(time.sleep, 300).result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    assert ending.asked
    assert time.monotonic() - begin < 100


def _sample(out: Path) -> subprocess.Popen[str]:
    """``sa2-monai sample``, in the middle of its work."""
    words = ["-m", "sa2_monai", "sample", str(out), "--training", "20000", "--size", "64"]
    program = subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 100
    while not list(out.parent.glob(".*.partial/*/images/*")) and time.monotonic() < until:
        time.sleep(0.01)
    return program


def test_a_sample_that_is_terminated(tmp_path: Path) -> None:
    with _sample(tmp_path / "s") as program:
        program.terminate()
        _, said = program.communicate(timeout=100)
    assert (program.returncode, said) == (143, "sa2-monai: stopped\n")
    assert list(tmp_path.iterdir()) == []


def test_a_sample_that_is_killed(tmp_path: Path) -> None:
    with _sample(tmp_path / "s") as program:
        program.kill()
    assert list(tmp_path.glob(".*.partial"))
    few = ["--training", "1", "--validation", "0", "--test", "0", "--size", "64"]
    assert main(["sample", str(tmp_path / "s"), *few]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    assert not list((tmp_path / "s").glob(".sa2_monai.*.lock"))
