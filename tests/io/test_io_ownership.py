# SPDX-License-Identifier: Apache-2.0
"""One writer for an output folder."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sa2_monai.io import ownership
from sa2_monai.io.ownership import FolderInUseError, claim_folder


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _leave(folder: Path, **changes: Any) -> Path:
    """The file of another program: of this process, but for what is changed."""
    folder.mkdir(exist_ok=True)
    owner = {**ownership._process(os.getpid()), "purpose": "training", "shared": None, "since": "2026-01-02T03:04:05"}
    file = folder / f".sa2_monai.{changes.get('pid', 1)}.0123abcd.lock"
    file.write_text(json.dumps({**owner, **changes}))
    return file


def _claim_elsewhere(folder: Path, shared: str | None, ready: Any, leave: Any, result: Any) -> None:
    try:
        with claim_folder(folder, "prediction", shared):
            result.put("claimed")
            ready.set()
            leave.wait(30)
    except FolderInUseError as error:
        result.put(str(error))
    ready.set()


def test_a_claim_ends_with_its_block_and_makes_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with claim_folder(folder, "training") as claimed:
        assert claimed == folder
        assert len(_files(folder)) == 1
    assert _files(folder) == []
    with pytest.raises(KeyError), claim_folder(folder, "training"):
        raise KeyError
    assert _files(folder) == []


def test_claims_of_one_process_go_together(tmp_path: Path) -> None:
    with claim_folder(tmp_path, "training"):
        with claim_folder(tmp_path, "results of the training"):
            assert len(_files(tmp_path)) == 2
        assert len(_files(tmp_path)) == 1


# Who wrote the file that is there already -> whether it keeps us out.
TEST_CASES = [
    ({"pid": 1, "started": "1"}, False),  # the number was given to another process
    ({"pid": 2**30}, False),  # no such process
    ({"boot": "before"}, False),  # the machine was started anew
    ({"host": "elsewhere"}, True),  # nobody can tell
    ({"host": "elsewhere", "boot": "other", "pid": 2**30}, True),
    ({"pid": "no number"}, True),
]


@pytest.mark.parametrize(("changes", "kept_out"), TEST_CASES)
def test_files_of_dead_programs_are_removed(tmp_path: Path, changes: dict[str, Any], kept_out: bool) -> None:
    other = _leave(tmp_path, **changes)
    if kept_out:
        with pytest.raises(FolderInUseError, match=r"training, process .* on .*, since 2026-01-02"):
            claim_folder(tmp_path, "training").__enter__()
        assert _files(tmp_path) == [other.name]
    else:
        with claim_folder(tmp_path, "training"):
            assert not other.exists()


def test_what_is_taken_over_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _leave(tmp_path, pid=2**30)
    with claim_folder(tmp_path, "prediction"):
        pass
    (message,) = caplog.messages
    assert message.startswith(
        f"{tmp_path}: taken over from process {2**30} on {socket.gethostname()}, since 2026-01-02"
    )
    assert message.endswith("(training), which has ended")


# Of a program on another machine: its mark, seconds since it was renewed -> why it is taken over.
SILENT_CASES = [
    ({"renewed": 60}, ownership.SILENT - 60, None),
    ({"renewed": 60}, ownership.SILENT + 60, "which has given no sign for 61 minutes"),
    ({}, 10 * ownership.SILENT, None),  # of an earlier version, which renewed nothing
]


@pytest.mark.parametrize(("changes", "seconds", "reason"), SILENT_CASES)
def test_another_machine_is_given_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, Any], seconds: float, reason: str | None
) -> None:
    other = _leave(tmp_path, host="elsewhere", **changes)
    then = time.time() - seconds
    os.utime(other, (then, then))
    if reason is None:
        with pytest.raises(FolderInUseError, match=f"remove {re.escape(str(other))}") as caught:
            claim_folder(tmp_path, "training").__enter__()
        assert ("not been renewed for 60 minutes" in str(caught.value)) == ("renewed" in changes)
    else:
        with claim_folder(tmp_path, "training"):
            assert not other.exists()
        assert caplog.messages[0].endswith(reason)


def test_a_living_program_renews_its_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "RENEWED", 0.01)
    with claim_folder(tmp_path, "training"):
        (mark,) = tmp_path.iterdir()
        os.utime(mark, (1.0, 1.0))
        until = time.monotonic() + 30
        while mark.stat().st_mtime == 1.0 and time.monotonic() < until:
            time.sleep(0.01)
        assert mark.stat().st_mtime > 1.0


@pytest.mark.parametrize("content", ["", "[1]", "{"])
def test_an_unreadable_file_keeps_out(tmp_path: Path, content: str) -> None:
    other = _leave(tmp_path)
    other.write_text(content)
    with pytest.raises(FolderInUseError, match=f"remove .*{other.name}"):
        claim_folder(tmp_path, "training").__enter__()


@pytest.mark.parametrize(
    ("theirs", "ours", "together"), [("a", "a", True), ("a", "b", False), (None, "a", False), ("a", None, False)]
)
def test_two_processes(tmp_path: Path, theirs: str | None, ours: str | None, together: bool) -> None:
    context = multiprocessing.get_context("fork")
    ready, leave, result = context.Event(), context.Event(), context.Queue()
    other = context.Process(target=_claim_elsewhere, args=(tmp_path, theirs, ready, leave, result))
    other.start()
    try:
        assert ready.wait(30)
        assert result.get(timeout=30) == "claimed"
        if together:
            with claim_folder(tmp_path, "prediction", ours):
                assert len(_files(tmp_path)) == 2
        else:
            with pytest.raises(FolderInUseError) as caught:
                claim_folder(tmp_path, "training", ours).__enter__()
            assert f"prediction, process {other.pid} on {socket.gethostname()}" in str(caught.value)
    finally:
        leave.set()
        other.join(30)
    with claim_folder(tmp_path, "training"):
        pass
    assert _files(tmp_path) == []


def test_a_killed_program_keeps_nobody_out(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready, leave, result = context.Event(), context.Event(), context.Queue()
    other = context.Process(target=_claim_elsewhere, args=(tmp_path, None, ready, leave, result))
    other.start()
    assert ready.wait(30)
    other.kill()
    other.join(30)
    assert len(_files(tmp_path)) == 1
    with claim_folder(tmp_path, "training"):
        assert len(_files(tmp_path)) == 1
    assert _files(tmp_path) == []


def test_a_forked_worker_does_not_end_the_claim(tmp_path: Path) -> None:
    claim = claim_folder(tmp_path, "training")
    claim.__enter__()
    worker = multiprocessing.get_context("fork").Process(target=claim.__exit__, args=(None, None, None))
    worker.start()
    worker.join(30)
    assert len(_files(tmp_path)) == 1
    claim.__exit__(None, None, None)
    assert _files(tmp_path) == []


def test_of_many_that_come_at_once_not_two_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Threads stand for programs: each says that it is another process.
    numbers = threading.local()
    real = ownership._process
    monkeypatch.setattr(ownership, "_process", lambda pid: {**real(pid), "started": getattr(numbers, "own", None)})
    monkeypatch.setattr(ownership, "_is_dead", lambda found, owner: False)
    writers: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        numbers.own = str(number)
        try:
            with claim_folder(tmp_path, "training"):
                writers.append(number)
                most.append(len(writers))
                writers.remove(number)
        except FolderInUseError:
            pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) <= {1}
    assert _files(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write to the output folder"):
        claim_folder(tmp_path / "file" / "out", "training").__enter__()
