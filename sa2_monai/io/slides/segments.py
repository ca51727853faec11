# SPDX-License-Identifier: Apache-2.0
"""Regions of one directory of a TIFF: only the tiles or strips that a region touches are decoded."""

from __future__ import annotations

import math
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.images.samples import ImageFileError, damaged
from sa2_monai.io.images.tiff import tiff_errors

__all__ = ["SegmentCache", "read_region"]

# A strip that holds the whole image is decoded in one piece: that is what tiles are there to avoid.
_LARGEST_SEGMENT = 2**28
_PHOTOMETRIC_RGB, _PHOTOMETRIC_YCBCR = 2, 6


class SegmentCache:
    """The last decoded tiles, up to a number of bytes: neighbouring regions share them.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int = 2**27) -> None:
        self.limit = limit
        self._arrays: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[int, int]) -> np.ndarray | None:
        """A tile, by the offset of its directory and its number."""
        if key in self._arrays:
            self._arrays.move_to_end(key)
        return self._arrays.get(key)

    def put(self, key: tuple[int, int], array: np.ndarray) -> None:
        """Keep a tile, and forget those that have not been asked for longest."""
        self._arrays[key] = array
        self._bytes += array.nbytes
        while self._bytes > self.limit and len(self._arrays) > 1:
            self._bytes -= self._arrays.popitem(last=False)[1].nbytes


def read_region(page: Any, top: int, left: int, height: int, width: int, cache: SegmentCache, path: Path) -> np.ndarray:
    """Decode a region of a directory.

    A tile without bytes (offset and length 0) is one that the scanner has left out: it is white in colour images, else
    0.

    Args:
        page: a page or frame of tifffile.
        top: first row, inside of the image.
        left: first column.
        height: number of rows.
        width: number of columns.
        cache: of decoded tiles.
        path: the file, for messages.

    Returns:
        (height, width, samples) in the type of the file.

    Raises:
        ValueError: a tile that is missing, cut off, damaged, too large, or of a compression that is not read.
    """
    frame = page.keyframe
    rows, columns = int(frame.imagelength), int(frame.imagewidth)
    tall = int(frame.tilelength if frame.is_tiled else min(frame.rowsperstrip, rows))
    wide = int(frame.tilewidth if frame.is_tiled else columns)
    samples = int(frame.samplesperpixel)
    separate = int(frame.planarconfig) == 2 and samples > 1
    inside = 1 if separate else samples
    if tall * wide * inside * frame.dtype.itemsize > _LARGEST_SEGMENT:
        if int(frame.compression) == 1 and not separate and frame.is_contiguous:
            return _rows(page, top, left, height, width, samples, path)
        raise ImageFileError(
            f"{path}: is compressed in pieces of {wide} x {tall} pixels, of which no region can be read alone; save it "
            "as TIFF with tiles"
        )
    down, across = math.ceil(rows / tall), math.ceil(columns / wide)
    out = np.empty((height, width, samples), dtype=frame.dtype.newbyteorder("="))
    for plane in range(samples if separate else 1):
        target = out[..., plane : plane + 1] if separate else out
        for row in range(top // tall, (top + height - 1) // tall + 1):
            for column in range(left // wide, (left + width - 1) // wide + 1):
                tile = _segment(page, (plane * down + row) * across + column, (tall, wide, inside), cache, path)
                y, x = row * tall, column * wide
                first_y, last_y = max(top, y), min(top + height, y + tall, rows)
                first_x, last_x = max(left, x), min(left + width, x + wide, columns)
                target[first_y - top : last_y - top, first_x - left : last_x - left] = tile[
                    first_y - y : last_y - y, first_x - x : last_x - x
                ]
    return out


def _segment(page: Any, index: int, shape: tuple[int, int, int], cache: SegmentCache, path: Path) -> np.ndarray:
    frame, key = page.keyframe, (int(page.offset), index)
    found = cache.get(key)
    if found is not None:
        return found
    if index >= len(page.dataoffsets) or index >= len(page.databytecounts):
        raise damaged(path, f"tile {index} of {len(page.dataoffsets)} is missing")
    offset, count = page.dataoffsets[index], page.databytecounts[index]
    colour = int(frame.photometric) in (_PHOTOMETRIC_RGB, _PHOTOMETRIC_YCBCR) and frame.dtype.kind == "u"
    if offset == 0 and count == 0:
        return np.full(shape, np.iinfo(frame.dtype).max if colour else 0, dtype=frame.dtype)
    handle = page.parent.filehandle
    if count == 0 or offset + count > handle.size:
        raise damaged(path, f"tile {index} of {count} bytes at {offset} in a file of {handle.size} bytes")
    with tiff_errors(path):
        handle.seek(offset)
        data = handle.read(count)
        array = frame.decode(data, index, jpegtables=page.jpegtables, jpegheader=frame.jpegheader)[0]
    if array is None or array.shape[2] > shape[1] or array.shape[1] > shape[0] or array.shape[3] != shape[2]:
        size = None if array is None else array.shape[1:]
        raise damaged(path, f"tile {index} decodes to {size}, its directory promises {shape}")
    cache.put(key, array[0])
    return array[0]


def _rows(page: Any, top: int, left: int, height: int, width: int, samples: int, path: Path) -> np.ndarray:
    """Rows of an image that is stored in one piece without compression."""
    frame, handle = page.keyframe, page.parent.filehandle
    line = int(frame.imagewidth) * samples * frame.dtype.itemsize
    with tiff_errors(path):
        handle.seek(page.dataoffsets[0] + top * line)
        data = handle.read(height * line)
    if len(data) < height * line:
        raise damaged(path, f"rows {top} to {top + height - 1} are missing")
    stored = frame.dtype.newbyteorder(page.parent.byteorder)
    array = np.frombuffer(data, dtype=stored).reshape(height, int(frame.imagewidth), samples)[:, left : left + width]
    return array.astype(frame.dtype.newbyteorder("="))
