# SPDX-License-Identifier: Apache-2.0
"""SHA-256 of files, of their first bytes, and of folders."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from sa2_monai.io import digest
from sa2_monai.io.digest import digest_of, sha256_of

BODY = bytes(range(256)) * 8192  # two blocks
SIZES = [(None, BODY), (0, b""), (1000, BODY[:1000]), (len(BODY) + 1, BODY)]


@pytest.mark.parametrize(("size", "expected"), SIZES)
def test_a_file_or_its_first_bytes(size: int | None, expected: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BODY)
    assert sha256_of(tmp_path / "a", size) == hashlib.sha256(expected).hexdigest()


def test_a_folder_is_that_of_its_files_by_name(tmp_path: Path) -> None:
    for name in "ba":
        (tmp_path / name).write_text(name)
    (tmp_path / "inner").mkdir()
    lines = "".join(f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in "ab")
    assert digest_of(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()
    assert digest_of(tmp_path / "a") == sha256_of(tmp_path / "a")


def test_what_cannot_be_read_has_none(tmp_path: Path) -> None:
    assert digest_of(tmp_path / "gone") is None
    with pytest.raises(FileNotFoundError):
        sha256_of(tmp_path / "gone")


def test_a_remembered_hash_is_that_of_the_file_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, other = tmp_path / "model.pt", tmp_path / "other.pt"
    file.write_bytes(b"first")
    other.write_bytes(b"other")
    os.utime(other, ns=(1, file.stat().st_mtime_ns))
    assert digest.remembered_sha256(file) == digest.sha256_of(file)
    wanted = digest.sha256_of(other)
    os.replace(other, file)  # as many bytes, of the same time
    assert digest.remembered_sha256(file) == wanted
    monkeypatch.setattr(digest, "sha256_of", lambda _: pytest.fail("read again"))
    assert digest.remembered_sha256(file) == wanted
