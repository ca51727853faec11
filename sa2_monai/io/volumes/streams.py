# SPDX-License-Identifier: Apache-2.0
"""Voxels as they lie in a file, plain or compressed: read to the end, with checksum and length checked.

What a library reads stops behind the last voxel and never sees a wrong checksum, a missing end or slices too many.
Here every compressed stream is read to its end, straight into the array that it fills, and what a header promises is
compared with what the file can hold before memory is asked for.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

__all__ = ["Stored", "allocate", "check_length", "is_gzip", "read_start", "read_stored"]

_GZIP = b"\x1f\x8b"
# zlib's word for the formats: gzip alone, and gzip or zlib, as MetaImage has it.
_WBITS = {"gzip": 31, "zlib": 47}
_CHUNK = 1 << 18  # bytes of the file at a time
_PIECE = 1 << 20  # bytes of the content at a time
_LARGEST_RATIO = 1032  # deflate makes at most so many bytes of one
_HINT = "copy the file again"


@dataclass(frozen=True)
class Stored:
    """Where the voxels of a volume lie.

    Attributes:
        file: the file that holds them; not always the one with the header.
        start: bytes of the file in front of the voxels, or of the compressed stream.
        codec: ``"raw"``, ``"gzip"`` or ``"zlib"``.
        skip: bytes of the decompressed content in front of the voxels.
    """

    file: Path
    start: int = 0
    codec: str = "raw"
    skip: int = 0


def is_gzip(path: Path) -> bool:
    """Whether the content of a file is a gzip stream, whatever its name says.

    Args:
        path: an existing file.
    """
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def read_start(path: Path, size: int) -> bytes:
    """The first bytes of a file, decompressed where it is a gzip stream; fewer where it is shorter.

    Args:
        path: an existing file.
        size: number of bytes.

    Raises:
        ValueError: a damaged stream.
    """
    with path.open("rb") as file:
        first = file.read(2)
        file.seek(0)
        if first != _GZIP:
            return file.read(size)
        content = b""
        for piece in _pieces(path, file, "gzip"):
            content += piece
            if len(content) >= size:
                break
        return content[:size]


def check_length(stored: Stored, size: int, what: str) -> None:
    """Refuse a header that promises more than its file can hold; nothing is read.

    Args:
        stored: where the voxels lie.
        size: bytes of the voxels.
        what: the voxels in words, such as ``"512 x 512 x 90 voxels of int16"``.

    Raises:
        ValueError: the file is too short.
    """
    there = stored.file.stat().st_size - stored.start
    if stored.codec == "raw":
        there -= stored.skip
    elif stored.skip + size > there * _LARGEST_RATIO:
        size += stored.skip
    if size > (there if stored.codec == "raw" else there * _LARGEST_RATIO):
        raise ValueError(
            f"{stored.file}: truncated or damaged: the header promises {what} ({size} bytes), but the file holds only "
            f"{max(there, 0)} {'' if stored.codec == 'raw' else 'compressed '}bytes for them; {_HINT}"
        )


def allocate(path: Path, size: int) -> np.ndarray:
    """Empty array of bytes.

    Args:
        path: file that they are for, named in the message.
        size: number of bytes.

    Raises:
        MemoryError: there is not enough memory; the message says for what, and what helps.
    """
    try:
        return np.empty(size, dtype=np.uint8)
    except MemoryError as error:
        raise MemoryError(
            f"{path}: not enough memory for its voxels ({size / 2**30:.1f} GiB); close other programs, use a machine "
            "with more memory, or cut or downsample the volume"
        ) from error


def read_stored(stored: Stored, size: int, what: str, slack: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read the voxels of a file as bytes.

    Args:
        stored: where they lie.
        size: number of bytes.
        what: the voxels in words, for messages.
        slack: number of bytes behind the voxels from which on the header must be wrong; those of one slice.

    Returns:
        uint8 array ``(size,)`` that owns its memory; and a remark where a few bytes follow.

    Raises:
        ValueError: fewer bytes, or a slice or more behind them; a compressed stream that is cut off, has a wrong
            checksum or is followed by something else.
        MemoryError: there is not enough memory.
    """
    check_length(stored, size, what)
    buffer = allocate(stored.file, size)
    with stored.file.open("rb") as file:
        if stored.codec == "raw":
            file.seek(stored.start + stored.skip)
            found = _fill(file, buffer)
            behind = stored.file.stat().st_size - file.tell()
        else:
            file.seek(stored.start)
            found, behind = _fill_from(_pieces(stored.file, file, stored.codec), buffer, stored.skip, slack)
    if found < size:
        raise ValueError(
            f"{stored.file}: truncated or damaged: the header promises {what} ({size} bytes), found {found}; {_HINT}"
        )
    if behind >= slack:
        raise ValueError(
            f"{stored.file}: holds {behind} bytes behind the {what} that the header promises, a slice or more; the "
            "header does not fit the voxels, convert the original scan again"
        )
    return buffer, (f"{behind} bytes follow the last voxel, which are not used",) if behind else ()


def _fill(file: IO[bytes], buffer: np.ndarray) -> int:
    view, found = buffer.data, 0
    while found < len(view) and (count := file.readinto(view[found:])):  # type: ignore[attr-defined]
        found += count
    return found


def _fill_from(pieces: Iterator[bytes], buffer: np.ndarray, skip: int, slack: int) -> tuple[int, int]:
    """Fill an array with what comes behind the first ``skip`` bytes; numbers of bytes found, and left over.

    From ``slack`` bytes left over on the file is refused anyway, however many gigabytes are still to come.
    """
    view, at, behind = buffer.data, -skip, 0
    for piece in pieces:
        end = at + len(piece)
        if end > 0:
            fresh = piece[max(-at, 0) : len(piece) - max(end - len(view), 0)]
            view[max(at, 0) : max(at, 0) + len(fresh)] = fresh
            behind = max(end - len(view), 0)
        at = end
        if behind >= slack:
            break
    return max(min(at, len(view)), 0), behind


def _pieces(path: Path, file: IO[bytes], codec: str) -> Iterator[bytes]:
    """Content of a compressed stream, several gzip members included, piece by piece.

    Raises:
        ValueError: when the stream is cut off, damaged, or followed by something else.
    """
    engine, data, more = zlib.decompressobj(_WBITS[codec]), b"", True
    while True:
        if not data and more:
            data = file.read(_CHUNK)
            more = bool(data)
        try:
            piece = engine.decompress(data, _PIECE)
        except zlib.error as error:
            reason = str(error).split(":")[-1].strip()
            raise ValueError(
                f"{path}: truncated or damaged: the compressed data are wrong ({reason}); {_HINT}"
            ) from error
        data = engine.unconsumed_tail
        if piece:
            yield piece
        if engine.eof:
            data = _behind(file, engine.unused_data)
            if not data:
                return
            if codec != "gzip" or not data.startswith(_GZIP):
                raise ValueError(
                    f"{path}: truncated or damaged: something follows the end of the compressed data "
                    f"({data[:8].hex(' ')} ...); {_HINT}"
                )
            engine = zlib.decompressobj(_WBITS[codec])  # another member: gzip files may be put together
        elif not piece and not data and not more:
            raise ValueError(f"{path}: truncated or damaged: the file ends before its compressed data do; {_HINT}")


def _behind(file: IO[bytes], data: bytes) -> bytes:
    """What follows the end of a stream, without zeros: tapes and block devices fill up with them."""
    while True:
        data = data.lstrip(b"\0")
        if len(data) >= len(_GZIP):
            return data
        fresh = file.read(_CHUNK)
        if not fresh:
            return data
        data += fresh
