# SPDX-License-Identifier: Apache-2.0
"""Two-dimensional pictures as arrays: PNG, JPEG, TIFF, BMP and NumPy, 8-bit, 16-bit and float, images and label maps.

Pillow does the reading, except for colour pictures with 16 bits per channel: Pillow keeps only their upper bytes or
refuses them, so SimpleITK reads those. Orientation tags (EXIF, TIFF) are always applied.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from sa2_monai.io.images.npy import is_npy, npy_picture, npy_size

__all__ = ["PICTURE_SUFFIXES", "luminance", "picture_size", "read_image", "read_label"]

PathLike = str | os.PathLike[str]

#: File name suffixes (lower case) of the formats that are read.
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".npy")

# "JPEG" includes the files with several pictures that cameras write (Pillow calls them MPO); the first is taken.
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
_CURE_FORMAT = "save it as PNG, JPEG, TIFF or BMP"
_ORIENTATION = 274


def read_image(path: PathLike, channels: int | None = None, channel_order: str = "RGB") -> np.ndarray:
    """Read a picture for the network: intensities, not classes.

    Palette pictures become RGB, one-bit pictures 0 and 255, opaque alpha channels are dropped.

    Args:
        path: PNG, JPEG, TIFF or BMP file with one page, or a NumPy array (H, W) or (H, W, C) in a ``.npy`` file.
        channels: 1 or 3: grey is replicated to 3, colour becomes luminance (ITU-R BT.601) for 1. Any other number must
            be that of the file (a ``.npy``, as picture formats hold grey or colour). ``None`` keeps what the file has.
        channel_order: ``"RGB"`` or ``"BGR"`` (the SA2-Net weights for microscopy were trained on BGR); says nothing of
            files of other than 3 channels.

    Returns:
        Array (H, W, C) in the integer type of the file (uint8 or uint16), or float32 of a float TIFF or array; C is 1
        or 3, of a NumPy array also another number.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file cannot be read or has another number of channels, with the file's name and the cure.
    """
    if channel_order not in ("RGB", "BGR"):
        raise ValueError(f"channel_order is {channel_order!r}, expected 'RGB' or 'BGR'")
    if channels is not None and channels < 1:
        raise ValueError(f"{path}: channels is {channels}, expected 1 (grey), 3 (colour), more of a .npy file, or None")
    array = _load(Path(path), label=False)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.dtype == np.int32:
        raise ValueError(
            f"{path}: holds 32-bit integers, which have no fixed intensity range; save it with 8 or 16 bits per channel"
        )
    if channels == 3 and array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    elif channels == 1 and array.shape[2] == 3:
        array = luminance(array)
    elif channels not in (None, array.shape[2]):
        raise ValueError(
            f"{path}: has {array.shape[2]} channels, expected {channels}; a picture file holds grey (1) or colour (3), "
            "give one file per part of the channels (CASE_0000.png, CASE_0001.png), or a .npy array (H, W, C)"
        )
    if channel_order == "BGR" and array.shape[2] == 3:
        array = array[:, :, ::-1]
    return np.ascontiguousarray(array)


def read_label(path: PathLike) -> np.ndarray:
    """Read a label map: class or instance numbers, never intensities.

    The indices of a palette picture are its values; of a one-bit picture 0 and 1; of 2 and 4-bit grey pictures 0 to 3
    and 0 to 15. Three equal channels count as one.

    Args:
        path: PNG, JPEG, TIFF or BMP file with one page, or a NumPy array (H, W) in a ``.npy`` file.

    Returns:
        Integer array (H, W): uint8, uint16 or int32.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file cannot be read, has transparent pixels, differing channels or fractional values.
    """
    array = _load(Path(path), label=True)
    if array.ndim == 3:
        if not (array == array[:, :, :1]).all():
            raise ValueError(
                f"{path}: is a colour picture with different channels, expected a label map with one value per pixel; "
                "write the class numbers into a single-channel PNG"
            )
        array = array[:, :, 0]
    if array.dtype.kind == "f":
        whole = np.rint(array)
        if not np.array_equal(whole, array) or np.abs(whole).max(initial=0) > np.iinfo(np.int32).max // 2:
            raise ValueError(
                f"{path}: holds fractional values between {array.min()} and {array.max()}, expected whole class "
                "numbers; write them into a single-channel PNG (and never resize label maps with interpolation)"
            )
        array = whole.astype(np.int32)
    return np.ascontiguousarray(array)


def picture_size(path: PathLike) -> tuple[int, int]:
    """Size of a picture as :func:`read_image` returns it, from the header alone.

    Args:
        path: PNG, JPEG, TIFF, BMP or ``.npy`` file.

    Returns:
        (H, W) in pixels, after the orientation tag.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the header cannot be read.
    """
    if is_npy(Path(path)):
        return npy_size(Path(path))
    opened = _open(Path(path))
    if isinstance(opened, _Tags):
        return opened.height, opened.width
    with opened as picture:
        height, width = _stored_size(picture)
        return (width, height) if _orientation(picture) >= 5 else (height, width)


def luminance(array: np.ndarray) -> np.ndarray:
    """Luminance after ITU-R BT.601: ``0.299 R + 0.587 G + 0.114 B``, for integers in 16-bit fixed point.

    Args:
        array: (H, W, 3), channels R, G, B; uint8, uint16 or float.

    Returns:
        (H, W, 1) of the same type; uint8 values equal Pillow's conversion to ``"L"``.
    """
    red, green, blue = (array[:, :, k : k + 1] for k in range(3))
    if array.dtype.kind == "f":
        return (0.299 * red + 0.587 * green + 0.114 * blue).astype(array.dtype)
    wide = np.uint32
    total = red.astype(wide) * wide(19595) + green.astype(wide) * wide(38470) + blue.astype(wide) * wide(7471)
    return ((total + wide(0x8000)) >> wide(16)).astype(array.dtype)


class _Tags(NamedTuple):
    """What the directory of a TIFF says; for the colour TIFFs that Pillow does not know (float, some 16-bit)."""

    height: int
    width: int
    pages: int
    orientation: int


def _open(path: Path) -> Image.Image | _Tags:
    """Open a picture lazily; every failure becomes one message with the file's name."""
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, expected a picture file")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; check the path and the list or folder that names it")
    try:
        return Image.open(path, formats=_FORMATS)
    except UnidentifiedImageError:
        tags = _read_tags(path)
        if tags is not None:
            return tags
        size = path.stat().st_size
        what = "is empty" if size == 0 else "is not a readable PNG, JPEG, TIFF or BMP picture"
        raise ValueError(f"{path}: {what} ({size} bytes); copy the file again, or {_CURE_FORMAT}") from None
    except PermissionError:
        raise ValueError(f"{path}: cannot be opened, permission denied; make the file readable") from None
    except Exception as error:  # Pillow's plug-ins raise nearly anything on damaged headers
        raise _damaged(path, error) from error


def _load(path: Path, label: bool) -> np.ndarray:
    """Decode one page: (H, W) or (H, W, C); uint8, uint16, int32 or float32, oriented and without alpha."""
    if is_npy(path):
        return npy_picture(path, label)
    opened = _open(path)
    if isinstance(opened, _Tags):
        _check_pages(path, opened.pages)
        return _load_with_sitk(path, opened.orientation, tiff=True)
    with opened as picture:
        if picture.format in ("TIFF", "PNG"):
            try:
                pages = int(getattr(picture, "n_frames", 1))
            except Exception as error:
                raise _damaged(path, error) from error
            _check_pages(path, pages)
        bits = _bits_per_channel(picture, path)
        if bits > 8 and picture.mode not in ("I", "F") and not picture.mode.startswith("I;"):
            return _load_with_sitk(path, _orientation(picture), tiff=picture.format == "TIFF")
        try:
            picture.load()
            # A TIFF is turned while Pillow loads it; its tag may still be there and must not be followed twice.
            oriented = picture if picture.format == "TIFF" else ImageOps.exif_transpose(picture)
        except Exception as error:
            raise _damaged(path, error) from error
        return _to_array(oriented, path, bits, label)


def _to_array(picture: Image.Image, path: Path, bits: int, label: bool) -> np.ndarray:
    mode = picture.mode
    if label and mode in ("P", "1"):
        # The palette's indices are the values, whatever colours and transparency they are shown with.
        return np.asarray(picture).astype(np.uint8)
    if mode == "F":
        array = np.asarray(picture, dtype=np.float32)
        _check_finite(array, path)
        return array
    if mode == "I" or mode.startswith("I;"):
        array = np.asarray(picture)
        if array.dtype.kind == "u" or (bits <= 16 and array.min(initial=0) >= 0 and array.max(initial=0) <= 65535):
            return array.astype(np.uint16)
        return array.astype(np.int32)
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        rgba = np.asarray(picture.convert("RGBA"))
        if rgba[:, :, 3].min(initial=255) < 255:
            raise _transparent(path)
        picture = picture.convert("L" if mode in ("L", "LA", "La", "1") else "RGB")
    elif mode == "1":
        picture = picture.convert("L")
    elif mode in ("P", "YCbCr"):
        picture = picture.convert("RGB")
    elif mode not in ("L", "RGB"):
        raise ValueError(
            f"{path}: has colour mode {mode}, expected grey or RGB; convert it to RGB with the profile it was made with"
        )
    array = np.asarray(picture)
    if label and mode == "L" and bits in (2, 4):
        array = array // (255 // (2**bits - 1))  # Pillow spreads 2 and 4-bit values over 0..255
    return array


def _load_with_sitk(path: Path, orientation: int, tiff: bool) -> np.ndarray:
    """Decode a colour picture of 16 bits per channel, or of float values."""
    import SimpleITK as sitk

    if tiff and orientation != 1:  # ITK then quietly falls back to 8 bits
        raise ValueError(
            f"{path}: is a TIFF of 16 bits per channel that is stored turned (orientation tag {orientation}); "
            "save it upright, or as PNG"
        )
    try:
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except Exception as error:
        if "Unknown PixelType" in str(error):
            raise ValueError(
                f"{path}: is grey with an alpha channel of 16 bits, which cannot be read; save it without alpha"
            ) from error
        raise _damaged(path, error) from error
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.dtype not in (np.uint16, np.float32) or array.shape[2] not in (1, 3, 4):
        raise ValueError(
            f"{path}: decodes to {array.dtype} of shape {array.shape}, expected grey or RGB with 8 or 16 bits; "
            f"{_CURE_FORMAT}"
        )
    if array.shape[2] == 4:
        if array[:, :, 3].min(initial=65535) < 65535:
            raise _transparent(path)
        array = array[:, :, :3]
    if array.dtype.kind == "f":
        _check_finite(array, path)
    array = _orient(array, orientation)
    return array if array.shape[2] == 3 else array[:, :, 0]


def _read_tags(path: Path) -> _Tags | None:
    """Directory of a TIFF; ``None`` if the file is no TIFF or its directory is damaged."""
    try:
        with open(path, "rb") as file:
            directory = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
            file.seek(directory.next)
            directory.load(file)
            if directory.next > path.stat().st_size:  # points behind the end
                return None
            pages = 2 if directory.next else 1
            return _Tags(int(directory[257]), int(directory[256]), pages, int(directory.get(_ORIENTATION, 1)))
    except Exception:  # anything can stand in a damaged file
        return None


def _check_pages(path: Path, pages: int) -> None:
    if pages != 1:
        raise ValueError(f"{path}: has {pages} pages, expected a single picture; save the wanted page as its own file")


def _check_finite(array: np.ndarray, path: Path) -> None:
    if not np.isfinite(array).all():
        raise ValueError(
            f"{path}: {int((~np.isfinite(array)).sum())} of {array.size} pixels are NaN or infinite; "
            "replace them and save the file again"
        )


def _orient(array: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation (1 to 8) to an array (H, W, C)."""
    if orientation >= 5:
        array = array.transpose(1, 0, 2)
    # What remains after the transposition: rows reversed, columns reversed.
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def _bits_per_channel(picture: Image.Image, path: Path) -> int:
    """Bits per channel as stored; Pillow's mode alone does not tell 8 from 16-bit colour."""
    if picture.format == "PNG":
        with open(path, "rb") as file:
            return file.read(25)[24]  # eighth byte of the IHDR chunk's data, always first in the file
    if picture.format == "TIFF":
        bits: Any = getattr(picture, "tag_v2", {}).get(258, 1)
        return int(max(bits)) if isinstance(bits, tuple) else int(bits)
    return 1 if picture.mode == "1" else 8


def _stored_size(picture: Image.Image) -> tuple[int, int]:
    tags: Any = getattr(picture, "tag_v2", None)
    if tags and 256 in tags and 257 in tags:  # Pillow reports a TIFF's size as turned
        return int(tags[257]), int(tags[256])
    return picture.height, picture.width


def _orientation(picture: Image.Image) -> int:
    tags: Any = getattr(picture, "tag_v2", None)
    try:
        value = (tags if tags else picture.getexif()).get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF blocks: Pillow ignores them, too
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _damaged(path: Path, error: Exception) -> ValueError:
    if isinstance(error, Image.DecompressionBombError):
        return ValueError(f"{path}: {error}; cut whole-slide pictures into tiles first")
    text = str(error).strip()
    reason = text.splitlines()[-1] if text else type(error).__name__
    return ValueError(f"{path}: damaged or truncated picture ({reason}); copy the file again, or {_CURE_FORMAT}")


def _transparent(path: Path) -> ValueError:
    return ValueError(
        f"{path}: has an alpha channel with transparent pixels, expected an opaque picture; "
        "paint it on its background and save it without alpha"
    )
