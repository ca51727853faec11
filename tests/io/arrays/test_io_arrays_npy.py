# SPDX-License-Identifier: Apache-2.0
"""NumPy's arrays in files and archives: bit for bit, refused where they are cut off, readable by threads."""

from __future__ import annotations

import io
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sa2_monai.io.arrays.npy import map_npy, npy_header, npz_member

TEST_CASES = [
    np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    np.asfortranarray(np.arange(24, dtype=np.int16).reshape(4, 6)),
    np.arange(6, dtype=">u2"),
    np.array(3.5),
    np.array([True, False]),
]


def content(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def archive(path: Path, data: bytes, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("a.npy", data)
    return path


@pytest.mark.parametrize("array", TEST_CASES)
def test_values(tmp_path: Path, array: np.ndarray) -> None:
    (tmp_path / "a.npy").write_bytes(content(array))
    with zipfile.ZipFile(archive(tmp_path / "a.npz", content(array))) as file:
        read = npz_member(file, "a")
    for found in (map_npy(tmp_path / "a.npy"), read):
        assert found.dtype == array.dtype
        assert found.shape == array.shape
        np.testing.assert_array_equal(found, array)
    assert read.flags.writeable


def test_empty_member(tmp_path: Path) -> None:
    with zipfile.ZipFile(archive(tmp_path / "a.npz", content(np.zeros((0, 3))))) as file:
        assert npz_member(file, "a").shape == (0, 3)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("wrong", [lambda data: data[:-1], lambda data: data + b"x"], ids=["cut off", "too long"])
def test_other_length(tmp_path: Path, wrong: Any, method: int) -> None:
    path = archive(tmp_path / "a.npz", wrong(content(TEST_CASES[0])), method)
    with zipfile.ZipFile(path) as file, pytest.raises(ValueError, match=r"has not the 96 bytes .* \(2, 3, 4\)"):
        npz_member(file, "a")


def test_checksum(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", content(TEST_CASES[0]), zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(TEST_CASES[0].tobytes()) + 7] ^= 1
    path.write_bytes(data)
    with zipfile.ZipFile(path) as file, pytest.raises(zipfile.BadZipFile, match="CRC"):
        npz_member(file, "a")


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    data = content(np.array([{}], dtype=object))
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(ValueError, match="pickled"):
        map_npy(tmp_path / "a.npy")
    with zipfile.ZipFile(archive(tmp_path / "a.npz", data)) as file, pytest.raises(ValueError, match="pickled"):
        npz_member(file, "a")


def test_headers_are_parsed_by_one_thread_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    data, parse = content(np.zeros(1)), np.lib.format.read_array_header_1_0
    inside: list[int] = []
    most = 0

    def slow(file: Any) -> Any:
        nonlocal most
        inside.append(1)
        most = max(most, len(inside))
        time.sleep(0.005)  # the others would come in now
        inside.pop()
        return parse(file)

    monkeypatch.setattr(np.lib.format, "read_array_header_1_0", slow)
    with ThreadPoolExecutor(4) as pool:
        headers = list(pool.map(lambda _: npy_header(io.BytesIO(data)), range(8)))
    assert [header.shape for header in headers] == [(1,)] * 8
    assert most == 1
