# SPDX-License-Identifier: Apache-2.0
"""TIFF images through tifffile: every depth, sample format, storage and orientation; one image per file.

What counts as the image of a file: pages that are marked as reduced (thumbnails, the levels of a pyramid, also as
SubIFDs) belong to another page and are passed over; one page must remain, or the planes of a channel axis that ImageJ
or OME metadata name ``C``. Anything else, a stack of slices, times or positions, is refused with the number of its
planes, also where a single directory describes all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from sa2_monai.io.images.samples import ImageFileError, Samples, check_decoded, check_size, damaged, orient
from sa2_monai.io.images.tiff_codecs import complete_codecs

__all__ = ["opened_tiff", "page_samples", "read_tiff", "tiff_errors", "tiff_lossy", "tiff_pixel_size", "tiff_size"]

_READING: ContextVar[bool] = ContextVar("reading", default=False)
_ORIENTATION = 274
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_JPEG = (6, 7, 33007)
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
# Dots per inch that programs write when they know nothing; 1 is the default of the format.
_DOTS_PER_INCH = (1, 72, 96, 150, 300, 600)
_MM = {"nm": 1e-6, **dict.fromkeys(("µm", "um", "micron", "microns"), 1e-3), "mm": 1.0, "cm": 10.0, "inch": 25.4}
# JPEG, JPEG 2000, JPEG XR, WebP, JPEG XL, LERC: what decides on loss is not in the directory, so none of them is
# trusted.
_LOSSY = (*_JPEG, 22610, 33003, 33004, 33005, 34712, 34887, 34892, 34927, 34934, 50001, 50002, 52546)


def read_tiff(path: Path) -> Samples:
    """Decode the image of a TIFF.

    Args:
        path: TIFF or BigTIFF file.

    Raises:
        ValueError: a damaged file, several planes, a colour space or compression that is not read.
    """
    with opened_tiff(path) as tiff:
        page, axes = _single(tiff, path)
        height, width, channels = _shape(page, axes)
        check_size(path, height, width, channels, page.dtype.itemsize)
        if page.is_tiled:
            check_size(
                path, page.tilelength, page.tilewidth, 1 if page.planarconfig == 2 else channels, page.dtype.itemsize
            )
        _kinds(page, path, channels)  # refused before anything is decoded
        _check_segments(tiff.filehandle.size, [page] if axes is None else list(axes.pages), path)
        array = _decode(page) if axes is None else _decode_channels(axes)
        check_decoded(path, array, (height, width, channels), page.dtype.itemsize)
        return page_samples(page, orient(array, _orientation(page)), path)


def page_samples(page: Any, array: np.ndarray, path: Path) -> Samples:
    """What the directory of a page says about samples that were decoded from it, all or a region of them.

    Args:
        page: of tifffile.
        array: (H, W, C), upright.
        path: the file, for messages.

    Raises:
        ValueError: a colour space that is not read.
    """
    colour, alpha, spare = _kinds(page, path, array.shape[2])
    opacity = None
    if alpha is not None:
        opacity, array = array[:, :, alpha], np.delete(array, alpha, axis=2)
    return Samples(
        array,
        bits=int(page.bitspersample),
        colour=colour,
        spare=spare,
        white_is_zero=page.photometric == _WHITE_IS_ZERO,
        palette=_colours(page, path) if page.photometric == _PALETTE else None,
        alpha=opacity,
        lossy=int(page.compression) in _LOSSY,
    )


def tiff_size(path: Path) -> tuple[int, int]:
    """Height and width of the image of a TIFF after its orientation tag, from the directories alone.

    Raises:
        ValueError: a damaged file or several planes.
    """
    with opened_tiff(path) as tiff:
        page, axes = _single(tiff, path)
        height, width, _ = _shape(page, axes)
        return (width, height) if _orientation(page) >= 5 else (height, width)


def tiff_pixel_size(path: Path) -> tuple[float, float] | None:
    """Millimetres per pixel along rows and columns of the oriented image; ``None`` where the file does not say it.

    OME metadata count first, then the unit of ImageJ, then the resolution in centimetres or inches; the usual dots per
    inch of screens and printers do not.

    Raises:
        ValueError: a damaged file or several planes.
    """
    with opened_tiff(path) as tiff:
        page, _ = _single(tiff, path)
        found = _ome_size(tiff) or _resolution_size(page, (tiff.imagej_metadata or {}).get("unit"))
        if found is None or not all(0 < size < 1e4 for size in found):
            return None
        return (found[1], found[0]) if _orientation(page) >= 5 else found


def _ome_size(tiff: Any) -> tuple[float, float] | None:
    if not tiff.ome_metadata:
        return None
    pixels = next(
        (node for node in ElementTree.fromstring(tiff.ome_metadata).iter() if node.tag.endswith("}Pixels")), None
    )
    if pixels is None:
        return None
    found = []
    for axis in "YX":
        size, unit = pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")
        if size is None or unit not in _MM:
            return None
        found.append(float(size) * _MM[unit])
    return found[0], found[1]


def _resolution_size(page: Any, unit: Any) -> tuple[float, float] | None:
    tags = [page.tags.get(code) for code in (_Y_RESOLUTION, _X_RESOLUTION)]
    if any(tag is None for tag in tags):
        return None
    per_unit = [tag.value[0] / tag.value[1] if tag.value[1] else 0.0 for tag in tags]
    if not all(per_unit):
        return None
    if unit is not None:  # ImageJ's own; its unit of the resolution is that of the format, which does not know others
        mm = _MM.get(str(unit).replace("\\u00B5", "µ").lower())
    else:
        tag = page.tags.get(_RESOLUTION_UNIT)
        code = 2 if tag is None else int(tag.value)
        if code == 2 and all(any(abs(value - dots) < 0.01 for dots in _DOTS_PER_INCH) for value in per_unit):
            return None
        mm = {2: 25.4, 3: 10.0}.get(code)
    return None if mm is None else (mm / per_unit[0], mm / per_unit[1])


def tiff_lossy(path: Path) -> bool:
    """Whether the compression of a TIFF may invent values.

    Raises:
        ValueError: a damaged file or several planes.
    """
    with opened_tiff(path) as tiff:
        return int(_single(tiff, path)[0].compression) in _LOSSY


@contextmanager
def opened_tiff(path: Path) -> Iterator[Any]:
    """Open a file with the errors of :func:`tiff_errors`."""
    import tifffile

    # Without _multifile, OME metadata would have other files opened that they name.
    with tiff_errors(path), tifffile.TiffFile(path, _multifile=False) as tiff:
        yield tiff


@contextmanager
def tiff_errors(path: Path) -> Iterator[None]:
    """Whatever tifffile and its codecs raise becomes one message with the file's name.

    Raises:
        ValueError: a damaged file, a compression that needs imagecodecs, or no permission.
    """
    complete_codecs()
    logging.getLogger("tifffile").addFilter(_no_remarks)  # adding it once more does nothing
    reading = _READING.set(True)
    try:
        yield
    except ImageFileError:
        raise
    except PermissionError:
        raise ImageFileError(f"{path}: cannot be opened, permission denied; make the file readable") from None
    except Exception as error:
        if "imagecodecs" in str(error):
            raise ImageFileError(
                f"{path}: has a compression that needs imagecodecs ({error}): pip install 'sa2_monai[codecs]', or save "
                "it uncompressed or with Deflate (zip)"
            ) from error
        raise damaged(path, error) from error
    finally:
        _READING.reset(reading)


def _no_remarks(record: logging.LogRecord) -> bool:
    """Tifffile logs what it overlooks; here it is an error with the file's name, or none."""
    return not _READING.get()


def _single(tiff: Any, path: Path) -> tuple[Any, Any]:
    """The page of the image, and the series where its channels are planes (``None`` where they are samples)."""
    pages = [page for page in tiff.pages if not (page.is_reduced or page.is_mask)]
    if any(page.is_mask for page in tiff.pages):
        raise ImageFileError(f"{path}: has a transparency mask, expected an opaque image; save it without")
    if not len(tiff.pages):
        raise damaged(path, "no directory")
    if not pages:
        raise ImageFileError(
            f"{path}: holds nothing but reduced images (a camera's raw file as a rule), expected one image; "
            "export it as TIFF or PNG"
        )
    page = pages[0]
    if not isinstance(page.bitspersample, int):
        raise ImageFileError(
            f"{path}: has samples of {page.bitspersample} bits, expected the same for all; save it with 8 or 16 bits "
            "per channel"
        )
    if page.dtype is None:
        raise damaged(path, f"samples of {page.bitspersample} bits, sample format {page.sampleformat}")
    series = [one for one in tiff.series if not (one.keyframe.is_reduced or one.keyframe.is_mask)]
    lengths: dict[str, int] = {}
    if len(series) == 1:
        shape = series[0].get_shape(squeeze=False)
        lengths = {axis: n for axis, n in zip(series[0].get_axes(squeeze=False), shape, strict=True) if n > 1}
    planes = {axis: n for axis, n in lengths.items() if axis not in "YXS"}
    # tifffile takes the first plane of a stack of ImageJ whose others are cut off for the whole image.
    declared = (tiff.imagej_metadata or {}).get("images", 1)
    declared = declared if isinstance(declared, int) else 1
    if len(series) == 1 and not planes and len(pages) == 1 and declared <= 1:
        return page, None
    if list(planes) == ["C"] and lengths.get("S", 1) == 1 and len(pages) in (1, planes["C"]):
        return page, series[0]
    count = max(len(pages), declared, int(np.prod(list(planes.values()) or [1])))
    what = ", ".join(f"{n} along {axis}" for axis, n in planes.items() if axis not in "IQ")
    raise ImageFileError(
        f"{path}: has {count} planes or pages{f' ({what})' if what else ''}, expected a single image; save the wanted "
        "one as its own file (a stack of slices belongs into a volume: NIfTI, NRRD or MHA)"
    )


def _shape(page: Any, axes: Any) -> tuple[int, int, int]:
    channels = int(page.samplesperpixel)
    if axes is not None:
        channels = dict(zip(axes.get_axes(squeeze=False), axes.get_shape(squeeze=False), strict=True))["C"]
    return int(page.imagelength), int(page.imagewidth), int(channels)


def _kinds(page: Any, path: Path, channels: int) -> tuple[bool, int | None, int]:
    """Whether it is colour, which sample is alpha, and how many have no meaning by the file."""
    photometric = int(page.photometric)
    colour = photometric == _RGB or (photometric == _YCBCR and int(page.compression) in _JPEG)
    if not colour and photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _PALETTE):
        name = getattr(page.photometric, "name", str(photometric))
        raise ImageFileError(
            f"{path}: has colour space {name}, expected grey, RGB or a palette; convert it to RGB with the profile it "
            "was made with"
        )
    base = 3 if colour else 1
    if channels < base:
        raise damaged(path, f"{channels} samples per pixel of a colour image")
    if photometric == _PALETTE and channels != 1:
        raise ImageFileError(f"{path}: has {channels} samples per pixel beside a palette, expected 1; save it as RGB")
    extra = [int(kind) for kind in page.extrasamples][: channels - base] if channels > base else []
    alphas = [base + i for i, kind in enumerate(extra) if kind in (1, 2)]
    if len(alphas) > 1:
        raise ImageFileError(f"{path}: has {len(alphas)} alpha channels, expected at most one; save it without")
    return colour, alphas[0] if alphas else None, channels - base - len(alphas)


def _orientation(page: Any) -> int:
    tag = page.tags.get(_ORIENTATION)
    value = tag.value if tag is not None else 1
    return int(value) if isinstance(value, int) and 1 <= value <= 8 else 1


def _check_segments(size: int, pages: list[Any], path: Path) -> None:
    """Refuse strips and tiles that are missing or reach beyond the end; decoders fill them with zeros or grey."""
    for page in pages:
        if page is None:
            raise damaged(path, "a plane is missing")
        expected = int(np.prod(page.chunked))
        if len(page.dataoffsets) < expected or len(page.databytecounts) < expected:
            raise damaged(path, f"{len(page.dataoffsets)} of {expected} strips or tiles")
        compressed = int(page.compression) != 1
        for offset, count in zip(page.dataoffsets[:expected], page.databytecounts[:expected], strict=True):
            if count == 0 or offset == 0 or offset >= size or (compressed and offset + count > size):
                raise damaged(path, f"a strip or tile of {count} bytes at {offset} in a file of {size} bytes")


def _decode(page: Any) -> np.ndarray:
    array = np.asarray(page.asarray(squeeze=False))  # (separate samples, depth, H, W, contiguous samples)
    array = array.transpose(2, 3, 1, 0, 4)[:, :, 0]
    return array.reshape(*array.shape[:2], -1)


def _decode_channels(series: Any) -> np.ndarray:
    array = np.asarray(series.asarray(squeeze=False))
    axes = series.get_axes(squeeze=False)
    order = [axes.index(axis) for axis in "YXC"]
    rest = [i for i in range(array.ndim) if i not in order]
    return array.transpose(*order, *rest).reshape([array.shape[i] for i in order])


def _colours(page: Any, path: Path) -> np.ndarray:
    table = page.colormap
    if table is None:
        raise damaged(path, "a palette image without palette")
    table = np.asarray(table)
    return (table >> 8 if table.max(initial=0) > 255 else table).T.astype(np.uint8)  # old writers used 8 of 16 bits
