# SPDX-License-Identifier: Apache-2.0
"""Two-dimensional images and label maps as arrays: one way of seeing every format, depth and colour mode.

The format is decided by the content, whatever the suffix. A module per library decodes (``tiff``, ``pillow``,
``dicom``, ``npy``) and compares what came out with what the header promised; ``meaning`` then makes an image or a label
map of it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from sa2_monai.io.arrays.decoded import decoded
from sa2_monai.io.images.dicom import dicom_lossy, dicom_size, read_dicom_image
from sa2_monai.io.images.formats import IMAGE_SUFFIXES, SLIDE_SUFFIXES, image_format, is_image, no_image
from sa2_monai.io.images.meaning import luminance, to_image, to_label
from sa2_monai.io.images.npy import npy_size, read_npy
from sa2_monai.io.images.pillow import pillow_lossy, pillow_size, read_pillow
from sa2_monai.io.images.samples import ImageFileError, Samples
from sa2_monai.io.images.tiff import read_tiff, tiff_lossy, tiff_size

__all__ = [
    "IMAGE_SUFFIXES",
    "image_of",
    "image_size",
    "is_colour",
    "is_image",
    "is_lossy",
    "luminance",
    "read_image",
    "read_label",
    "read_samples",
]

PathLike = str | os.PathLike[str]


def read_image(path: PathLike, channels: int | None = None, channel_order: str = "RGB") -> np.ndarray:
    """Read an image for the network: intensities, not classes.

    White is high in every format (TIFF's WhiteIsZero and DICOM's MONOCHROME1 are inverted), samples of other than 8 or
    16 bits are spread over the range of the next of both, palettes become RGB, orientation tags are applied, opaque
    alpha channels dropped.

    Args:
        path: PNG, JPEG, TIFF, BMP, GIF, WebP, JPEG 2000 or DICOM file with one image, or a NumPy array (H, W) or (H, W,
            C) in a ``.npy`` file.
        channels: 1 or 3: grey is replicated to 3, colour becomes luminance (ITU-R BT.601) for 1. Channels that are no
            colours (TIFF without RGB, more than 3) must be as many as asked for. ``None`` keeps what the file has.
        channel_order: ``"RGB"`` or ``"BGR"`` (the SA2-Net weights for microscopy were trained on BGR); says nothing of
            files of other than 3 channels.

    Returns:
        Array (H, W, C) in the integer type of the file (uint8 or uint16), or float32 of float files.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file cannot be read with certainty or has another number of channels, with the file's name and
            the hint.
    """
    if channel_order not in ("RGB", "BGR"):
        raise ValueError(f"channel_order is {channel_order!r}, expected 'RGB' or 'BGR'")
    if channels is not None and channels < 1:
        raise ValueError(f"{path}: channels is {channels}, expected 1 (grey), 3 (colour), another number, or None")
    return image_of(read_samples(Path(path)), Path(path), channels, channel_order)


def image_of(samples: Samples, path: Path, channels: int | None = None, channel_order: str = "RGB") -> np.ndarray:
    """The image of decoded samples, all of a file or a region; see :func:`read_image`.

    Args:
        samples: what the file holds.
        path: the file, for messages.
        channels: see there.
        channel_order: see there.

    Raises:
        ValueError: see there.
    """
    array = to_image(samples, path, channels)
    if channel_order == "BGR" and array.shape[2] == 3:
        array = array[:, :, ::-1]
    return np.ascontiguousarray(array)


def read_label(path: PathLike, colours: bool = False) -> np.ndarray:
    """Read a label map: class or instance numbers, never intensities.

    The values are those that are stored: the indices of a palette, 0 and 1 of one bit, 0 to 15 of four bits, and the
    same whether 0 is black or white. Equal channels count as one. The values of lossy formats (:func:`is_lossy`) are
    what the compression made of them.

    Args:
        path: as for :func:`read_image`.
        colours: read masks in colour, too: each colour is one number, which a table of ``label_values`` with keys such
            as ``"#ff0000"`` knows (:mod:`sa2_monai.io.label_colours`). Not of lossy files, which blur colours.

    Returns:
        Integer array (H, W): uint8, uint16 or int32; negative values stay negative.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file cannot be read, has transparent pixels, differing channels, fractional or huge values.
    """
    return np.ascontiguousarray(to_label(read_samples(Path(path)), Path(path), colours))


def image_size(path: PathLike) -> tuple[int, int]:
    """Size of an image as :func:`read_image` returns it, from the header alone.

    Args:
        path: as for :func:`read_image`.

    Returns:
        (H, W) in pixels, after the orientation tag.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the header cannot be read.
    """
    path, format = Path(path), _format(Path(path))
    if format == "TIFF":
        return tiff_size(path)
    if format == "DICOM":
        return dicom_size(path)
    return npy_size(path) if format == "NPY" else pillow_size(path, format)


def is_colour(path: PathLike) -> bool:
    """Whether a label file holds colours and not numbers.

    Args:
        path: as for :func:`read_image`.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file cannot be read.
    """
    samples = read_samples(Path(path))
    return samples.colour and bool((samples.array.max(axis=2) != samples.array.min(axis=2)).any())


def is_lossy(path: PathLike) -> bool:
    """Whether the compression of an image may invent values, so that label maps in it have noise at their borders.

    Args:
        path: as for :func:`read_image`.

    Returns:
        ``True`` for JPEG (also inside TIFF and DICOM), lossy WebP and JPEG 2000. A file of another kind is not lossy.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the header cannot be read.
    """
    path, format = Path(path), image_format(path)
    if format == "TIFF":
        return tiff_lossy(path)
    if format == "DICOM":
        return dicom_lossy(path)
    return format is not None and pillow_lossy(path, format)


def _format(path: Path) -> str:
    format = image_format(path)
    # What can be read of such a file in one piece is a thumbnail, or far too large.
    if path.suffix.lower() in SLIDE_SUFFIXES:
        raise ImageFileError(f"{path}: is a whole slide, expected an image; 'sa2-monai predict' reads it tile by tile")
    if format is None:
        raise no_image(path)
    return format


def read_samples(path: Path) -> Samples:
    """Decode a file of any format; :mod:`~sa2_monai.io.images.meaning` makes an image or a label map of it.

    Args:
        path: as for :func:`read_image`.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file cannot be read.
    """
    format = _format(path)
    return decoded([path], "image", lambda: _decode(path, format), lambda samples: samples.array.nbytes)


def _decode(path: Path, format: str) -> Samples:
    if format == "TIFF":
        return read_tiff(path)
    if format == "DICOM":
        return read_dicom_image(path)
    return read_npy(path) if format == "NPY" else read_pillow(path, format)
