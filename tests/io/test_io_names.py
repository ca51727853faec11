# SPDX-License-Identifier: Apache-2.0
"""Names of files: not too long, and the same letters in another form."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sa2_monai.io.atomic import atomic_write, remove_leftovers, write_json
from sa2_monai.io.names import file_name, same_forms

NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(
    ("stem", "suffix", "kept"),
    [("a", ".png", True), ("b" * 251, ".png", True), ("b" * 252, ".png", False), ("é" * 126, ".json", False)],
)
def test_what_fits_is_kept(stem: str, suffix: str, kept: bool) -> None:
    name = file_name(stem, suffix)
    assert (name == stem + suffix) is kept
    assert len(os.fsencode(name)) <= 255
    assert name.endswith(suffix)
    assert kept or file_name(stem[:-1] + "x", suffix) != name, "another stem, another name"


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.binary(min_size=1, max_size=400).map(lambda b: os.fsdecode(b.replace(b"/", b"").replace(b"\0", b"") or b"x")))
def test_any_name_has_room(stem: str) -> None:
    for suffix in (".json", "_prob_right_ventricle.nii.gz"):
        assert len(os.fsencode(file_name(stem, suffix))) <= 255


@pytest.mark.parametrize("name", ["b" * 255, "é" * 127, "[1]*" + "b" * 240, os.fsdecode(b"\xff" * 250), "plain"])
def test_long_names_are_written_whole(tmp_path: Path, name: str) -> None:
    """The temporary name beside a name of full length is not longer than that."""
    path = tmp_path / name
    write_json(path, {"name": name, "bytes": os.fsdecode(b"\xff")})
    assert os.listdir(tmp_path) == [name]
    assert r'"bytes": "\udcff"' in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="stopped"):
        atomic_write(path, lambda file: (_ for _ in ()).throw(ValueError("stopped")))
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["model.pt", "[1]*.pt", "b" * 255])
def test_leftovers_of_a_name_and_no_others(tmp_path: Path, name: str) -> None:
    def killed(_: object) -> None:
        (tmp_path / "x").touch()
        left = [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]
        os.link(left[0], tmp_path / f"{left[0].name[:-8]}left.tmp")

    atomic_write(tmp_path / name, killed)
    other = tmp_path / ".another.pt.1-ab.tmp"
    other.touch()
    assert len(list(tmp_path.glob(".*.tmp"))) == 2
    remove_leftovers(tmp_path / name)
    assert list(tmp_path.glob(".*.tmp")) == [other]


@pytest.mark.parametrize(
    ("table", "names", "expected"),
    [
        ({"a": 1}, ["a"], {"a": 1}),
        ({NFD: 1}, [NFC], {NFC: 1}),
        ({NFC: 1}, [NFD, "b"], {NFD: 1}),
        ({NFC: 1, NFD: 2}, [NFC], {NFC: 1, NFD: 2}),
        ({NFC: 1, NFD: 2}, [NFC, NFD], {NFC: 1, NFD: 2}),
        ({"a": 1}, ["A"], {"a": 1}),
    ],
)
def test_the_same_letters(table: dict[str, int], names: list[str], expected: dict[str, int]) -> None:
    assert same_forms(table, names) == expected
