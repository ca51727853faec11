# SPDX-License-Identifier: Apache-2.0
"""What the headers of PNG, JPEG, JPEG 2000 and WebP files promise beyond what Pillow tells."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

__all__ = [
    "Jpeg2000Header",
    "JpegHeader",
    "PngHeader",
    "jpeg2000_header",
    "jpeg_header",
    "png_has_notes",
    "png_header",
    "webp_lossy",
]

# Number of channels of PNG's colour types; a palette has one.
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# JPEG markers that begin a frame; DHT, JPG and DAC lie among their numbers.
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_LOSSLESS_FRAMES = {0xC3, 0xC7, 0xCB, 0xCF}


class PngHeader(NamedTuple):
    """Size, bits of a sample and channels (with alpha) of a PNG; ``palette`` where values are indices."""

    height: int
    width: int
    bits: int
    channels: int
    palette: bool


def png_header(path: Path) -> PngHeader:
    """Read the header of a PNG, and the checksums of all chunks up to the end.

    Raises:
        ValueError: what is wrong, without the file's name.
    """
    with open(path, "rb") as file:
        start = file.read(33)
        if len(start) < 33 or start[12:16] != b"IHDR":
            raise ValueError("no header")
        width, height, bits, kind = struct.unpack(">IIBB", start[16:26])
        if kind not in _PNG_CHANNELS or bits not in (1, 2, 4, 8, 16):
            raise ValueError(f"colour type {kind} with {bits} bits")
        for name, at, length in _png_chunks(file):
            # Chunks whose name begins with a capital decide on the pixels; the others are notes.
            if name[:1].isupper():
                file.seek(at)
                body = file.read(length + 4)
                if len(body) < length + 4:
                    raise ValueError("the end is missing")
                if struct.unpack(">I", body[-4:])[0] != zlib.crc32(memoryview(body)[:-4], zlib.crc32(name)):
                    raise ValueError(f"wrong checksum of chunk {name.decode('ascii', 'replace')}")
    return PngHeader(height, width, bits, _PNG_CHANNELS[kind], kind == 3)


def png_has_notes(path: Path) -> bool:
    """Whether a PNG has chunks that can hold an orientation; Pillow decodes all pixels to find those behind them.

    Raises:
        ValueError: the end is missing.
    """
    with open(path, "rb") as file:
        return any(name in (b"eXIf", b"iTXt", b"zTXt", b"tEXt") for name, _, _ in _png_chunks(file))


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name, place of the content and its length of every chunk, up to the end."""
    at, name, size = 8, b"", os.fstat(file.fileno()).st_size
    while name != b"IEND":
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            raise ValueError("the end is missing")
        length, name = struct.unpack(">I4s", head)
        if at + 12 + length > size:  # before so many bytes are asked for
            raise ValueError("the end is missing")
        yield name, at + 8, length
        at += 12 + length


class JpegHeader(NamedTuple):
    """Size, bits of a sample and components of a JPEG stream.

    ``ycbcr`` is what a JFIF or Adobe marker says of the colours, ``None`` without one; ``lossless`` the rare kind of
    JPEG that invents nothing (and that only DICOM uses).
    """

    height: int
    width: int
    bits: int
    components: int
    ycbcr: bool | None
    lossless: bool


def jpeg_header(data: bytes) -> JpegHeader:
    """Read the markers of a JPEG stream up to its frame.

    Args:
        data: the stream, or its beginning.

    Raises:
        ValueError: no frame, without the file's name.
    """
    at, ycbcr = 2, None
    while at + 4 <= len(data):
        if data[at] != 0xFF:  # decoders pass over bytes that do not belong there
            at += 1
            continue
        marker = data[at + 1]
        if marker == 0xFF or 0xD0 <= marker <= 0xD8 or marker == 0x01:  # fill bytes, markers without content
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        if marker == 0xE0 and body.startswith(b"JFIF\0"):
            ycbcr = True
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            ycbcr = body[11] != 0
        elif marker in _FRAMES and len(body) >= 6:
            bits, height, width, components = struct.unpack(">BHHB", body[:6])
            return JpegHeader(height, width, bits, components, ycbcr, marker in _LOSSLESS_FRAMES)
        elif marker == 0xDA:
            break
        at += 2 + length
    raise ValueError("no frame header")


class Jpeg2000Header(NamedTuple):
    """Bits of each component of a JPEG 2000 file, whether one is signed, and whether its wavelet is the lossy one."""

    bits: tuple[int, ...]
    signed: bool
    lossy: bool


def jpeg2000_header(data: bytes) -> Jpeg2000Header:
    """Read the markers SIZ and COD of a JPEG 2000 file or stream.

    Raises:
        ValueError: they are missing, without the file's name.
    """
    at = data.find(b"\xff\x4f\xff\x51")
    count = int.from_bytes(data[at + 40 : at + 42], "big") if at >= 0 else 0
    depths = data[at + 42 : at + 42 + 3 * count : 3]
    cod = data.find(b"\xff\x52", at + 42 + 3 * count)
    if not count or len(depths) < count or cod < 0 or cod + 14 > len(data):
        raise ValueError("no header of a JPEG 2000 stream")
    bits = tuple((depth & 0x7F) + 1 for depth in depths)
    return Jpeg2000Header(bits, any(depth & 0x80 for depth in depths), data[cod + 13] != 1)


def webp_lossy(data: bytes) -> bool:
    """Whether a WebP file holds a lossy stream: a chunk ``VP8 `` instead of ``VP8L``."""
    at = 12
    while at + 8 <= len(data):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8 "
        at += 8 + length + length % 2
    return True
