# SPDX-License-Identifier: Apache-2.0
"""Folders in which something is made: gone at the end, and those of killed programs with the next."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sa2_monai.io import ownership
from sa2_monai.io.workplace import temporary_folder, workplace


def _marked(folder: Path, pid: int) -> None:
    owner = {**ownership._process(os.getpid()), "pid": pid}
    (folder / f".sa2_monai.{pid}.0123abcd.lock").write_text(json.dumps(owner))
    (folder / "half").write_text("made")


def _old(folder: Path) -> None:
    then = time.time() - 3600
    os.utime(folder, (then, then))


# What another program left beside the place -> whether the next one removes it.
TEST_CASES: list[tuple[str, str, Callable[[Path], None], bool]] = [
    ("of a killed program", ".out.0a.partial", lambda folder: _marked(folder, 2**30), True),
    ("of this program", ".out.0a.partial", lambda folder: _marked(folder, os.getpid()), False),
    ("beside another place", ".other.0a.partial", lambda folder: _marked(folder, 2**30), False),
    ("killed before its mark", ".out.0a.partial", _old, True),
    ("before its mark", ".out.0a.partial", lambda folder: None, False),
    ("of nobody", ".out.0a.partial", lambda folder: (folder / "mine").touch(), False),
]


@pytest.mark.parametrize(("name", "make", "removed"), [case[1:] for case in TEST_CASES], ids=[c[0] for c in TEST_CASES])
def test_what_is_left(tmp_path: Path, name: str, make: Callable[[Path], None], removed: bool) -> None:
    left = tmp_path / name
    left.mkdir()
    make(left)
    with workplace(tmp_path / "out", "test") as place:
        assert place.parent == tmp_path
        assert left.exists() is not removed
    assert [path.name for path in tmp_path.iterdir()] == ([] if removed else [name])


def test_it_is_gone_after_an_error(tmp_path: Path) -> None:
    def fail(place: Path) -> None:
        (place / "half").write_text("made")
        raise KeyError

    with pytest.raises(KeyError), workplace(tmp_path / "a" / "out", "test") as place:
        fail(place)
    assert list((tmp_path / "a").iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=f"cannot write to the folder {tmp_path / 'file'}"):
        workplace(tmp_path / "file" / "out", "test").__enter__()


def test_temporary_folders_are_private_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary_folder() as one, temporary_folder() as two:
        assert one != two
        assert list(one.iterdir()) == []
        assert one.parent.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []
