# SPDX-License-Identifier: Apache-2.0
"""TIFF: every depth, sample format, storage, axis and tag, as an image and as a label map."""

from __future__ import annotations

import lzma
import tracemalloc
import types
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import tifffile._imagecodecs
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sa2_monai.data import Image2DReader, image_size, read_image, read_label
from sa2_monai.io.images.read import is_lossy

RNG = np.random.RandomState(7)
SIZE = (6, 10)
U8 = RNG.randint(0, 256, SIZE).astype(np.uint8)
U16 = RNG.randint(0, 65536, SIZE).astype(np.uint16)
RGB = RNG.randint(0, 256, (*SIZE, 3)).astype(np.uint8)
RGB16 = RNG.randint(0, 65536, (*SIZE, 3)).astype(np.uint16)
MASK = RNG.randint(0, 2, SIZE)
FULL = np.full((*SIZE, 1), 255, np.uint8)
GREY = {"photometric": "minisblack"}
SAMPLES = {**GREY, "planarconfig": "contig"}  # the last axis are the samples of a pixel, not the columns of pages
COLOURS = RNG.randint(0, 65536, (3, 256)).astype(np.uint16)
UPRIGHT = {
    1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1), 6: lambda a: np.rot90(a, -1),
    7: lambda a: np.swapaxes(np.rot90(a, 2), 0, 1), 8: lambda a: np.rot90(a, 1),
}  # fmt: skip


def packed(bits: int) -> np.ndarray:
    """Values of any number of bits."""
    return (U16 if bits > 8 else U8) % 2**bits


def spread(values: np.ndarray, bits: int) -> np.ndarray:
    """Values of any number of bits over the range of the next integer type, rounded."""
    full = 255 if bits <= 8 else 65535
    return np.floor(values.astype(float) * (full / (2**bits - 1)) + 0.5)[..., None]


def write(path: Path, array: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(path, array, **options)
    return path


# what is stored, options of tifffile, the image (H, W, C) or the words of the refusal
TEST_CASE_IMAGES: dict[str, tuple[np.ndarray, dict[str, Any], Any]] = {
    "8 bit": (U8, GREY, U8[..., None]),
    "16 bit": (U16, GREY, U16[..., None]),
    "big-endian": (U16, {**GREY, "byteorder": ">"}, U16[..., None]),
    "BigTIFF": (U16, {**GREY, "bigtiff": True}, U16[..., None]),
    "half": ((U8 / 255).astype(np.float16), GREY, (U8 / 255).astype(np.float16).astype(np.float32)[..., None]),
    "double": (U8 / 255, GREY, (U8 / 255).astype(np.float32)[..., None]),
    "float colour, planar": (
        np.moveaxis(RGB / np.float32(255), 2, 0),
        {"photometric": "rgb", "planarconfig": "separate"},
        RGB / np.float32(255),
    ),
    "colour": (RGB, {"photometric": "rgb"}, RGB),
    "colour 16 bit": (RGB16, {"photometric": "rgb"}, RGB16),
    "colour planar": (np.moveaxis(RGB16, 2, 0), {"photometric": "rgb", "planarconfig": "separate"}, RGB16),
    "colour tiled": (RGB16, {"photometric": "rgb", "tile": (16, 16)}, RGB16),
    "colour strips": (RGB16, {"photometric": "rgb", "rowsperstrip": 4}, RGB16),
    "deflate and predictor": (RGB16, {"photometric": "rgb", "compression": "zlib", "predictor": True}, RGB16),
    "LZW": (RGB, {"photometric": "rgb", "compression": "lzw"}, RGB),
    "packbits": (U8, {**GREY, "compression": "packbits"}, U8[..., None]),
    "white is zero": (U8, {"photometric": "miniswhite"}, 255 - U8[..., None]),
    "white is zero, 16 bit": (U16, {"photometric": "miniswhite"}, 65535 - U16[..., None]),
    "white is zero, float": (
        (U8 / 255).astype(np.float32),
        {"photometric": "miniswhite"},
        1 - (U8 / 255).astype(np.float32)[..., None],
    ),
    "one bit, white is zero": (MASK.astype(bool), {"photometric": "miniswhite"}, 255 - 255 * MASK[..., None]),
    "one bit": (MASK.astype(bool), GREY, 255 * MASK[..., None]),
    **{
        f"{bits} bits{white * ', white is zero'}": (
            packed(bits),
            {"photometric": "miniswhite" if white else "minisblack", "bitspersample": bits},
            spread(2**bits - 1 - packed(bits) if white else packed(bits), bits),
        )
        for bits in (2, 4, 6, 10, 12, 14)
        for white in (False, True)
    },
    "float predictor": (
        (U8 / 255).astype(np.float32),
        {**GREY, "compression": "zlib", "predictor": 3},
        (U8 / 255).astype(np.float32)[..., None],
    ),
    "palette": (U8, {"photometric": "palette", "colormap": COLOURS}, (COLOURS.T >> 8)[U8]),
    "two channels": (np.dstack([U8, U8 // 2]), SAMPLES, np.dstack([U8, U8 // 2])),
    "five channels": (np.dstack([U16] * 5), SAMPLES, np.dstack([U16] * 5)),
    "opaque alpha": (np.dstack([RGB, FULL]), {"photometric": "rgb", "extrasamples": ["unassalpha"]}, RGB),
    "opaque alpha, associated": (np.dstack([RGB, FULL]), {"photometric": "rgb", "extrasamples": ["assocalpha"]}, RGB),
    "grey with opaque alpha": (np.dstack([U8, FULL]), {**GREY, "extrasamples": ["unassalpha"]}, U8[..., None]),
    "alpha": (
        np.dstack([RGB, U8]), {"photometric": "rgb", "extrasamples": ["unassalpha"]}, "transparent .*without alpha"
    ),
    "colour and one more": (
        np.dstack([RGB, U8]), {"photometric": "rgb", "extrasamples": ["unspecified"]}, np.dstack([RGB, U8])
    ),
    "signed": (U8.astype(np.int8), GREY, "signed 8-bit integers"),
    "signed 16 bit": (U8.astype(np.int16), GREY, "signed 16-bit integers"),
    "32 bit": (U8.astype(np.uint32), GREY, "32-bit integers, which have no fixed"),
    "64 bit": (U8.astype(np.int64), GREY, "64-bit integers, which have no fixed"),
    "complex": (U8.astype(np.complex64), GREY, "complex numbers"),
    "NaN": (np.where(MASK, np.nan, U8 / 255).astype(np.float32), GREY, f"{MASK.sum()} of 60 values are NaN"),
    "white is zero, float out of range": (U8.astype(np.float32), {"photometric": "miniswhite"}, r"expected \[0, 1\]"),
    "CMYK": (np.dstack([RGB, U8]), {"photometric": "separated"}, "colour space SEPARATED"),
    "CIELab": (RGB, {"photometric": "cielab"}, "colour space CIELAB"),
    "YCbCr": (RGB, {"photometric": "ycbcr"}, "colour space YCBCR"),
    "pages": (np.stack([U8, U8, U8]), GREY, "has 3 planes or pages"),
    "ImageJ stack": (np.stack([U8] * 4), {**GREY, "imagej": True, "metadata": {"axes": "ZYX"}}, r"4 along Z"),
    "ImageJ film": (np.stack([U8] * 4), {**GREY, "imagej": True, "metadata": {"axes": "TYX"}}, r"4 along T"),
    "ImageJ channels": (
        np.stack([U8, U8 // 3]), {**GREY, "imagej": True, "metadata": {"axes": "CYX"}}, np.dstack([U8, U8 // 3])
    ),
    "ImageJ hyperstack": (
        np.stack([np.stack([U8, U8])] * 3), {**GREY, "imagej": True, "metadata": {"axes": "ZCYX"}},
        "3 along Z, 2 along C",
    ),
    "OME stack": (np.stack([U8] * 4), {**GREY, "ome": True, "metadata": {"axes": "ZYX"}}, "4 along Z"),
    "OME channels": (
        np.stack([U16, U16 // 3]), {**GREY, "ome": True, "metadata": {"axes": "CYX"}}, np.dstack([U16, U16 // 3])
    ),
    "volume in one directory": (np.stack([U8] * 16), {**GREY, "volumetric": True}, "has 16 planes"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TEST_CASE_IMAGES)
def test_images(tmp_path: Path, kind: str) -> None:
    stored, options, expected = TEST_CASE_IMAGES[kind]
    path = write(tmp_path / "a.tif", stored, **options)
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=rf"a\.tif: .*{expected}"):
            read_image(path)
        return
    image = read_image(path)
    assert image.dtype in (np.uint8, np.uint16, np.float32)
    np.testing.assert_array_equal(image, expected)
    assert image_size(path) == expected.shape[:2]
    assert not is_lossy(path)


# what is stored, options, the label map or the words of the refusal
TEST_CASE_LABELS: dict[str, tuple[np.ndarray, dict[str, Any], Any]] = {
    **{
        np.dtype(kind).name: (MASK.astype(kind), GREY, MASK)
        for kind in (
            bool,
            np.uint8,
            np.int8,
            np.uint16,
            np.int16,
            np.uint32,
            np.int32,
            np.int64,
            np.float16,
            np.float64,
        )
    },
    "bool as tifffile writes it": (MASK.astype(bool), {}, MASK),
    "white is zero": (U8, {"photometric": "miniswhite"}, U8),
    "white is zero, 16 bit": (U16, {"photometric": "miniswhite"}, U16),
    "palette": (U8, {"photometric": "palette", "colormap": COLOURS}, U8),
    "12 bits": (U16 % 4096, {**GREY, "bitspersample": 12}, U16 % 4096),
    "4 bits, white is zero": (U8 % 16, {"photometric": "miniswhite", "bitspersample": 4}, U8 % 16),
    "void": (np.where(MASK, 1, -1).astype(np.int8), GREY, np.where(MASK, 1, -1)),
    "three equal channels": (np.dstack([RGB[..., :1]] * 3), {"photometric": "rgb"}, RGB[..., 0]),
    "three equal channels, 16 bit": (np.dstack([U16] * 3), SAMPLES, U16),
    "three equal channels and opaque alpha": (np.dstack([U8, U8, U8, FULL]), {"photometric": "rgb"}, U8),
    "three equal channels and a full one": (np.dstack([U8, U8, U8, FULL]), SAMPLES, U8),
    "a full second channel": (np.dstack([U8, FULL]), SAMPLES, U8),
    "an empty second channel": (np.dstack([U8, FULL * 0]), SAMPLES, "2 different channels"),
    "alpha": (np.dstack([U8, U8]), {**GREY, "extrasamples": ["unassalpha"]}, "transparent pixels"),
    "colour": (RGB, {"photometric": "rgb"}, "colour image with different channels"),
    "fractions": (U8 / 255, GREY, "fractional values"),
    "huge": (np.full(SIZE, 2**40), GREY, "expected class or instance numbers"),
    "complex": (MASK.astype(np.complex64), GREY, "complex64 values"),
    "ImageJ channels": (np.stack([U8, U8 // 3]), {**GREY, "imagej": True, "metadata": {"axes": "CYX"}}, "2 different"),
    "pages": (np.stack([U8, U8]), GREY, "has 2 planes or pages"),
}


@pytest.mark.parametrize("kind", TEST_CASE_LABELS)
def test_labels(tmp_path: Path, kind: str) -> None:
    stored, options, expected = TEST_CASE_LABELS[kind]
    path = write(tmp_path / "a.tif", stored, **options)
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=rf"a\.tif: .*{expected}"):
            read_label(path)
        return
    label = read_label(path)
    assert label.dtype in (np.uint8, np.uint16, np.int32)
    np.testing.assert_array_equal(label, expected)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    orientation=st.integers(1, 8),
    kind=st.sampled_from([bool, np.uint8, np.uint16, np.float32]),
    channels=st.integers(1, 5),
    storage=st.sampled_from(["strips", "tiles", "planes", "lzw", "deflate", "one strip"]),
    white=st.booleans(),
    big=st.booleans(),
    byteorder=st.sampled_from("<>"),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_every_storage_gives_the_same_image(
    tmp_path_factory: pytest.TempPathFactory, orientation: int, kind: Any, channels: int, storage: str, white: bool,
    big: bool, byteorder: Any, size: tuple[int, int],
) -> None:  # fmt: skip
    values = np.random.RandomState(3).randint(0, 65536, (*size, channels))
    stored = values % 2 == 1 if kind is bool else (values / 65535 if kind is np.float32 else values).astype(kind)
    options: dict[str, Any] = {"photometric": "miniswhite" if white else "minisblack", "planarconfig": "contig"}
    options |= {
        "strips": {"rowsperstrip": 3},
        "tiles": {"tile": (16, 16)},
        "planes": {"planarconfig": "separate"},
        "lzw": {"compression": "lzw"},
        "deflate": {"compression": "zlib"},
        "one strip": {},
    }[storage]
    if kind is bool:  # one sample, in strips, is what can be written
        stored, options = stored[..., :1], {"photometric": options["photometric"]}
    layout = np.moveaxis(stored, 2, 0) if storage == "planes" and stored.shape[2] > 1 else stored
    layout = layout[..., 0] if stored.shape[2] == 1 else layout
    if stored.shape[2] == 1:
        options.pop("planarconfig", None)
    path = tmp_path_factory.mktemp("t") / "a.tif"
    extra = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(path, layout, bigtiff=big, byteorder=byteorder, extratags=extra, metadata=None, **options)
    highest = 1 if kind in (bool, np.float32) else np.iinfo(kind).max
    expected = UPRIGHT[orientation](highest - stored.astype(float) if white else stored.astype(float))
    image = read_image(path)
    scale = 255 if kind is bool else 1
    np.testing.assert_allclose(image, expected * scale, rtol=0, atol=1e-6 if kind is np.float32 else 0)
    assert image_size(path) == image.shape[:2]
    if kind is not np.float32 and stored.shape[2] == 1:
        np.testing.assert_array_equal(read_label(path), UPRIGHT[orientation](stored[..., 0]))
    array, _ = Image2DReader(reverse_indexing=False).get_data(Image2DReader().read(path))
    assert array.min() >= 0
    assert array.max() <= 1


def test_number_of_channels(tmp_path: Path) -> None:
    three = write(tmp_path / "three.tif", RGB16, **SAMPLES)
    np.testing.assert_array_equal(read_image(three, 3), RGB16)
    np.testing.assert_array_equal(read_image(three, 3, "BGR"), RGB16[..., ::-1])
    for wanted in (1, 2, 4):
        with pytest.raises(ValueError, match=rf"three\.tif: has 3 channels, expected {wanted}"):
            read_image(three, wanted)
    two = write(tmp_path / "two.tif", np.dstack([U8, U8 // 2]), **SAMPLES)
    np.testing.assert_array_equal(read_image(two, 2), np.dstack([U8, U8 // 2]))
    for wanted in (1, 3):
        with pytest.raises(ValueError, match=rf"two\.tif: has 2 channels, expected {wanted}"):
            read_image(two, wanted)
    four = write(tmp_path / "four.tif", np.dstack([RGB, FULL]), photometric="rgb", extrasamples=["unspecified"])
    np.testing.assert_array_equal(read_image(four, 3), RGB)  # alpha of a writer who did not say so
    np.testing.assert_array_equal(read_image(four, 4), np.dstack([RGB, FULL]))


def test_reduced_images_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "pyramid.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(RGB, photometric="rgb", subifds=1)
        writer.write(RGB[::2, ::2], photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(read_image(path), RGB)
    assert image_size(path) == SIZE
    path = tmp_path / "thumbnail.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(RGB, photometric="rgb", metadata=None)
        writer.write(RGB[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
    np.testing.assert_array_equal(read_image(path), RGB)
    with tifffile.TiffWriter(path) as writer:
        writer.write(RGB[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
    with pytest.raises(ValueError, match=r"thumbnail\.tif: holds nothing but reduced images"):
        read_image(path)
    with tifffile.TiffWriter(path) as writer:
        writer.write(RGB, photometric="rgb", metadata=None)
        writer.write(MASK.astype(bool), photometric=4, subfiletype=4, metadata=None)
    with pytest.raises(ValueError, match=r"thumbnail\.tif: has a transparency mask"):
        read_image(path)


@pytest.mark.parametrize("kind", ["imagej", "imagej, cut off", "ome", "shaped"])
def test_one_directory_for_a_stack(tmp_path: Path, kind: str) -> None:
    kind, _, cut = kind.partition(", ")
    path = tmp_path / "stack.tif"
    stack = np.stack([U8] * 5)
    if kind == "imagej":  # what ImageJ writes for stacks beyond 4 GB
        path = write(tmp_path / "stack.tif", U8, photometric="minisblack", imagej=True, metadata={"axes": "YX"})
        data = path.read_bytes()
        with tifffile.TiffFile(path) as tiff:
            tag = tiff.pages[0].tags["ImageDescription"]
            offset, length = tag.valueoffset, tag.count
        text = b"ImageJ=1.11a\nimages=5\nslices=5\n"
        assert len(text) <= length
        planes = U8.tobytes() * (0 if cut else 4)
        path.write_bytes(data[:offset] + text.ljust(length, b"\0") + data[offset + length :] + planes)
    else:
        options: dict[str, Any] = {"ome": True, "metadata": {"axes": "ZYX"}} if kind == "ome" else {"truncate": True}
        write(path, stack, photometric="minisblack", **options)
    for read in (read_image, read_label, image_size):
        with pytest.raises(ValueError, match=r"stack\.tif: has 5 planes or pages"):
            read(path)


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000"])
def test_lossy_compression_is_known(tmp_path: Path, compression: str) -> None:
    flat = np.full((16, 24, 3), (200, 30, 90), np.uint8)
    path = write(tmp_path / "a.tif", flat, photometric="rgb", compression=compression)
    assert is_lossy(path)
    assert np.abs(read_image(path).astype(int) - flat).max() <= 4


def test_ycbcr_in_jpeg_becomes_colour(tmp_path: Path) -> None:
    flat = np.full((16, 24, 3), (200, 30, 90), np.uint8)
    stored = np.asarray(Image.fromarray(flat).convert("YCbCr"))
    path = write(tmp_path / "a.tif", stored, photometric="ycbcr", compression="jpeg", subsampling=(2, 2))
    assert np.abs(read_image(path, 3).astype(int) - flat).max() <= 4


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """tifffile as it is where imagecodecs is not installed."""
    stand_in = types.ModuleType("tifffile._imagecodecs")
    stand_in.__dict__.update(tifffile._imagecodecs.__dict__)
    monkeypatch.setattr(tifffile.tifffile, "imagecodecs", stand_in)
    for name in ("zlib_decode", "lzma_decode"):  # put back afterwards
        monkeypatch.setattr(tifffile._imagecodecs, name, getattr(tifffile._imagecodecs, name))
    monkeypatch.setattr(tifffile.TIFF, "DECOMPRESSORS", tifffile.tifffile.CompressionCodec(encode=False))
    monkeypatch.setattr(tifffile.TIFF, "UNPREDICTORS", tifffile.tifffile.PredictorCodec(encode=False))


# what is stored, options of tifffile
TEST_CASE_COMMON: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "LZW": (RGB, {"photometric": "rgb", "compression": "lzw"}),
    "LZW, 16 bit, big-endian": (U16, {**GREY, "compression": "lzw", "byteorder": ">"}),
    "LZW, float, strips": ((U8 / 255).astype(np.float32), {**GREY, "compression": "lzw", "rowsperstrip": 4}),
    "LZW, tiles, predictor": (RGB16, {"photometric": "rgb", "compression": "lzw", "predictor": 2, "tile": (16, 16)}),
    "JPEG, grey": (U8, {**GREY, "compression": "jpeg"}),
    "JPEG, YCbCr": (RGB, {"photometric": "rgb", "compression": "jpeg"}),
    "JPEG, tiles": (RGB, {"photometric": "rgb", "compression": "jpeg", "tile": (16, 16)}),
    "JPEG, RGB": (RGB, {"photometric": "rgb", "compression": "jpeg", "compressionargs": {"outcolorspace": "rgb"}}),
}


@pytest.mark.parametrize("kind", TEST_CASE_COMMON)
def test_common_compressions_need_no_extra(tmp_path: Path, request: pytest.FixtureRequest, kind: str) -> None:
    stored, options = TEST_CASE_COMMON[kind]
    path = write(tmp_path / "a.tif", stored, **options)
    expected = read_image(path)
    request.getfixturevalue("plain")
    np.testing.assert_array_equal(read_image(path), expected)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"a\.tif: (damaged or truncated|is not a readable) image"):
        read_image(path)


@pytest.mark.parametrize("compression", ["zlib", "lzma"])
def test_strips_that_unpack_to_more_than_they_hold(tmp_path: Path, plain: None, compression: str) -> None:
    path = write(tmp_path / "a.tif", U8, compression=compression, **GREY)
    np.testing.assert_array_equal(read_image(path)[..., 0], U8)
    pack = {"zlib": lambda data: zlib.compress(data, 9), "lzma": lzma.compress}[compression]
    bomb = pack(bytes(2**26))  # 64 MiB
    with tifffile.TiffFile(path) as tiff:
        tags = tiff.pages[0].tags
        places = {tags[273].valueoffset: path.stat().st_size, tags[279].valueoffset: len(bomb)}
        sizes = {tag.valueoffset: {3: 2, 4: 4, 16: 8}[tag.dtype] for tag in (tags[273], tags[279])}
    content = bytearray(path.read_bytes() + bomb)
    for at, value in places.items():
        content[at : at + sizes[at]] = value.to_bytes(sizes[at], "little")
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"a\.tif: .*a strip or tile of 60 bytes unpacks to more than"):
            read_image(path)
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("compression", ["tiff_ccitt", "group3", "group4"])
def test_fax_compressions_need_no_extra(tmp_path: Path, request: pytest.FixtureRequest, compression: str) -> None:
    path = tmp_path / "a.tif"
    inside = np.zeros((40, 53), bool)
    inside[9:30, 7:44] = True
    Image.fromarray(inside).save(path, compression=compression)
    for _ in range(2):  # with imagecodecs, and without
        np.testing.assert_array_equal(read_image(path)[..., 0], inside * 255)
        np.testing.assert_array_equal(read_label(path), inside)
        request.getfixturevalue("plain")


@pytest.mark.usefixtures("plain")
def test_a_missing_codec_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", U8, photometric="minisblack")
    data = path.read_bytes()
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages[0].tags["Compression"].overwrite(50001)  # WebP
    assert path.read_bytes() != data
    with pytest.raises(ValueError, match=r"a\.tif: .*WEBP.*pip install 'sa2_monai\[codecs\]'"):
        read_image(path)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"compression": "lzw"}, {"compression": "jpeg"}])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 16}, {"tile": (16, 16)}])
def test_what_is_cut_off_is_no_image(tmp_path: Path, options: dict[str, Any], layout: dict[str, Any]) -> None:
    noise = np.random.RandomState(1).randint(0, 256, (64, 48, 3)).astype(np.uint8)
    path = write(tmp_path / "a.tif", noise, photometric="rgb", **options, **layout)
    data = path.read_bytes()
    for cut in (1, 40, len(data) // 2, len(data) - 9):
        path.write_bytes(data[:-cut])
        for read in (read_image, read_label):
            with pytest.raises(ValueError, match=r"a\.tif: (damaged or truncated|is not a readable) image"):
                read(path)


def test_a_missing_strip_is_no_black_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", U8, photometric="minisblack", rowsperstrip=2, compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tag = tiff.pages[0].tags["StripByteCounts"]
        tag.overwrite([*tag.value[:-1], 0])
    with pytest.raises(ValueError, match=r"a\.tif: damaged or truncated image .*of 0 bytes"):
        read_image(path)
