# SPDX-License-Identifier: Apache-2.0
"""Which format a file has, by its first bytes: a suffix says what somebody believed."""

from __future__ import annotations

import os
from pathlib import Path

from sa2_monai.io.dicom.files import is_dicom

__all__ = ["FORMATS", "IMAGE_SUFFIXES", "SLIDE_SUFFIXES", "image_format", "is_image", "no_image"]

#: File name suffixes (lower case) of the formats that are read.
IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".dib", ".npy", ".gif", ".webp"),
    *(".jp2", ".j2k", ".jpx", ".dcm", ".dicom"),
)
#: Suffixes of the whole slides of scanners, which :mod:`sa2_monai.io.slides` reads region by region.
SLIDE_SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".svslide")
FORMATS = "PNG, JPEG, TIFF, BMP, GIF, WebP, JPEG 2000, DICOM or NumPy"
HINT = "save it as PNG, JPEG, TIFF or BMP"

_TIFF = (b"II*\0", b"MM\0*", b"II+\0\x08\0", b"MM\0+\0\x08")
_JP2 = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_READ = (
    ("PNG", (b"\x89PNG\r\n\x1a\n",)),
    ("JPEG", (b"\xff\xd8\xff",)),
    ("TIFF", _TIFF),
    ("BMP", (b"BM",)),
    ("GIF", (b"GIF87a", b"GIF89a")),
    ("JPEG2000", _JP2),
    ("NPY", (b"\x93NUMPY",)),
)
# What also lies in folders of images, named so that nobody looks for damage in a sound file.
_NAMED = (
    ("a JPEG XL image", (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")),
    ("a Photoshop document", (b"8BPS",)),
    ("an OpenEXR image", (b"v/1\x01",)),
    ("a Zeiss CZI file", (b"ZISRAWFILE",)),
    ("a Nikon ND2 file", (b"\xda\xce\xbe\x0a",)),
    ("a PDF document", (b"%PDF",)),
    ("an HDF5 file", (b"\x89HDF\r\n\x1a\n",)),
    ("an NRRD volume", (b"NRRD",)),
    ("a MetaImage volume", (b"ObjectType",)),
    ("a zip archive", (b"PK\x03\x04",)),
    ("a gzip file", (b"\x1f\x8b",)),
    ("a Netpbm image", (b"P4", b"P5", b"P6", b"P7")),
    ("a Git LFS pointer, not the image itself", (b"version https://git-lfs",)),
    ("a web page", (b"<!DOCTYPE html", b"<!doctype html", b"<html")),
    ("an SVG drawing", (b"<svg",)),
)


def image_format(path: str | os.PathLike[str]) -> str | None:
    """Format of an image file by its content.

    Args:
        path: an existing file.

    Returns:
        ``"PNG"``, ``"JPEG"``, ``"TIFF"``, ``"BMP"``, ``"GIF"``, ``"WEBP"``, ``"JPEG2000"``, ``"NPY"``, ``"DICOM"``, or
        ``None`` for any other content.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: a folder, or a file that cannot be opened.
    """
    start = _start(Path(path))
    for name, beginnings in _READ:
        if start.startswith(beginnings):
            return name
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    return "DICOM" if is_dicom(path) else None


def is_image(path: str | os.PathLike[str]) -> bool:
    """Whether a file holds an image of a format that is read, whatever its name.

    Any DICOM file counts, though it may turn out to be a slice of a scan, which is refused when it is read.

    Args:
        path: any path; a folder or a missing file is no image.
    """
    try:
        return image_format(path) is not None
    except (OSError, ValueError):
        return False


def no_image(path: Path) -> ValueError:
    """The error for a file of another content, which says what it is where that can be told."""
    size, start = path.stat().st_size, _start(path)
    named = [name for name, beginnings in _NAMED if start.startswith(beginnings)]
    if start[344:348] in (b"n+1\0", b"ni1\0") or start[4:8] in (b"n+2\0", b"ni2\0"):
        named = ["a NIfTI volume"]
    if start[4:8] == b"ftyp":
        named = [{b"heic": "an HEIC image", b"avif": "an AVIF image"}.get(start[8:12], "an HEIC image or a video")]
    if size == 0:
        return ValueError(f"{path}: is empty (0 bytes); copy the file again")
    if named:
        return ValueError(f"{path}: is {named[0]}, expected {FORMATS}; {HINT}")
    return ValueError(
        f"{path}: is not a readable image ({size} bytes), expected {FORMATS}; copy the file again, or {HINT}"
    )


def _start(path: Path) -> bytes:
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, expected an image file")
    try:
        with open(path, "rb") as file:
            return file.read(348)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; check the path and the list or folder that names it") from None
    except PermissionError:
        raise ValueError(f"{path}: cannot be opened, permission denied; make the file readable") from None
