# SPDX-License-Identifier: Apache-2.0
"""Label maps of slides as pyramidal OME-TIFF, written while they are made."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sa2_monai.io.atomic import atomic_write
from sa2_monai.io.palette import mask_palette

__all__ = ["write_label_pyramid"]

_TILE = 512
_SMALLEST = 1024  # the first level that is not larger is the last
_COMPRESSION = 6


def write_label_pyramid(
    path: str | os.PathLike[str],
    bands: Iterable[np.ndarray],
    shape: tuple[int, int],
    mpp: tuple[float, float] | None = None,
) -> Path:
    """Write a label map that comes band by band: whole or not at all.

    Tiles of 512 x 512 pixels, Deflate, 8 bit with the colours of the classes as palette, and levels of half the size
    until one is at most 1024 pixels long. A level takes every second pixel of the one before: a label map has no
    values between classes. Beside one row of tiles, memory holds the compressed tiles of the smaller levels alone.

    Args:
        path: the file, ``.ome.tif``.
        bands: uint8 (rows, width) from top to bottom, with any number of rows.
        shape: (H, W) of the whole.
        mpp: micrometres per pixel (y, x), written as physical size.

    Returns:
        The path.

    Raises:
        OSError: when the file cannot be written.
        ValueError: bands that do not make up ``shape``.
    """
    atomic_write(path, lambda file: _write(file, bands, shape, mpp))
    return Path(path)


def _write(
    file: BinaryIO, bands: Iterable[np.ndarray], shape: tuple[int, int], mpp: tuple[float, float] | None
) -> None:
    import tifffile

    levels = [_LevelTiles(shape)]
    while max(levels[-1].shape) > _SMALLEST:
        rows, columns = levels[-1].shape
        levels.append(_LevelTiles(((rows + 1) // 2, (columns + 1) // 2)))
    colours = np.frombuffer(mask_palette(), np.uint8).reshape(256, 3).T.astype(np.uint16) * 257
    common = {
        "dtype": np.uint8,
        "tile": (_TILE, _TILE),
        "compression": "zlib",
        "photometric": "palette",
        "colormap": colours,
    }
    metadata: dict[str, object] = {"axes": "YX"}
    if mpp is not None:
        metadata |= {"PhysicalSizeY": mpp[0], "PhysicalSizeYUnit": "µm"}
        metadata |= {"PhysicalSizeX": mpp[1], "PhysicalSizeXUnit": "µm"}
    with tifffile.TiffWriter(file, bigtiff=shape[0] * shape[1] > 2**31, ome=True) as writer:
        tiles = _tiles_of(bands, levels)
        # tifffile stops at the last tile and closes a generator; behind that tile rows are passed to the other levels.
        writer.write(map(bytes, tiles), shape=shape, subifds=len(levels) - 1, metadata=metadata, **common)  # type: ignore[arg-type]
        if any(True for _ in tiles):
            raise ValueError(f"the bands have more than {shape[0]} rows")
        for level in levels[1:]:
            writer.write(iter(level.tiles), shape=level.shape, subfiletype=1, metadata=None, **common)  # type: ignore[arg-type]


class _LevelTiles:
    """Tiles of one level, made as its rows come."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.tiles: list[bytes] = []
        self.rows: list[np.ndarray] = []  # less than a row of tiles
        self.height = 0

    def add(self, band: np.ndarray) -> Iterator[np.ndarray]:
        """Take rows, and give them in pieces of a row of tiles as soon as these are full."""
        while len(band):
            part, band = band[: _TILE - self.height], band[_TILE - self.height :]
            self.rows.append(part)
            self.height += len(part)
            if self.height == _TILE:
                yield self.take()

    def take(self) -> np.ndarray:
        """The rows that are there, as one array."""
        full = np.concatenate(self.rows)
        self.rows, self.height = [], 0
        return full


def _tiles_of(bands: Iterable[np.ndarray], levels: list[_LevelTiles]) -> Iterator[bytes]:
    """Compressed tiles of level 0; those of the other levels are kept by them."""
    rows = 0
    for band in bands:
        if band.ndim != 2 or band.shape[1] != levels[0].shape[1] or band.dtype != np.uint8:
            raise ValueError(f"a band is {band.dtype} {band.shape}, expected uint8 (rows, {levels[0].shape[1]})")
        rows += len(band)
        for full in levels[0].add(np.array(band)):
            yield from _encoded(full)
            _pass_on(full, levels[1:])
    if rows != levels[0].shape[0]:
        raise ValueError(f"the bands have {rows} rows, expected {levels[0].shape[0]}")
    for index, level in enumerate(levels):
        if level.height:
            rest = level.take()
            if index == 0:
                yield from _encoded(rest)
            else:
                level.tiles += _encoded(rest)
            _pass_on(rest, levels[index + 1 :])


def _pass_on(rows: np.ndarray, levels: list[_LevelTiles]) -> None:
    if not levels:
        return
    for full in levels[0].add(rows[::2, ::2]):
        levels[0].tiles += _encoded(full)
        _pass_on(full, levels[1:])


def _encoded(rows: np.ndarray) -> Iterator[bytes]:
    """A row of tiles, each filled up with 0 at the borders of the image."""
    for left in range(0, rows.shape[1], _TILE):
        part = rows[:, left : left + _TILE]
        if not part.any():
            yield _EMPTY
            continue
        tile = np.zeros((_TILE, _TILE), dtype=np.uint8)
        tile[: part.shape[0], : part.shape[1]] = part
        yield zlib.compress(tile.tobytes(), _COMPRESSION)


_EMPTY = zlib.compress(bytes(_TILE * _TILE), _COMPRESSION)
