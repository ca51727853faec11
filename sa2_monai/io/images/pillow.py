# SPDX-License-Identifier: Apache-2.0
"""PNG, JPEG, BMP, GIF, WebP and JPEG 2000 through Pillow, and what has to be known beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from sa2_monai.io.images.headers import (
    Jpeg2000Header,
    jpeg2000_header,
    jpeg_header,
    png_has_notes,
    png_header,
    webp_lossy,
)
from sa2_monai.io.images.samples import ImageFileError, Samples, check_decoded, check_size, damaged, orient

__all__ = ["pillow_lossy", "pillow_size", "read_pillow"]

_ORIENTATION = 274
_CHANNELS = {"1": 1, "L": 1, "I;16": 1, "I": 1, "P": 1, "LA": 2, "PA": 2, "RGB": 3, "RGBA": 4}
_BYTES = {"I;16": 2, "I": 4, "F": 4}
_EIGHT_BITS = ("L", "RGB", "RGBA")
_LARGE, _ROWS = 2**22, 256  # pixels from which on an image is taken out so many rows at a time


def read_pillow(path: Path, format: str) -> Samples:
    """Decode an image.

    Args:
        path: the file.
        format: its format by content, one of ``"PNG"``, ``"JPEG"``, ``"BMP"``, ``"GIF"``, ``"WEBP"``, ``"JPEG2000"``.

    Raises:
        ValueError: a damaged file, several frames, or a kind of the format that is not read.
    """
    with _opened(path, format) as image:
        # Of a JPEG with several images (cameras, phones: MPO) the others are previews, depth or gain maps.
        frames = 1 if format == "JPEG" else int(getattr(image, "n_frames", 1))
        if frames != 1:
            raise ImageFileError(
                f"{path}: is an animation of {frames} frames, expected a single image; save the wanted one as its own "
                "file"
            )
        check_size(path, image.height, image.width, len(image.getbands()), _BYTES.get(image.mode, 1))
        samples = {"PNG": _png, "JPEG": _jpeg, "JPEG2000": _jpeg2000, "GIF": _gif, "WEBP": _webp, "BMP": _plain}[
            format
        ](path, image)
        orientation = _orientation(path, image)
        alpha = None if samples.alpha is None else orient(samples.alpha, orientation)
        return replace(samples, array=orient(samples.array, orientation), alpha=alpha)


def pillow_size(path: Path, format: str) -> tuple[int, int]:
    """Height and width of an image after its orientation tag, from the header alone.

    Raises:
        ValueError: the header cannot be read.
    """
    with _opened(path, format) as image:
        height, width = image.height, image.width
        return (width, height) if _orientation(path, image) >= 5 else (height, width)


def pillow_lossy(path: Path, format: str) -> bool:
    """Whether the compression of an image may invent values.

    Raises:
        ValueError: the header of a JPEG 2000 file cannot be read.
    """
    if format == "JPEG2000":
        try:
            return jpeg2000_header(path.read_bytes()).lossy
        except ValueError as error:
            raise damaged(path, error) from error
    return format == "JPEG" or (format == "WEBP" and webp_lossy(path.read_bytes()))


@contextmanager
def _opened(path: Path, format: str) -> Iterator[Image.Image]:
    """Open a file; whatever Pillow's plug-ins raise on damaged files becomes one message with the file's name."""
    try:
        if format == "JPEG":
            _check_jpeg(path)
        with Image.open(path, formats=(format,)) as image:
            yield image
    except ImageFileError:
        raise
    except PermissionError:
        raise ImageFileError(f"{path}: cannot be opened, permission denied; make the file readable") from None
    except Exception as error:
        if re.search("data too large|too much memory used in text", str(error), re.IGNORECASE):
            raise ImageFileError(
                f"{path}: has compressed notes or a colour profile that unpack to more than Pillow allows ({error}), "
                "expected an image; save it without metadata"
            ) from error
        raise damaged(path, error) from error


def _check_jpeg(path: Path) -> None:
    """Name the kinds that Pillow takes for no image at all."""
    header = jpeg_header(path.read_bytes())
    if header.bits != 8 or header.lossless:
        kind = "lossless JPEG" if header.lossless else "JPEG"
        raise ImageFileError(f"{path}: is a {kind} of {header.bits} bits, expected 8; save it as PNG or TIFF")


def _png(path: Path, image: Image.Image) -> Samples:
    header = png_header(path)
    if header.bits == 16 and header.channels > 1:
        array = _png_16bit(path, image, header.channels)
    else:
        array = _array(image)
        if header.channels == 1 and header.bits in (2, 4) and not header.palette:
            array = array // (255 // (2**header.bits - 1))  # Pillow spreads 2 and 4-bit values over 0..255
        elif array.dtype == np.int32:
            array = array.astype(np.uint16)  # older versions of Pillow decode 16-bit grey so
    check_decoded(path, array, (header.height, header.width, header.channels), 1 + (header.bits == 16))
    if header.palette:
        return _with_palette(image, array)
    key = image.info.get("transparency")
    if key is not None and header.channels in (1, 3):  # the colour key: pixels of this value are transparent
        clear = (array == np.asarray(key).reshape(-1)[: header.channels]).all(axis=2)
        alpha = np.where(clear, 0, 2**header.bits - 1).astype(np.uint16)
        return Samples(array, bits=header.bits, colour=header.channels == 3, alpha=alpha, keyed=True)
    return _without_alpha(Samples(array, bits=header.bits, colour=header.channels >= 3), header.channels in (2, 4))


def _png_16bit(path: Path, image: Image.Image, channels: int) -> np.ndarray:
    """Colour of 16 bits per channel, which Pillow cuts to the upper bytes: read for these, and again for the lower.

    Grey with alpha has four bytes per pixel, as 8-bit colour with alpha has, and is read as such.
    """
    if channels == 2:
        with Image.open(path, formats=("PNG",)) as other:
            other.tile = [other.tile[0]._replace(args="RGBA")]
            both = np.asarray(other)
        return both[:, :, 0::2].astype(np.uint16) << 8 | both[:, :, 1::2]
    upper = np.asarray(image).astype(np.uint16)
    with Image.open(path, formats=("PNG",)) as other:
        other.tile = [other.tile[0]._replace(args=f"{'RGB' if channels == 3 else 'RGBA'};16L")]
        return upper << 8 | np.asarray(other)


def _jpeg(path: Path, image: Image.Image) -> Samples:
    header = jpeg_header(path.read_bytes())
    if header.components == 4:
        raise ImageFileError(
            f"{path}: has colour mode CMYK, expected grey or RGB; convert it to RGB with the profile it was made with"
        )
    array = _array(image)
    check_decoded(path, array, (header.height, header.width, header.components), 1)
    return Samples(array, colour=header.components == 3, lossy=True)


def _jpeg2000(path: Path, image: Image.Image) -> Samples:
    header: Jpeg2000Header = jpeg2000_header(path.read_bytes())
    bits = header.bits[0]
    if header.signed or len(set(header.bits)) > 1 or bits > (16 if len(header.bits) == 1 else 8):
        raise ImageFileError(
            f"{path}: is a JPEG 2000 image of {', '.join(map(str, header.bits))} {'signed ' * header.signed}bits, "
            "expected grey of up to 16 bits or colour of 8; save it as PNG or TIFF"
        )
    array = _array(image)
    check_decoded(path, array, (image.height, image.width, len(header.bits)), 1 if bits <= 8 else 2)
    array = array >> (8 * array.dtype.itemsize - bits)  # Pillow shifts the values to the upper bits
    plain = Samples(array, bits=bits, colour=len(header.bits) >= 3, lossy=header.lossy)
    return _without_alpha(plain, len(header.bits) in (2, 4))


def _gif(path: Path, image: Image.Image) -> Samples:
    samples = _with_palette(image, _array(image))
    if samples.palette is None:
        return samples
    used = np.unique(samples.array)
    grey = samples.palette[used] if used.max(initial=0) < len(samples.palette) else np.zeros((0, 3), np.uint8)
    if len(grey) and (grey == grey[:, :1]).all() and (np.diff(grey[:, 0].astype(int)) > 0).all():
        # The format has no grey: writers give grey values as a palette of those that occur.
        return Samples(samples.palette[samples.array[:, :, 0]][:, :, :1], alpha=samples.alpha, keyed=True)
    reason = (
        "is a GIF with a palette of colours, whose numbers the programs that write it choose anew, expected a label "
        "map; save the class numbers as a single-channel PNG"
    )
    return replace(samples, no_label=reason)


def _webp(path: Path, image: Image.Image) -> Samples:
    array = _array(image)
    check_decoded(path, array, (image.height, image.width, _CHANNELS[image.mode]), 1)
    return _without_alpha(Samples(array, colour=True, lossy=webp_lossy(path.read_bytes())), array.shape[2] == 4)


def _plain(path: Path, image: Image.Image) -> Samples:
    array = _array(image)
    check_decoded(path, array, (image.height, image.width, _CHANNELS[image.mode]), array.dtype.itemsize)
    if image.mode == "P":
        return _with_palette(image, array)
    plain = Samples(array, bits=1 if image.mode == "1" else 8, colour=image.mode in ("RGB", "RGBA"))
    return _without_alpha(plain, image.mode == "RGBA")


def _array(image: Image.Image) -> np.ndarray:
    if image.mode not in _CHANNELS:
        raise ValueError(f"colour mode {image.mode}, expected grey, RGB or a palette")
    array = _in_bands(image) if image.width * image.height > _LARGE and image.mode in _EIGHT_BITS else np.asarray(image)
    if array.dtype == bool:  # Pillow hands out its bytes of 0 and 255 as if they were bool
        array = array.view(np.uint8) & 1
    return array[:, :, None] if array.ndim == 2 else array


def _in_bands(image: Image.Image) -> np.ndarray:
    """The pixels of a large image, some rows at a time: Pillow lays down two copies of what it hands out."""
    array = np.empty((image.height, image.width, *([len(image.mode)] if len(image.mode) > 1 else [])), np.uint8)
    for top in range(0, image.height, _ROWS):
        bottom = min(top + _ROWS, image.height)
        array[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return array


def _with_palette(image: Image.Image, array: np.ndarray) -> Samples:
    if image.mode != "P":
        return Samples(array, bits=1 if image.mode == "1" else 8, colour=array.shape[2] >= 3)
    palette = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    clear = image.info.get("transparency")
    alpha = None
    if clear is not None:  # the opacity of every entry, or the number of the one that is transparent
        of_entry = np.full(256, 255, np.uint8)
        if isinstance(clear, bytes):
            of_entry[: len(clear)] = np.frombuffer(clear, np.uint8)[:256]
        else:
            of_entry[int(clear)] = 0
        alpha = of_entry[array[:, :, 0]]
    return Samples(array, palette=palette, alpha=alpha, keyed=True)


def _without_alpha(samples: Samples, last: bool) -> Samples:
    return replace(samples, array=samples.array[:, :, :-1], alpha=samples.array[:, :, -1]) if last else samples


def _orientation(path: Path, image: Image.Image) -> int:
    if image.format == "PNG" and not png_has_notes(path):
        return 1
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF blocks: Pillow ignores them, too
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
