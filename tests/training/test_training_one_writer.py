# SPDX-License-Identifier: Apache-2.0
"""Two trainings do not write into one folder."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from ignite.engine import Engine, Events
from monai.handlers import StatsHandler
from training_setup import Run, Stop

from sa2_monai.io.ownership import FolderInUseError
from sa2_monai.training import OneWriter, RunRecord, check_folder


def claimed(folder: Path, *arguments: Any, **options: Any) -> Run:
    run = Run(folder, *arguments, **options)
    OneWriter([folder, folder / "eval"]).attach(run.trainer)
    return run


def locks(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.lock"))


def hold(folder: Path, ready: Any, leave: Any) -> None:
    """A training in another process that waits in its first iteration; without a network, which may not be forked."""

    def wait(*_: Any) -> None:
        ready.set()
        leave.wait(60)

    trainer = Engine(wait)
    OneWriter([folder, folder / "eval"]).attach(trainer)
    trainer.run([0])


@pytest.mark.parametrize("killed", [False, True], ids=["ended", "killed"])
def test_a_folder_of_a_living_training_is_refused(killed: bool, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready, leave = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, ready, leave))
    other.start()
    try:
        assert ready.wait(60)
        refuse = (
            rf"{re.escape(str(tmp_path))}.*: another program writes into this folder: training, process {other.pid} on"
        )
        for check in (lambda: check_folder(tmp_path), lambda: check_folder(tmp_path / "eval")):
            with pytest.raises(FolderInUseError, match=rf"{refuse}.*, since 20\d\d-.*choose another folder"):
                check()
        run = claimed(tmp_path, resume=True)
        with pytest.raises(FolderInUseError, match=refuse):
            run.run()
        assert run.epochs == []
        one_of_two = Run(tmp_path / "own")
        OneWriter([tmp_path / "own", tmp_path / "eval"]).attach(one_of_two.trainer)
        with pytest.raises(FolderInUseError, match=f"eval: another .* {other.pid} on"):
            one_of_two.run()
        assert not list((tmp_path / "own").iterdir())
    finally:
        if killed:
            os.kill(other.pid, signal.SIGKILL)
        else:
            leave.set()
        other.join(60)
    # The killed one has left its claims behind.
    assert bool(locks(tmp_path)) == killed
    check_folder(tmp_path)
    assert claimed(tmp_path, resume=True).run().trainer.state.epoch == 4
    assert locks(tmp_path) == []


@pytest.mark.parametrize("others", ["", "record", "stats", "record stats"])
def test_the_folder_is_free_after_an_error_that_is_passed_on(others: str, tmp_path: Path) -> None:
    run = claimed(tmp_path, stop_at=2)
    held: list[str] = []
    run.trainer.add_event_handler(Events.ITERATION_STARTED, lambda _: held.extend(locks(tmp_path)))
    for name in others.split():
        (RunRecord(tmp_path, {}) if name == "record" else StatsHandler(output_transform=lambda _: 0)).attach(
            run.trainer
        )
    with pytest.raises(Stop):
        run.run()
    assert len(held) == 4
    assert locks(tmp_path) == []
    assert claimed(tmp_path, 1).run().epochs == [1]
    assert locks(tmp_path) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        check_folder(tmp_path / "file" / "models")
    run = Run(tmp_path)
    OneWriter([tmp_path / "file" / "models"]).attach(run.trainer)
    with pytest.raises(OSError, match="file"):
        run.run()
