# SPDX-License-Identifier: Apache-2.0
"""Single 2D images in DICOM files (dermoscopy, endoscopy, ultrasound, fundus, X-ray) through SimpleITK (GDCM).

GDCM decompresses, expands palettes and turns YBR into RGB. The range of grey values is that of the stored bits: a
sample of ``BitsStored`` bits is divided by ``2**BitsStored - 1``; MONOCHROME1, where low values are bright, is inverted
in images. Rescale slope and intercept, windows and look-up tables of display are not applied: they differ from file to
file, and a network would see another scale in each.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.causes import raise_if_memory
from sa2_monai.io.dicom.lengths import check_lengths
from sa2_monai.io.dicom.packages import gdcm_reader
from sa2_monai.io.images.headers import jpeg_header
from sa2_monai.io.images.samples import Samples, check_decoded, check_size, damaged

__all__ = ["dicom_lossy", "dicom_pixel_size", "dicom_size", "read_dicom_image"]

_SYNTAX = "0002|0010"
_GREY = ("MONOCHROME1", "MONOCHROME2")
_YBR = ("YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
_PALETTE = "PALETTE COLOR"
_SCANS = {"CT": "a CT scan", "MR": "an MR scan", "PT": "a PET scan"}
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_JPEG = "1.2.840.10008.1.2.4.5"  # baseline and extended; lossless processes have higher numbers


def read_dicom_image(path: Path) -> Samples:
    """Decode the image of a DICOM file.

    Args:
        path: DICOM file with one frame.

    Raises:
        ValueError: a damaged file, several frames, a slice of a scan, an object without pixels, or colours that are not
            read.
    """
    reader, tags = _header(path)
    height, width = int(reader.GetSize()[1]), int(reader.GetSize()[0])
    photometric = tags.get("0028|0004", "")
    check_size(path, height, width, 1 if photometric in _GREY else 3, 8)  # grey values are counted in 64 bits
    if photometric not in (*_GREY, "RGB", _PALETTE, *_YBR):
        raise ValueError(
            f"{path}: has the colours {photometric or 'of no PhotometricInterpretation'}, expected grey, RGB, YBR or a "
            "palette; export it as PNG"
        )
    bits, allocated = _number(tags, "0028|0101", 8), _number(tags, "0028|0100", 8)
    channels = 1 if photometric in _GREY else 3
    _check_bytes(path, tags, height * width * (2 if photometric == "YBR_FULL_422" else channels) * allocated // 8)
    _check_stream(path, photometric, tags)
    try:
        import SimpleITK as sitk

        array = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        raise damaged(path, error) from error
    array = array.reshape(array.shape[-3:] if channels == 3 else (*array.shape[-2:], 1))
    if photometric in _GREY:
        array = _stored(array, tags, path)
        if photometric == "MONOCHROME1" and not _signed(tags):  # GDCM has inverted it already
            array = (2**bits - 1) - array
        array = array.astype(
            np.dtype(f"{'i' if _signed(tags) else 'u'}{1 if allocated <= 8 else 2 if allocated <= 16 else 4}")
        )
    elif photometric == _PALETTE:
        bits = 8 * array.dtype.itemsize
    check_decoded(path, array, (height, width, channels), array.dtype.itemsize)
    return Samples(
        array,
        bits=bits,
        colour=channels == 3,
        white_is_zero=photometric == "MONOCHROME1",
        lossy=_lossy(tags),
        no_label="is a DICOM image with a palette, expected a label map; save the class numbers as PNG"
        if photometric == _PALETTE
        else "",
    )


def dicom_size(path: Path) -> tuple[int, int]:
    """Height and width of the image of a DICOM file, from the header alone.

    Raises:
        ValueError: as :func:`read_dicom_image`, as far as the header tells.
    """
    reader, _ = _header(path)
    return int(reader.GetSize()[1]), int(reader.GetSize()[0])


def dicom_pixel_size(path: Path) -> tuple[float, float] | None:
    """Millimetres between rows and between columns (PixelSpacing); ``None`` where the file does not say it.

    ImagerPixelSpacing, the size of the detector's pixels, is not that of what is shown, and does not count.

    Raises:
        ValueError: as :func:`read_dicom_image`, as far as the header tells.
    """
    parts = _header(path)[1].get("0028|0030", "").split("\\")
    try:
        rows, columns = (float(part) for part in parts)
    except ValueError:
        return None
    return (rows, columns) if 0 < rows < 1e4 and 0 < columns < 1e4 else None


def dicom_lossy(path: Path) -> bool:
    """Whether the pixels have been through a lossy compression.

    Raises:
        ValueError: as :func:`read_dicom_image`, as far as the header tells.
    """
    return _lossy(_header(path)[1])


def _header(path: Path) -> tuple[Any, Mapping[str, str]]:
    reader = gdcm_reader(path)
    try:
        check_lengths(path, strict=True)
        reader.ReadImageInformation()
    except (RuntimeError, ValueError) as error:
        raise_if_memory(error, path)
        raise ValueError(
            f"{path}: is a DICOM file without an image that can be read, or it is damaged or truncated; copy it again, "
            "or export the image as PNG"
        ) from error
    tags = {
        key: reader.GetMetaData(key).strip(" \0").encode("utf-8", "replace").decode()
        for key in reader.GetMetaDataKeys()
        if key.startswith(("0008", "0028"))
    }
    tags[_SYNTAX] = _transfer_syntax(path)
    size = reader.GetSize()
    frames = max(_number(tags, "0028|0008", 1), int(size[2]) if len(size) > 2 else 1)
    modality = tags.get("0008|0060", "")
    if modality == "SEG":
        raise ValueError(f"{path}: is a DICOM segmentation, expected an image; give it as label of its series")
    if frames > 1:
        raise ValueError(f"{path}: has {frames} frames, expected a single image; export the wanted one as its own file")
    if modality in _SCANS:
        raise ValueError(
            f"{path}: is a slice of {_SCANS[modality]}, expected a 2D image; give the folder of its series to a "
            "model of volumes"
        )
    return reader, tags


def _transfer_syntax(path: Path) -> str:
    """TransferSyntaxUID, which SimpleITK does not tell; empty in old files without a group 0002.

    The group is always in explicit little endian, so that a few bytes can be parsed here.
    """
    with open(path, "rb") as file:
        block = file.read(2048)
    at = block.find(b"\x02\x00\x10\x00UI", 132)
    if at < 0:
        return ""
    length = int.from_bytes(block[at + 6 : at + 8], "little")
    return block[at + 8 : at + 8 + length].decode("ascii", "replace").strip(" \0")


def _number(tags: Mapping[str, str], key: str, default: float) -> Any:
    try:
        return type(default)(tags[key].split("\\")[0])
    except (KeyError, ValueError):
        return default


def _signed(tags: Mapping[str, str]) -> bool:
    return bool(_number(tags, "0028|0103", 0))


def _stored(array: np.ndarray, tags: Mapping[str, str], path: Path) -> np.ndarray:
    """Undo the rescale of GDCM: the values as stored."""
    slope, intercept = _number(tags, "0028|1053", 1.0), _number(tags, "0028|1052", 0.0)
    if (slope, intercept) == (1.0, 0.0):
        return array.astype(np.int64)
    if slope == 0:
        raise damaged(path, "RescaleSlope is 0")
    return np.rint((array.astype(np.float64) - intercept) / slope).astype(np.int64)


def _lossy(tags: Mapping[str, str]) -> bool:
    syntax = tags[_SYNTAX]
    lossy_syntax = (".4.50", ".4.51", ".4.81", ".4.91", ".4.203")
    return tags.get("0028|2110") == "01" or syntax.endswith(lossy_syntax)


def _check_bytes(path: Path, tags: Mapping[str, str], needed: int) -> None:
    """Refuse a header that promises more pixels than the file can hold, before memory is asked for them."""
    size = path.stat().st_size
    if tags[_SYNTAX] in _NATIVE and needed > size:
        raise damaged(path, f"{size} bytes, its header promises {needed} bytes of pixels")


def _check_stream(path: Path, photometric: str, tags: Mapping[str, str]) -> None:
    """Refuse colours whose JPEG stream says otherwise than the DICOM header: one of both garbles the image."""
    if not tags[_SYNTAX].startswith(_JPEG) or photometric in (*_GREY, _PALETTE):
        return
    data = path.read_bytes()
    start = data.find(b"\xff\xd8\xff", max(0, data.find(b"\xe0\x7f\x10\x00")))
    try:
        ycbcr = jpeg_header(data[start:]).ycbcr if start >= 0 else None
    except ValueError:
        ycbcr = None
    if ycbcr is not None and ycbcr != (photometric in _YBR):
        raise ValueError(
            f"{path}: its header says {photometric}, its JPEG stream {'YCbCr' if ycbcr else 'RGB'}; one of both is "
            "wrong: export the image as PNG with a viewer that shows the right colours"
        )
