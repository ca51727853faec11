# SPDX-License-Identifier: Apache-2.0
"""Files with a checksum of all their bytes."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
import torch

from sa2_monai.weights import sha256_of
from sa2_monai.weights.sealed import has_checksum, read_sealed, write_sealed
from tests.support.full_disk import full_disk

CONTENT = {"weight": torch.arange(40.0), "epoch": 3, "names": ["a", "b"]}


def test_anybody_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "state.pt"
    calls: list[list[str]] = []
    write_sealed(path, CONTENT, lambda: calls.append(os.listdir(path.parent)))
    assert len(calls) == 1
    assert calls[0][0].startswith(".state.pt.")
    assert os.listdir(path.parent) == ["state.pt"]
    for content in (read_sealed(path), torch.load(path, weights_only=True)):
        assert content.keys() == CONTENT.keys()
        assert torch.equal(content["weight"], CONTENT["weight"])
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        comment = archive.comment.decode()
    assert has_checksum(path)
    rest = tmp_path / "rest"
    rest.write_bytes(path.read_bytes()[: -len(comment)])
    assert comment == f"sa2_monai sha256 {sha256_of(rest)}"


def test_each_bit_counts(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    write_sealed(path, CONTENT)
    data = path.read_bytes()
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << (place % 8)
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"state\.pt is damaged: (the SHA-256 of its|the checksum at its end)"):
            read_sealed(path)


def test_files_without_it(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    torch.save(CONTENT, path)
    assert not has_checksum(path)
    assert read_sealed(path)["epoch"] == 3
    path.write_bytes(path.read_bytes().replace(CONTENT["weight"].numpy().tobytes(), bytes(160)))  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"state\.pt is damaged: the checksum of its part state/data/0 is wrong"):
        read_sealed(path)
    path.write_text("text")
    assert not has_checksum(path)
    with pytest.raises(ValueError, match="is not a PyTorch checkpoint or is damaged"):
        read_sealed(path)
    with pytest.raises(FileNotFoundError):
        read_sealed(tmp_path / "none.pt")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_sealed(tmp_path)


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    write_sealed(path, CONTENT)
    before = path.read_bytes()
    for limit in (0, 500, len(before) - 81, len(before) - 1):
        with full_disk(limit), pytest.raises(OSError, match=r"cannot write .*state\.pt.*unchanged"):
            write_sealed(path, CONTENT)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["state.pt"]
