# SPDX-License-Identifier: Apache-2.0
"""Paths that MONAI's command line or another file system has changed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sa2_monai.io.paths import check_output_path, existing_path, verbatim_paths

NFC, NFD = "caf\u00e9.png", "cafe\u0301.png"

# What is in the folder, how a path arrives, what is meant.
TEST_CASES: list[tuple[list[str], str, str]] = [
    (["a.png"], "a.png", "a.png"),
    (["slide #3.png"], "slide ::3.png", "slide #3.png"),
    (["run #2/x.png"], "run ::2/x.png", "run #2/x.png"),
    (["run #2/slide#3#.png"], "run ::2/slide::3::.png", "run #2/slide#3#.png"),
    (["a::b/c#d.png"], "a::b/c::d.png", "a::b/c#d.png"),
    (["a::b#c.png"], "a::b::c.png", "a::b#c.png"),
    (["a::b.png"], "a::b.png", "a::b.png"),
    ([], "a::b.png", "a::b.png"),
    (["a##b#c#d#e#f#g#h.png"], "a::::b::c::d::e::f::g::h.png", "a##b#c#d#e#f#g#h.png"),
    ([NFC], NFD, NFC),
    ([NFD], NFC, NFD),
    ([NFC, NFD], NFD, NFD),
    ([f"#1/{NFC}"], f"::1/{NFD}", f"#1/{NFC}"),
    ([], NFC, NFC),
    ([os.fsdecode(b"\xff#.png")], os.fsdecode(b"\xff::.png"), os.fsdecode(b"\xff#.png")),
]


@pytest.mark.parametrize(("names", "arrives", "meant"), TEST_CASES)
def test_what_is_meant(tmp_path: Path, names: list[str], arrives: str, meant: str) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    if sorted(os.listdir(tmp_path)) != sorted({name.split("/")[0] for name in names}):
        pytest.skip("this file system has one name for both forms of a letter, or no such bytes")
    assert existing_path(tmp_path / arrives) == tmp_path / meant


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a#1").touch()
    assert existing_path("a::1") == Path("a#1")
    assert existing_path(".") == Path(".")


def test_two_that_may_be_meant(tmp_path: Path) -> None:
    for name in ("a#b", "a::b"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"a::b: which is meant, this or .*a#b\?"):
        existing_path(tmp_path / "a::b")
    with verbatim_paths():
        assert existing_path(tmp_path / "a::b") == tmp_path / "a::b"
    assert existing_path(tmp_path / "a#b") == tmp_path / "a#b"


# Words of the command line, the path that arrives, whether it may be used.
OUTPUTS = [
    (["--output_dir", "out"], "out", True),
    (["--output_dir", "out#1"], "out", False),  # what follows was taken for a comment
    (["--output_dir=out #1"], "out", False),
    (["--output_dir", "/tmp/out#1"], "/tmp/out::1", False),
    (["--output_dir", "/tmp/out#1"], "/tmp/out::1/predictions", False),
    (["--output_dir", "runs#1/out"], "runs", False),
    (["--train#trainer#max_epochs", "3"], "train", True),
    (["--output_dir", "outer", "--note", "out#1"], "outer", True),
    (["--dataset_dir", "/data/run#1"], "/data/run/eval", True),
    ([], "out::1", False),
    ([], "out", True),
]


@pytest.mark.parametrize(("words", "path", "used"), OUTPUTS)
def test_folders_for_results(words: list[str], path: str, used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["run", *words])
    with verbatim_paths():
        check_output_path(path)
    if used:
        check_output_path(path)
    else:
        with pytest.raises(ValueError, match="results would land in another folder"):
            check_output_path(path)
