# SPDX-License-Identifier: Apache-2.0
"""Archives that unpack to far more than they are: refused by whoever opens them, nothing is unpacked."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sa2_monai.bundle import extract_bundle
from sa2_monai.bundle.describe import describe_path
from sa2_monai.data import read_preprocessed
from sa2_monai.io.arrays.npz_stacks import npz_stack_shape
from sa2_monai.io.limits import zips
from sa2_monai.weights.read import read_safely
from sa2_monai.weights.weight_files import open_weights

CONFIG = "b/configs/inference.json"
MODEL = "b/models/model.pt"


def bundle(path: Path, method: int = zipfile.ZIP_DEFLATED, size: int = 2**22) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(CONFIG, "{}")
        archive.writestr(MODEL, bytes(size))
    return path


def opened(path: Path) -> None:
    with open_weights(path):
        pass


READERS: dict[str, tuple[str, Callable[[Path, Path], Any]]] = {
    "extract": ("b.zip", extract_bundle),
    "weights of a bundle": ("b.zip", lambda path, folder: opened(path)),
    "checkpoint": ("b.pt", lambda path, folder: read_safely(path)),
}


@pytest.mark.parametrize("reader", READERS)
def test_more_than_its_bytes_can_be_worth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str) -> None:
    name, read = READERS[reader]
    path = bundle(tmp_path / name)
    monkeypatch.setattr(zips, "_SMALL", 2**20)
    with pytest.raises(ValueError, match=r"b\.\w+: [\d,]+ bytes would unpack to 4,194,306, allowed are 1,048,576"):
        read(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("reader", READERS)
def test_compressions_without_a_bound(tmp_path: Path, method: int, reader: str) -> None:
    name, read = READERS[reader]
    path = bundle(tmp_path / name, method, 10)
    with pytest.raises(ValueError, match=r"is compressed by (bzip2|lzma), expected deflate or none"):
        read(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("read", [read_preprocessed, lambda path: npz_stack_shape(path, "image")])
def test_arrays_of_such(tmp_path: Path, method: int, read: Callable[[Path], Any]) -> None:
    content = io.BytesIO()
    np.save(content, np.zeros((4, 4), np.float32))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
        archive.writestr("image.npy", content.getvalue())
    with pytest.raises(ValueError, match=r"a\.npz: the entry 'image.npy' is compressed by"):
        read(tmp_path / "a.npz")


def test_entries_that_share_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in zip bombs without nesting: each entry of the table leads to the same compressed bytes."""
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(CONFIG, "{}")
        archive.writestr(MODEL, np.random.default_rng(0).bytes(2**16))
        first = archive.infolist()[1]
        for k in range(200):
            entry = zipfile.ZipInfo(f"b/{k}")
            for part in ("header_offset", "file_size", "compress_size", "CRC", "compress_type"):
                setattr(entry, part, getattr(first, part))
            archive.filelist.append(entry)
    monkeypatch.setattr(zips, "_SMALL", 2**20)
    with pytest.raises(ValueError, match="would unpack to 13,172,738"):
        extract_bundle(path, tmp_path / "out")


def test_texts_of_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "m.ts", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/extra/metadata.json", '{"name": "' + "x" * 2**20 + '"}')
    monkeypatch.setattr(zips.read_entry, "__defaults__", (2**16,))
    with pytest.raises(ValueError, match=r"metadata.json' has 1,048,588 bytes, expected at most 65,536"):
        describe_path(tmp_path / "m.ts")


def test_ordinary_archives(tmp_path: Path) -> None:
    assert extract_bundle(bundle(tmp_path / "b.zip"), tmp_path / "out") == tmp_path / "out" / "b"
    torch.save({"w": torch.ones(3)}, tmp_path / "w.pt")
    assert read_safely(tmp_path / "w.pt")["w"].sum() == 3


def test_headers_of_arrays_are_read_no_further(tmp_path: Path) -> None:
    """A header says how long it is, up to 4 GiB, and NumPy reads as much before it looks at it."""
    header = b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + bytes(2**20)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image.npy", header)
    with pytest.raises(ValueError, match="says that it has 2147483648 bytes"):
        read_preprocessed(tmp_path / "a.npz")
