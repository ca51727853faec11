# SPDX-License-Identifier: Apache-2.0
"""A synthetic whole slide of any size: islands of stained tissue on glass, as a pyramidal TIFF."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.random import RandomState

from sa2_monai.data.samples.microscopy import paint
from sa2_monai.io.atomic import atomic_write

__all__ = ["make_sample_slide"]

_GLASS = 243
_KINDS_OF_TILES = 6  # painted ones, which repeat: a slide of any size costs a second or two
_MPP = 0.5
# Centre and half axes of the islands, in parts of the slide (y, x).
_ISLANDS = ((0.30, 0.28, 0.20, 0.20), (0.66, 0.66, 0.24, 0.26))


def make_sample_slide(
    path: str | os.PathLike[str],
    seed: int = 0,
    *,
    size: tuple[int, int] = (2048, 3072),
    tile: int = 256,
    full: bool = False,
) -> Path:
    """Write a slide: 8 bit RGB, Deflate, 0.5 micrometres per pixel.

    Its levels, two at least, have half the size of the one before, down to the size of a tile.

    Args:
        path: the file, ``.tif``.
        seed: of the painted tissue.
        size: (H, W) in pixels.
        tile: side of a tile, a power of two from 64 to 1024; the tissue repeats in tiles.
        full: tissue everywhere, in place of two islands.

    Returns:
        The path.

    Raises:
        ValueError: another size of tile, or less than 64 pixels.
        OSError: the file cannot be written.
    """
    if tile not in (64, 128, 256, 512, 1024):
        raise ValueError(f"tile is {tile}, expected 64, 128, 256, 512 or 1024")
    if min(size) < 64:
        raise ValueError(f"size is {size}, expected at least 64 pixels along each side")
    random = RandomState(seed)
    painted = [paint("he", (tile, tile), random)[0] for _ in range(_KINDS_OF_TILES)]
    atomic_write(path, lambda file: _write(file, painted, size, full))
    return Path(path)


def _write(file: BinaryIO, painted: list[np.ndarray], size: tuple[int, int], full: bool) -> None:
    import tifffile

    tile = len(painted[0])
    per_centimetre = 1e4 / _MPP
    with tifffile.TiffWriter(file, bigtiff=size[0] * size[1] > 2**29) as writer:
        level, tissue = 0, painted
        while level <= 1 or max(size) >> level >= tile:
            if level:
                tissue = [one.reshape(len(one) // 2, 2, -1, 2, 3).mean(axis=(1, 3)).round() for one in tissue]
            shape = (-(-size[0] >> level), -(-size[1] >> level))
            writer.write(
                map(bytes, _tiles([one.astype(np.uint8) for one in tissue], shape, tile, full)),
                shape=(*shape, 3),
                dtype=np.uint8,
                tile=(tile, tile),
                compression="zlib",
                photometric="rgb",
                subfiletype=1 if level else 0,
                resolution=(per_centimetre / 2**level, per_centimetre / 2**level),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
            if len(tissue[0]) == 1:
                break
            level += 1


def _tiles(tissue: list[np.ndarray], shape: tuple[int, int], tile: int, full: bool) -> Iterator[bytes]:
    """Compressed tiles of a level; those that are all glass or all tissue are compressed once."""
    side = len(tissue[0])  # of a painted tile at this level
    several = tile // side
    known: dict[tuple[int, ...], bytes] = {}
    for top in range(0, shape[0], tile):
        for left in range(0, shape[1], tile):
            mask = np.ones((tile, tile), bool) if full else _islands(top, left, tile, shape)
            numbers = [
                [((top // side + row) * 31 + (left // side + column) * 17) % len(tissue) for column in range(several)]
                for row in range(several)
            ]
            key: tuple[int, ...] = ()
            if mask.all():
                key = tuple(number for row in numbers for number in row)
            elif not mask.any():
                key = (-1,)
            if key and key in known:
                yield known[key]
                continue
            image = np.full((tile, tile, 3), _GLASS, dtype=np.uint8)
            if mask.any():
                filled = np.concatenate([np.concatenate([tissue[i] for i in row], axis=1) for row in numbers])
                image[mask] = filled[mask]
            data = zlib.compress(image.tobytes(), 1)
            if key:
                known[key] = data
            yield data


def _islands(top: int, left: int, tile: int, shape: tuple[int, int]) -> np.ndarray:
    y = ((np.arange(top, top + tile) + 0.5) / shape[0])[:, None]
    x = ((np.arange(left, left + tile) + 0.5) / shape[1])[None]
    inside = [((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1 for cy, cx, ry, rx in _ISLANDS]
    return np.logical_or.reduce(inside)
