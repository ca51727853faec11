# SPDX-License-Identifier: Apache-2.0
"""2D images in DICOM files: colours, depths, compressions, and what is no 2D image."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sa2_monai.data import Image2DReader, image_size, list_images, read_image, read_label
from sa2_monai.io.images.read import is_image, is_lossy

pydicom = pytest.importorskip("pydicom", reason="pydicom writes the files of these tests (extra: dicom)")

RNG = np.random.RandomState(2)
SIZE = (10, 8)
GREY = RNG.randint(0, 256, SIZE).astype(np.uint8)
GREY12 = RNG.randint(0, 4096, SIZE).astype(np.uint16)
GREY10 = GREY12 % 1024
RGB = RNG.randint(0, 256, (*SIZE, 3)).astype(np.uint8)
SMOOTH = np.stack([np.add.outer(np.arange(32), np.arange(24)) * 2 + 50 * k for k in range(3)], axis=2).astype(np.uint8)
YCBCR = np.asarray(Image.fromarray(SMOOTH).convert("YCbCr"))
UNCOMPRESSED, BASELINE, J2K_LOSSLESS, J2K, RLE = (
    f"1.2.840.10008.1.2{end}" for end in (".1", ".4.50", ".4.90", ".4.91", ".5")
)


def stream(array: np.ndarray, format: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format, **options)
    return buffer.getvalue()


def write(
    path: Path, array: np.ndarray, photometric: str, bits: int = 8, syntax: str = UNCOMPRESSED,
    data: bytes | None = None, frames: int | None = None, **tags: Any,
) -> Path:  # fmt: skip
    """A secondary capture; ``data`` is a compressed stream."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3.4"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.Modality = "1.2.3", "1.2.3.5", "OT"
    dataset.Rows, dataset.Columns = array.shape[1:3] if frames else array.shape[:2]
    dataset.SamplesPerPixel = 3 if array.shape[-1] == 3 else 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = photometric, int(array.dtype.kind == "i")
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * array.dtype.itemsize, bits, bits - 1
    if dataset.SamplesPerPixel == 3:
        dataset.PlanarConfiguration = 0
    if frames:
        dataset.NumberOfFrames = frames
    for name, value in tags.items():
        setattr(dataset, name, value)
    if data is None:
        planar = dataset.get("PlanarConfiguration") == 1
        dataset.PixelData = np.ascontiguousarray(np.moveaxis(array, -1, 0) if planar else array).tobytes()
        dataset["PixelData"].VR = "OB" if array.dtype.itemsize == 1 else "OW"
    else:
        dataset.PixelData = pydicom.encaps.encapsulate([data])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path, enforce_file_format=True)
    return path


def palette(bits: int) -> dict[str, Any]:
    values = ([0, 65535, 0, 30000], [0, 0, 65535, 30000], [0, 0, 0, 65535])
    tags: dict[str, Any] = {}
    for name, entries in zip(("Red", "Green", "Blue"), values, strict=True):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [4, 0, bits]
        table = np.array(entries, "<u2") if bits == 16 else (np.array(entries) >> 8).astype(np.uint8)
        tags[f"{name}PaletteColorLookupTableData"] = table.tobytes()
    return tags


COLOURS = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [117, 117, 255]], np.uint8)
SPREAD12 = np.floor(GREY12 * (65535 / 4095) + 0.5)
Y422 = np.stack([YCBCR[:, 0::2, 0], YCBCR[:, 1::2, 0], YCBCR[:, 0::2, 1], YCBCR[:, 0::2, 2]], axis=2)

# array, arguments of write(), the image, how far it may be off (of compressions and colour spaces)
TEST_CASE_IMAGES: dict[str, tuple[np.ndarray, dict[str, Any], np.ndarray, int]] = {
    "MONOCHROME2": (GREY, {"photometric": "MONOCHROME2"}, GREY, 0),
    "MONOCHROME1": (GREY, {"photometric": "MONOCHROME1"}, 255 - GREY, 0),
    "12 bits": (GREY12, {"photometric": "MONOCHROME2", "bits": 12}, SPREAD12, 0),
    "12 bits, inverted": (GREY12, {"photometric": "MONOCHROME1", "bits": 12}, 65535 - SPREAD12, 0),
    "10 bits": (GREY10, {"photometric": "MONOCHROME2", "bits": 10}, np.floor(GREY10 * (65535 / 1023) + 0.5), 0),
    "16 bits": (GREY12 * 16, {"photometric": "MONOCHROME2", "bits": 16}, GREY12 * 16, 0),
    "rescale is not applied": (
        GREY12, {"photometric": "MONOCHROME2", "bits": 12, "RescaleSlope": "2", "RescaleIntercept": "-5"}, SPREAD12, 0
    ),
    "rescale by a fraction": (
        GREY12, {"photometric": "MONOCHROME1", "bits": 12, "RescaleSlope": "0.3", "RescaleIntercept": "7"},
        65535 - SPREAD12, 0,
    ),
    "a window is not applied": (
        GREY12, {"photometric": "MONOCHROME2", "bits": 12, "WindowCenter": "9", "WindowWidth": "3"}, SPREAD12, 0
    ),
    "RGB": (RGB, {"photometric": "RGB"}, RGB, 0),
    "RGB by planes": (RGB, {"photometric": "RGB", "PlanarConfiguration": 1}, RGB, 0),
    "YBR_FULL": (YCBCR, {"photometric": "YBR_FULL"}, SMOOTH, 3),
    "palette of 16 bits": (GREY % 4, {"photometric": "PALETTE COLOR", **palette(16)}, COLOURS[GREY % 4], 0),
    "palette of 8 bits": (GREY % 4, {"photometric": "PALETTE COLOR", **palette(8)}, COLOURS[GREY % 4], 0),
    "JPEG": (
        SMOOTH, {"photometric": "YBR_FULL_422", "syntax": BASELINE, "data": stream(SMOOTH, quality=98)}, SMOOTH, 3
    ),
    "JPEG of RGB": (
        SMOOTH, {"photometric": "RGB", "syntax": BASELINE, "data": stream(SMOOTH, quality=98, keep_rgb=True)}, SMOOTH, 3
    ),
    "JPEG, inverted": (
        SMOOTH[..., 0],
        {"photometric": "MONOCHROME1", "syntax": BASELINE, "data": stream(SMOOTH[..., 0], quality=98)},
        255 - SMOOTH[..., 0], 3,
    ),
    "JPEG 2000": (
        SMOOTH,
        {"photometric": "YBR_RCT", "syntax": J2K_LOSSLESS, "data": stream(SMOOTH, "JPEG2000", no_jp2=True, mct=1)},
        SMOOTH, 0,
    ),
    "lossy JPEG 2000": (
        SMOOTH,
        {
            "photometric": "YBR_ICT", "syntax": J2K,
            "data": stream(SMOOTH, "JPEG2000", no_jp2=True, mct=1, irreversible=True),
        },
        SMOOTH, 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ["a.dcm", "a.dicom", "IM0001"])
@pytest.mark.parametrize("kind", TEST_CASE_IMAGES)
def test_images(tmp_path: Path, kind: str, name: str) -> None:
    array, arguments, expected, far = TEST_CASE_IMAGES[kind]
    path = write(tmp_path / name, array, **arguments)
    image, expected = read_image(path), expected.reshape(*expected.shape[:2], -1)
    assert image.shape == expected.shape
    assert image.dtype == (np.uint8 if array.dtype.itemsize == 1 else np.uint16)
    assert np.abs(image.astype(float) - expected).max() <= far
    assert image_size(path) == expected.shape[:2]
    assert is_image(path)
    assert is_lossy(path) == ("JPEG" in kind and kind != "JPEG 2000")
    array = Image2DReader(channels=3, reverse_indexing=False).read(path)[0]
    assert array.shape[2] == 3
    assert 0 <= array.min() <= array.max() <= 1


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "MONOCHROME1", "MONOCHROME2"])
def test_rle(tmp_path: Path, photometric: str) -> None:
    array = {"RGB": SMOOTH, "YBR_FULL": YCBCR}.get(photometric, SMOOTH[..., 0])
    path = write(tmp_path / "a.dcm", array, photometric)
    before = read_image(path)
    dataset = pydicom.dcmread(path)
    dataset.compress(RLE)
    dataset.save_as(path)
    np.testing.assert_array_equal(read_image(path), before)


def test_ybr_422_without_compression(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", YCBCR, "YBR_FULL_422")
    dataset = pydicom.dcmread(path)
    dataset.PixelData = np.ascontiguousarray(Y422).tobytes()
    dataset.save_as(path)
    assert np.abs(read_image(path).astype(int) - SMOOTH).max() <= 3


# array, arguments of write(), words of the refusal
TEST_CASE_REFUSED: dict[str, tuple[np.ndarray, dict[str, Any], str]] = {
    "frames": (np.stack([GREY] * 3), {"photometric": "MONOCHROME2", "frames": 3}, "has 3 frames, expected a single"),
    "signed": (GREY12.astype(np.int16) - 2000, {"photometric": "MONOCHROME2", "bits": 16}, "signed 16-bit integers"),
    "CT": (GREY12, {"photometric": "MONOCHROME2", "bits": 12, "Modality": "CT"}, "is a slice of a CT scan"),
    "MR": (GREY12, {"photometric": "MONOCHROME2", "bits": 12, "Modality": "MR"}, "is a slice of an MR scan"),
    "segmentation": (GREY % 2, {"photometric": "MONOCHROME2", "Modality": "SEG"}, "is a DICOM segmentation"),
    "unknown colours": (RGB, {"photometric": "HSV"}, "(colours HSV|cannot be read)"),
    "JPEG against its header": (
        SMOOTH, {"photometric": "RGB", "syntax": BASELINE, "data": stream(SMOOTH)}, "says RGB, its JPEG stream YCbCr"
    ),
    "header against its JPEG": (
        SMOOTH,
        {"photometric": "YBR_FULL_422", "syntax": BASELINE, "data": stream(SMOOTH, keep_rgb=True)},
        "says YBR_FULL_422, its JPEG stream RGB",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TEST_CASE_REFUSED)
def test_refused_by_name(tmp_path: Path, kind: str) -> None:
    array, arguments, words = TEST_CASE_REFUSED[kind]
    path = write(tmp_path / "a.dcm", array, **arguments)
    with pytest.raises(ValueError, match=rf"a\.dcm: .*{words}") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_labels_are_the_stored_values(tmp_path: Path, photometric: str) -> None:
    path = write(tmp_path / "a.dcm", GREY12 % 5, photometric, bits=12)
    np.testing.assert_array_equal(read_label(path), GREY12 % 5)
    with pytest.raises(ValueError, match="DICOM image with a palette, expected a label map"):
        read_label(write(tmp_path / "p.dcm", GREY % 4, "PALETTE COLOR", **palette(16)))


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_what_is_cut_off_is_no_image(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / "a.dcm", GREY12, "MONOCHROME2", bits=12)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ValueError, match=r"a\.dcm: .*(damaged|truncated)"):
        read_image(path)


def test_a_promise_that_the_file_cannot_keep(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", GREY, "MONOCHROME2", Rows=9000, Columns=9000)
    with pytest.raises(ValueError, match=r"a\.dcm: .*(damaged|truncated)"):
        read_image(path)


def test_a_file_and_a_folder_are_listed(tmp_path: Path) -> None:
    write(tmp_path / "skin.dcm", RGB, "RGB")
    assert [case["case"] for case in list_images(tmp_path)] == ["skin"]
    assert [case["case"] for case in list_images(tmp_path / "skin.dcm")] == ["skin"]
