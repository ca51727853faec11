# SPDX-License-Identifier: Apache-2.0
"""Lengths in DICOM files, compared with what is there before a library asks for memory.

pydicom and GDCM believe the length of an element: a damaged or hostile one makes them lay down up to 4 GiB for a file
of a few kilobytes. A deflated data set is unpacked whole by both, however large it becomes.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from sa2_monai.io.limits.voxels import bytes_at_most

__all__ = ["check_lengths"]

_IMPLICIT, _DEFLATED, _BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
_SHORT = (
    *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO"),
    *(b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
)
_UNDEFINED = 0xFFFFFFFF
_END_OF_SEQUENCE, _PIXELS = 0xFFFEE0DD, 0x7FE00010
# A file that is cut off within its pixels is told by other words; so many bytes do no harm.
_HARMLESS = 1 << 26
_PIECE = 1 << 20


def check_lengths(path: Path, strict: bool = False) -> None:
    """Refuse a file with an element, an item or a fragment far longer than the rest of the file.

    Args:
        path: DICOM file; what is none passes.
        strict: in a file whose syntax says the types of its elements, refuse one that is none, too: GDCM, which touches
            all memory that it asks for, goes on behind it by a guess of its own.

    Raises:
        ValueError: such a length or type, or a deflated data set that becomes too large
            (:func:`~sa2_monai.io.limits.voxels.bytes_at_most`).
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(132)[128:] != b"DICM":
            file.seek(0)
        syntax = _meta(path, file, size, strict)
        if syntax == _DEFLATED:
            content = _inflated(path, file)
            _walk(path, io.BytesIO(content), len(content), "<", strict=strict)
        else:
            _walk(path, file, size, ">" if syntax == _BIG else "<", syntax == _IMPLICIT, strict and bool(syntax))


def _meta(path: Path, file: BinaryIO, size: int, strict: bool) -> str:
    """TransferSyntaxUID; the file is behind group 0002 afterwards, which is always explicit and little endian."""
    syntax = ""
    while True:
        start = file.tell()
        found = _head(file, "<", False)
        if found is None or found[0] >> 16 != 2:
            file.seek(start)
            return syntax
        tag, length, kind = found
        if strict:
            _check_type(path, tag, kind, length)
        _check(path, tag, length, size - file.tell())
        value = file.read(min(length, 64)) if tag == 0x00020010 else b""
        file.seek(length - len(value), os.SEEK_CUR)
        syntax = value.decode("ascii", "replace").strip(" \0") or syntax


def _walk(path: Path, file: BinaryIO, size: int, order: str, implicit: bool = False, strict: bool = False) -> None:
    """Elements one after the other; sequences and their items are stepped into, whatever length they state."""
    fragments = False
    while (found := _head(file, order, implicit)) is not None:
        tag, length, kind = found
        if strict and not implicit and tag >> 16 != 0xFFFE and not fragments:
            _check_type(path, tag, kind, length)
        if tag == _END_OF_SEQUENCE:
            fragments = False
        if length == _UNDEFINED:
            fragments = fragments or tag == _PIXELS
            strict = strict and kind != b"UN"  # a sequence whose elements say no types
            continue
        _check(path, tag, length, size - file.tell())
        if tag >> 16 == 0xFFFE and not fragments:
            continue
        if kind == b"SQ":
            continue
        if tag != _PIXELS and length >= 8 and _begins_with_item(file, order):
            strict = False  # the same, of known length
            continue
        file.seek(length, os.SEEK_CUR)


def _head(file: BinaryIO, order: str, implicit: bool) -> tuple[int, int, bytes] | None:
    """Tag, length and type of the next element, empty where it says none; ``None`` behind the last one."""
    head = file.read(8)
    if len(head) < 8:
        return None
    group, element, length = struct.unpack(f"{order}HHI", head)
    kind = head[4:6]
    if group == 0xFFFE or implicit or not kind.isalpha() or not kind.isupper():
        return group << 16 | element, length, b""
    if kind not in _LONG:
        return group << 16 | element, struct.unpack(f"{order}H", head[6:])[0], kind
    rest = file.read(4)
    if len(rest) < 4:
        return None
    return group << 16 | element, struct.unpack(f"{order}I", rest)[0], kind


def _begins_with_item(file: BinaryIO, order: str) -> bool:
    start = file.tell()
    first = file.read(4)
    file.seek(start)
    return len(first) == 4 and struct.unpack(f"{order}HH", first) == (0xFFFE, 0xE000)


def _check_type(path: Path, tag: int, kind: bytes, length: int) -> None:
    if kind not in (*_LONG, *_SHORT) or (length == _UNDEFINED and kind not in (b"SQ", b"UN", b"OB", b"OW")):
        raise ValueError(
            f"{path}: truncated or damaged: the element ({tag >> 16:04x},{tag & 0xFFFF:04x}) has the type {kind!r} and "
            f"the length {length}, expected those of DICOM; copy the file again"
        )


def _check(path: Path, tag: int, length: int, left: int) -> None:
    if length != _UNDEFINED and length > max(left, _HARMLESS):
        raise ValueError(
            f"{path}: truncated or damaged: the element ({tag >> 16:04x},{tag & 0xFFFF:04x}) promises {length} bytes, "
            f"the file holds {max(left, 0)} more; copy the file again"
        )


def _inflated(path: Path, file: BinaryIO) -> bytes:
    engine, most, content, data = zlib.decompressobj(-zlib.MAX_WBITS), bytes_at_most(), bytearray(), file.read(_PIECE)
    while data and not engine.eof:
        content += engine.decompress(data, _PIECE)
        data = engine.unconsumed_tail or file.read(_PIECE)
        if len(content) > most:
            raise ValueError(
                f"{path}: its deflated data set becomes more than the {most} bytes that are allowed (half of the free "
                "memory); ask for it uncompressed"
            )
    return bytes(content)
