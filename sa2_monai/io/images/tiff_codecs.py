# SPDX-License-Identifier: Apache-2.0
"""The common compressions of TIFF (LZW, JPEG, CCITT) through Pillow, where imagecodecs is not installed.

tifffile decodes Deflate, LZMA, PackBits and uncompressed data by itself and asks imagecodecs for everything else. The
rare compressions stay with the extra ``codecs``. Of Deflate and LZMA no more is unpacked than a strip or tile can hold,
as imagecodecs does it: a few megabytes may be gigabytes.
"""

from __future__ import annotations

import io
import lzma
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

from sa2_monai.io.images.headers import jpeg_header

__all__ = ["complete_codecs"]

_YCBCR, _RGB = 6, 2
_PADDING = 1 << 22  # bytes


def complete_codecs() -> None:
    """Give tifffile what its own stand-in for imagecodecs lacks; nothing happens where imagecodecs is installed."""
    import tifffile._imagecodecs
    import tifffile.tifffile

    codecs: Any = getattr(tifffile.tifffile, "imagecodecs", None)
    if codecs is None or codecs.__name__ == "imagecodecs" or hasattr(codecs, "lzw_decode"):
        return
    codecs.lzw_decode = _lzw
    own: Any = tifffile._imagecodecs  # whose Deflate and LZMA are taken, even where it is not the stand-in
    own.zlib_decode = lambda data, /, *, out=None: _bounded(zlib.decompressobj(), data, out)
    own.lzma_decode = lambda data, /, *, out=None: _bounded(lzma.LZMADecompressor(), data, out)
    codecs.jpeg_decode = _jpeg
    codecs.ccittrle_decode = lambda data, rows, width: _ccitt(data, rows, width, 2)
    codecs.ccittfax3_decode = lambda data, rows, width, t4options=0: _ccitt(data, rows, width, 3, t4options)
    codecs.ccittfax4_decode = lambda data, rows, width: _ccitt(data, rows, width, 4)


def _strip(data: bytes, width: int, height: int, bits: int, compression: int, options: int = 0) -> np.ndarray:
    """Decode a strip by a TIFF that holds nothing else; 0 is black in it, so the values come as they are stored."""
    tags = [
        (256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, compression), (262, 3, 1), (273, 4, 8), (277, 3, 1),
        (278, 4, height), (279, 4, len(data)), (292, 4, options),
    ]  # fmt: skip
    start = 8 + len(data) + len(data) % 2
    directory = struct.pack("<H", len(tags))
    for tag, kind, value in tags:
        directory += struct.pack("<HHI", tag, kind, 1) + struct.pack("<I" if kind == 4 else "<Hxx", value)
    file = b"II*\0" + struct.pack("<I", start) + data + bytes(len(data) % 2) + directory + bytes(4)
    with Image.open(io.BytesIO(file), formats=("TIFF",)) as image:
        return np.asarray(image)


def _bounded(engine: Any, data: bytes, out: int | None) -> bytes:
    """What a strip or tile holds, with room for the padding that some programs write behind it."""
    if out is None:
        raise ValueError("the size of compressed data must be known")
    most = 2 * out + _PADDING
    content: bytes = engine.decompress(data, most + 1)
    if len(content) > most:
        raise ValueError(f"a strip or tile of {out} bytes unpacks to more than {most}")
    if not engine.eof:
        raise ValueError("a strip or tile ends before its compressed data do")
    return content


def _lzw(data: bytes, /, *, out: int | None = None) -> bytes:
    if out is None:
        raise ValueError("the size of LZW data must be known")
    return _strip(data, out, 1, 8, 5).tobytes()


def _ccitt(data: bytes, rows: int, width: int, compression: int, options: int = 0) -> np.ndarray:
    return _strip(data, width, rows, 1, compression, options)


def _jpeg(
    data: bytes,
    /,
    *,
    bitspersample: int = 8,
    tables: bytes | None = None,
    header: bytes | None = None,
    colorspace: int | str | None = None,
    outcolorspace: int | str | None = None,
    shape: tuple[int, ...] | None = None,
) -> np.ndarray:
    del shape  # tifffile compares it with what comes out
    if bitspersample != 8 or header:
        raise ValueError("JPEG of another kind than baseline requires the 'imagecodecs' package")
    marker = b""
    if jpeg_header(data).components == 3:
        # The directory says what the colours are; without this marker a decoder would guess.
        ycbcr = outcolorspace == _RGB and colorspace != _RGB
        marker = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([int(ycbcr)])
    stream = data[:2] + marker + (tables[2:-2] if tables else b"") + data[2:]
    with Image.open(io.BytesIO(stream), formats=("JPEG",)) as image:
        return np.asarray(image)
