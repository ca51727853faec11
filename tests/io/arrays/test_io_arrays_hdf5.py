# SPDX-License-Identifier: Apache-2.0
"""Chunks of HDF5 that unpack to more than they stand for; where arrays may lie is told in tests/io/limits."""

from __future__ import annotations

import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from sa2_monai.data import read_preprocessed
from sa2_monai.io.arrays import hdf5

SHAPE = (4, 8, 8)


def with_chunk(path: Path, content: bytes) -> Path:
    """A file whose one chunk holds such compressed bytes."""
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("image", SHAPE, np.float32, chunks=SHAPE, compression="gzip")
        dataset.id.write_direct_chunk((0, 0, 0), content)
    return path


def test_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    good = with_chunk(tmp_path / "good.h5", zlib.compress(image.tobytes()))
    bomb = with_chunk(tmp_path / "bomb.h5", zlib.compress(bytes(2**22)))
    assert read_preprocessed(bomb).shape == (8, 8, 4)  # 4 MiB are no matter
    monkeypatch.setattr(hdf5, "bytes_at_most", lambda: 2**10)
    np.testing.assert_array_equal(read_preprocessed(good), np.moveaxis(image, 0, -1))
    with pytest.raises(ValueError, match=r"bomb\.h5: a chunk of 'image' unpacks to more than the 1024 bytes"):
        read_preprocessed(bomb)
