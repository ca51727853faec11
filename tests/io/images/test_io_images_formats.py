# SPDX-License-Identifier: Apache-2.0
"""PNG, JPEG, BMP, GIF, WebP and JPEG 2000 in the forms that users have, and files that are not what their name says."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sa2_monai.data import image_size, read_image, read_label
from sa2_monai.io.images.read import is_image, is_lossy

RNG = np.random.RandomState(11)
SIZE = (9, 7)
GREY = RNG.randint(0, 256, SIZE).astype(np.uint8)
RGB = RNG.randint(0, 256, (*SIZE, 3)).astype(np.uint8)
MASK = RNG.randint(0, 2, SIZE).astype(np.uint8)
FLAT = np.full((16, 24, 3), (200, 30, 90), np.uint8)
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(array: np.ndarray, bits: int, kind: int, chunks: bytes = b"", interlaced: bool = False) -> bytes:
    """A PNG of any depth and colour type; ``array`` is (H, W, channels)."""

    def lines(part: np.ndarray) -> bytes:
        rows = b""
        for row in part:
            samples = row.reshape(-1)
            if bits < 8:
                text = "".join(f"{value:0{bits}b}" for value in samples)
                rows += b"\0" + int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")
            else:
                rows += b"\0" + samples.astype(">u2" if bits == 16 else "u1").tobytes()
        return rows

    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    data = b"".join(lines(array[y::dy, x::dx]) for x, y, dx, dy in passes if array[y::dy, x::dx].size)
    head = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], bits, kind, 0, 0, int(interlaced))
    body = chunk(b"IHDR", head) + chunks + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def encoded(array: np.ndarray, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format, **options)
    return buffer.getvalue()


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    form=st.sampled_from([(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (4, 8), (4, 16), (6, 8), (6, 16)]),
    interlaced=st.booleans(),
    notes=st.sampled_from([b"", b"sBIT", b"gAMA", b"both"]),
    orientation=st.integers(1, 8),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
)
def test_every_png_is_exact(
    tmp_path_factory: pytest.TempPathFactory, form: tuple[int, int], interlaced: bool, notes: bytes, orientation: int,
    size: tuple[int, int],
) -> None:  # fmt: skip
    kind, bits = form
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[kind]
    stored = np.random.RandomState(1).randint(0, 2**bits, (*size, channels))
    if kind in (4, 6):
        stored[..., -1] = 2**bits - 1
    chunks = chunk(b"sBIT", bytes([min(bits, 5)] * channels)) if notes in (b"sBIT", b"both") else b""
    chunks += chunk(b"gAMA", struct.pack(">I", 45455)) if notes in (b"gAMA", b"both") else b""
    exif = Image.Exif()
    exif[274] = orientation
    chunks += chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    path = written(tmp_path_factory.mktemp("p") / "a.png", png(stored, bits, kind, chunks, interlaced))
    upright = {
        1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
        5: lambda a: np.swapaxes(a, 0, 1), 6: lambda a: np.rot90(a, -1),
        7: lambda a: np.swapaxes(np.rot90(a, 2), 0, 1), 8: lambda a: np.rot90(a, 1),
    }[orientation](stored[..., : 3 if channels > 2 else 1])  # fmt: skip
    np.testing.assert_array_equal(read_image(path), upright * (255 // (2**bits - 1) if bits < 8 else 1))
    assert image_size(path) == upright.shape[:2]
    if channels <= 2:
        np.testing.assert_array_equal(read_label(path), upright[..., 0])


@pytest.mark.parametrize(("kind", "bits", "channels"), [(0, 8, 1), (0, 16, 1), (2, 8, 3), (2, 16, 3)])
def test_a_colour_key_is_transparency(tmp_path: Path, kind: int, bits: int, channels: int) -> None:
    stored = RNG.randint(0, 2**bits - 1, (*SIZE, channels))
    absent = chunk(b"tRNS", struct.pack(">H", 2**bits - 1) * channels)
    np.testing.assert_array_equal(read_image(written(tmp_path / "a.png", png(stored, bits, kind, absent))), stored)
    key = chunk(b"tRNS", stored[2, 3].astype(">u2").tobytes())
    path = written(tmp_path / "k.png", png(stored, bits, kind, key))
    with pytest.raises(ValueError, match=r"k\.png: has an alpha channel with transparent pixels"):
        read_image(path)
    if channels == 1:  # the number is in the file, however it is shown
        np.testing.assert_array_equal(read_label(path), stored[..., 0])


# file content, words of the refusal
TEST_CASE_REFUSED: dict[str, tuple[bytes, str]] = {
    "16-bit colour with alpha": (png(np.dstack([RGB, GREY]).astype(int) * 257, 16, 6), "transparent pixels"),
    "16-bit grey with alpha": (png(np.dstack([GREY, GREY]).astype(int) * 257, 16, 4), "transparent pixels"),
    "animated PNG": (
        encoded(GREY, "PNG", save_all=True, append_images=[Image.fromarray(255 - GREY)] * 2), "animation of 3 frames"
    ),
    "animated GIF": (
        encoded(GREY, "GIF", save_all=True, append_images=[Image.fromarray(255 - GREY)]), "animation of 2 frames"
    ),
    "animated WebP": (
        encoded(RGB, "WEBP", save_all=True, append_images=[Image.fromarray(255 - RGB)]), "animation of 2 frames"
    ),
    "JPEG of 12 bits": (encoded(GREY, "JPEG").replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc0\0\x0b\x0c"), "JPEG of 12 bits"),
    "lossless JPEG": (encoded(GREY, "JPEG").replace(b"\xff\xc0\0\x0b", b"\xff\xc3\0\x0b"), "lossless JPEG"),
    "CMYK JPEG": (encoded(np.dstack([RGB, GREY])[..., :3], "JPEG").replace(b"\x03\x01\x22", b"\x04\x01\x22"), "CMYK"),
    "JPEG 2000 of 16-bit colours": (
        encoded(RGB, "JPEG2000", no_jp2=True).replace(b"\x07\1\1\x07\1\1\x07\1\1", b"\x0f\1\1\x0f\1\1\x0f\1\1"),
        "16, 16, 16 bits, expected",
    ),
    "HEIC": (b"\0\0\0\x18ftypheic" + bytes(40), "is an HEIC image, expected PNG"),
    "AVIF": (b"\0\0\0\x1cftypavif" + bytes(40), "is an AVIF image, expected PNG"),
    "JPEG XL": (b"\xff\x0a" + bytes(40), "is a JPEG XL image"),
    "NIfTI": (bytes(344) + b"n+1\0" + bytes(40), "is a NIfTI volume"),
    "NIfTI-2": (b"\x1c\2\0\0n+2\0\r\n\x1a\n" + bytes(540), "is a NIfTI volume"),
    "MetaImage": (b"ObjectType = Image\nNDims = 3\n", "is a MetaImage volume"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"),
    "web page": (b"<!DOCTYPE html><html>", "is a web page"),
    "text": (b"hello", "is not a readable image"),
    "empty": (b"", "is empty"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TEST_CASE_REFUSED)
def test_refused_by_name(tmp_path: Path, kind: str) -> None:
    data, words = TEST_CASE_REFUSED[kind]
    path = written(tmp_path / "a.png", data)
    for read in (read_image, read_label):
        with pytest.raises(ValueError, match=rf"a\.png: .*{words}"):
            read(path)


# content, whether its compression invents values
TEST_CASE_CONTENT: dict[str, tuple[bytes, bool]] = {
    "PNG": (encoded(RGB, "PNG"), False),
    "BMP": (encoded(RGB, "BMP"), False),
    "WebP": (encoded(RGB, "WEBP", lossless=True), False),
    "JPEG 2000": (encoded(RGB, "JPEG2000"), False),
    "JPEG 2000 stream": (encoded(RGB, "JPEG2000", no_jp2=True), False),
    "JPEG": (encoded(FLAT, "JPEG", quality=100), True),
    "progressive JPEG": (encoded(FLAT, "JPEG", quality=100, progressive=True), True),
    "lossy WebP": (encoded(FLAT, "WEBP", quality=100), True),
    "lossy JPEG 2000": (encoded(FLAT, "JPEG2000", irreversible=True), True),
}


@pytest.mark.parametrize("kind", TEST_CASE_CONTENT)
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy", "a.dcm", "a"])
def test_the_content_decides(tmp_path: Path, kind: str, name: str) -> None:
    data, lossy = TEST_CASE_CONTENT[kind]
    path = written(tmp_path / name, data)
    image, expected = read_image(path), FLAT if lossy else RGB
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= (4 if lossy else 0)
    assert image_size(path) == expected.shape[:2]
    assert is_lossy(path) == lossy
    assert is_image(path)
    for cut in (len(data) // 3, len(data) * 9 // 10):
        written(path, data[:cut])
        with pytest.raises(ValueError, match="damaged or truncated image"):
            read_image(path)


def test_what_is_no_image(tmp_path: Path) -> None:
    assert not is_image(tmp_path)
    assert not is_image(tmp_path / "none.png")
    assert not is_image(written(tmp_path / "a.png", b"text"))
    assert not is_lossy(written(tmp_path / "a.nii.gz", b"\x1f\x8b"))


def test_tiff_and_arrays_under_other_names(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb")
    np.save(tmp_path / "b.npy", RGB)
    for name in ("a.tif", "b.npy"):
        path = (tmp_path / name).rename(tmp_path / f"{name[0]}.png")
        np.testing.assert_array_equal(read_image(path), RGB)
        assert image_size(path) == SIZE


def test_stray_bytes_between_the_markers_of_a_jpeg(tmp_path: Path) -> None:
    data = encoded(FLAT, "JPEG", quality=100)
    at = data.index(b"\xff\xdb")
    for stray in (b"\0", b"\0\0\0", b"\xff\xff"):
        path = written(tmp_path / "a.jpg", data[:at] + stray + data[at:])
        assert np.abs(read_image(path).astype(int) - FLAT).max() <= 4


def test_several_images_of_a_camera(tmp_path: Path) -> None:
    preview = Image.fromarray(FLAT[:8, :8])
    path = tmp_path / "phone.jpg"
    Image.fromarray(FLAT).save(path, "MPO", save_all=True, append_images=[preview], quality=100)
    assert read_image(path).shape == FLAT.shape


@pytest.mark.parametrize("values", [[0, 255], [0, 1], [0, 2], [0, 85, 170], [0, 1, 2]])
def test_gif_masks_keep_their_grey_values(tmp_path: Path, values: list[int]) -> None:
    mask = np.repeat(np.array([values], np.uint8), 5, axis=0)
    path = written(tmp_path / "a.gif", encoded(mask, "GIF"))
    np.testing.assert_array_equal(read_label(path), mask)
    np.testing.assert_array_equal(read_image(path)[..., 0], mask)


def test_gif_palettes_are_no_class_numbers(tmp_path: Path) -> None:
    coloured = Image.fromarray(np.array([[0, 2, 2]] * 4, np.uint8))
    coloured.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    coloured.save(tmp_path / "a.gif")  # the writer makes 1 of 2
    np.testing.assert_array_equal(read_image(tmp_path / "a.gif")[0], [[0, 0, 0], [0, 255, 0], [0, 255, 0]])
    with pytest.raises(ValueError, match=r"a\.gif: is a GIF with a palette of colours, .*single-channel PNG"):
        read_label(tmp_path / "a.gif")
    negative = Image.fromarray(MASK)
    negative.putpalette([255, 255, 255, 0, 0, 0])
    negative.save(tmp_path / "n.gif")
    with pytest.raises(ValueError, match=r"n\.gif: is a GIF with a palette of colours"):
        read_label(tmp_path / "n.gif")


@pytest.mark.parametrize("bits", [5, 8, 10, 12, 16])
def test_grey_jpeg_2000_of_any_depth(tmp_path: Path, bits: int) -> None:
    codecs = pytest.importorskip("imagecodecs")
    values = RNG.randint(0, 2**bits, (16, 16)).astype(np.uint8 if bits <= 8 else np.uint16)
    data = codecs.jpeg2k_encode(values, level=0, reversible=True, bitspersample=bits)
    path = written(tmp_path / "a.jp2", bytes(data))
    np.testing.assert_array_equal(read_label(path), values)
    full = np.iinfo(values.dtype).max
    np.testing.assert_array_equal(read_image(path)[..., 0], np.floor(values * (full / (2**bits - 1)) + 0.5))


def test_lossy_masks_in_colour_are_grey(tmp_path: Path) -> None:
    square = np.zeros((40, 48), np.uint8)
    square[11:30, 13:37] = 255
    grey = read_label(written(tmp_path / "g.jpg", encoded(square, "JPEG", quality=80)))
    colour = read_label(written(tmp_path / "c.jpg", encoded(np.dstack([square] * 3), "JPEG", quality=80)))
    assert len(np.unique(grey)) > 2
    np.testing.assert_array_equal(grey > 127, square > 0)
    np.testing.assert_array_equal(colour > 127, square > 0)
    red = np.dstack([square, square * 0, square * 0])
    with pytest.raises(ValueError, match=r"r\.jpg: is a colour image with different channels"):
        read_label(written(tmp_path / "r.jpg", encoded(red, "JPEG", quality=80)))


@pytest.mark.parametrize("at", [41, 44, 60, -20, -4])
def test_a_flipped_bit_in_a_png_is_found(tmp_path: Path, at: int) -> None:
    data = bytearray(encoded(RGB, "PNG"))
    data[at] ^= 4
    path = written(tmp_path / "a.png", bytes(data))
    for read in (read_image, read_label):
        with pytest.raises(ValueError, match=r"a\.png: damaged or truncated image"):
            read(path)


def test_what_lies_behind_the_end_is_nobodys_business(tmp_path: Path) -> None:
    for format in ("PNG", "BMP", "GIF"):
        path = written(tmp_path / "a.png", encoded(GREY, format) + b"more")
        np.testing.assert_array_equal(read_image(path)[..., 0], GREY)


@pytest.mark.parametrize("colours", [2, 16, 256])
def test_bmp_palettes(tmp_path: Path, colours: int) -> None:
    indices = RNG.randint(0, colours, SIZE).astype(np.uint8)
    palette = RNG.randint(0, 256, (colours, 3)).astype(np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(palette.tobytes())
    image.save(tmp_path / "a.bmp")
    np.testing.assert_array_equal(read_image(tmp_path / "a.bmp"), palette[indices])
    np.testing.assert_array_equal(read_label(tmp_path / "a.bmp"), indices)


def forms_of(folder: Path, mask: np.ndarray) -> list[Path]:
    """One label map in every form that keeps its values."""
    paths = []

    def save(name: str, image: Image.Image, **options: Any) -> None:
        image.save(folder / name, **options)
        paths.append(folder / name)

    indexed = Image.fromarray(mask)
    indexed.putpalette(np.random.RandomState(0).randint(0, 256, 768).astype(np.uint8).tobytes())
    opaque = np.full_like(mask, 255)
    for suffix in ("png", "bmp", "tif"):
        save(f"grey.{suffix}", Image.fromarray(mask))
        save(f"palette.{suffix}", indexed)
        save(f"equal.{suffix}", Image.fromarray(np.dstack([mask] * 3)))
        save(f"opaque.{suffix}", Image.fromarray(np.dstack([mask, mask, mask, opaque])))
    save("grey.gif", Image.fromarray(mask))
    save("equal.webp", Image.fromarray(np.dstack([mask] * 3)), lossless=True)
    save("grey.jp2", Image.fromarray(mask))
    save("key.png", Image.fromarray(mask), transparency=0)
    save("clear.png", indexed, transparency=0)
    save("grey_alpha.png", Image.fromarray(np.dstack([mask, opaque])))
    save("deep.png", Image.fromarray(mask.astype(np.uint16)))
    for kind in (np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.float16, np.float32, np.float64):
        for photometric in ("minisblack", "miniswhite"):
            name = f"{np.dtype(kind).name}_{photometric}.tif"
            tifffile.imwrite(folder / name, mask.astype(kind), photometric=photometric)
            paths.append(folder / name)
        np.save(folder / f"{np.dtype(kind).name}.npy", mask.astype(kind))
        paths.append(folder / f"{np.dtype(kind).name}.npy")
    return paths


@settings(max_examples=8, deadline=None, derandomize=True)
@given(size=st.tuples(st.integers(1, 30), st.integers(1, 30)), highest=st.integers(1, 60), seed=st.integers(0, 99))
def test_one_label_map_in_every_form(
    tmp_path_factory: pytest.TempPathFactory, size: tuple[int, int], highest: int, seed: int
) -> None:
    mask = np.random.RandomState(seed).randint(0, highest + 1, size).astype(np.uint8)
    for path in forms_of(tmp_path_factory.mktemp("m"), mask):
        label = read_label(path)
        assert label.dtype in (np.uint8, np.uint16, np.int32), path.name
        np.testing.assert_array_equal(label, mask, err_msg=path.name)
        assert image_size(path) == size, path.name
        assert not is_lossy(path), path.name


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from([*TEST_CASE_CONTENT, "TIFF", "GIF"]),
    flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), max_size=4),
    cut=st.floats(0.05, 1),
)
def test_whatever_happens_to_a_file_it_is_an_image_or_named(
    tmp_path_factory: pytest.TempPathFactory, kind: str, flips: list[tuple[int, int]], cut: float
) -> None:
    data = bytearray(TEST_CASE_CONTENT[kind][0] if kind in TEST_CASE_CONTENT else encoded(GREY, kind))
    for at, change in flips:
        data[at % len(data)] ^= change
    path = written(tmp_path_factory.mktemp("f") / "a.png", bytes(data[: int(len(data) * cut)]))
    refusals = []
    for read in (read_image, read_label, image_size, is_lossy):
        try:
            result = read(path)
        except ValueError as error:
            refusals.append(str(error))
        else:
            assert read is not read_image or image_size(path) == result.shape[:2]
    assert all(refusal.startswith(f"{path}: ") and "\n" not in refusal for refusal in refusals)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_large_images_are_taken_out_in_bands(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(RGB).convert(mode).save(tmp_path / "a.png")
    expected = read_image(tmp_path / "a.png")
    monkeypatch.setattr("sa2_monai.io.images.pillow._LARGE", 10)
    monkeypatch.setattr("sa2_monai.io.images.pillow._ROWS", 4)
    found = read_image(tmp_path / "a.png")
    assert found.flags.writeable or mode == "RGBA"
    np.testing.assert_array_equal(found, expected)
