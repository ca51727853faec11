# SPDX-License-Identifier: Apache-2.0
"""Every format, depth and colour mode that is read, and every one that is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from sa2_monai.data import image_size, read_image, read_label
from sa2_monai.io.images.read import luminance

RNG = np.random.RandomState(3)
RGB = RNG.randint(0, 256, (7, 5, 3)).astype(np.uint8)
GREY = RNG.randint(0, 256, (7, 5)).astype(np.uint8)
RGB16 = RNG.randint(0, 65536, (7, 5, 3)).astype(np.uint16)
GREY16 = RNG.randint(0, 65536, (7, 5)).astype(np.uint16)


def write_sitk(path: Path, array: np.ndarray) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=array.ndim == 3), str(path))
    return path


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "tiff", "PNG"])
def test_8bit_colour_and_grey_are_exact(tmp_path: Path, suffix: str) -> None:
    colour = save(tmp_path / f"c.{suffix}", Image.fromarray(RGB))
    grey = save(tmp_path / f"g.{suffix}", Image.fromarray(GREY))
    assert read_image(colour).dtype == np.uint8
    np.testing.assert_array_equal(read_image(colour), RGB)
    np.testing.assert_array_equal(read_image(grey), GREY[:, :, None])
    np.testing.assert_array_equal(read_label(grey), GREY)
    assert image_size(colour) == image_size(grey) == (7, 5)


def test_jpeg(tmp_path: Path) -> None:
    flat = np.full((16, 24, 3), (200, 30, 90), np.uint8)
    path = save(tmp_path / "a.jpeg", Image.fromarray(flat), quality=100)
    assert read_image(path).shape == (16, 24, 3)
    assert np.abs(read_image(path).astype(int) - flat).max() <= 3
    assert image_size(path) == (16, 24)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16bit_keeps_all_bits(tmp_path: Path, suffix: str) -> None:
    colour = write_sitk(tmp_path / f"c.{suffix}", RGB16)
    grey = save(tmp_path / f"g.{suffix}", Image.fromarray(GREY16))
    assert read_image(colour).dtype == read_image(grey).dtype == np.uint16
    np.testing.assert_array_equal(read_image(colour), RGB16)
    np.testing.assert_array_equal(read_image(grey)[:, :, 0], GREY16)
    np.testing.assert_array_equal(read_label(grey), GREY16)
    assert image_size(colour) == (7, 5)


def test_32bit_integers_are_labels_but_no_image(tmp_path: Path) -> None:
    many = GREY.astype(np.int32) + 100_000
    path = save(tmp_path / "i.tif", Image.fromarray(many))
    assert read_label(path).dtype == np.int32
    np.testing.assert_array_equal(read_label(path), many)
    with pytest.raises(ValueError, match=r"i\.tif: holds 32-bit integers.*save it with 8 or 16 bits"):
        read_image(path)


def test_float_tiff(tmp_path: Path) -> None:
    path = save(tmp_path / "f.tif", Image.fromarray(GREY.astype(np.float32) / 255))
    assert read_image(path).dtype == np.float32
    np.testing.assert_array_equal(read_image(path)[:, :, 0], GREY.astype(np.float32) / 255)
    with pytest.raises(ValueError, match=r"f\.tif: holds fractional values.*whole class numbers"):
        read_label(path)
    whole = save(tmp_path / "w.tif", Image.fromarray(GREY.astype(np.float32)))
    np.testing.assert_array_equal(read_label(whole), GREY)


def test_float_colour_tiff(tmp_path: Path) -> None:
    values = RGB.astype(np.float32) / 255
    path = write_sitk(tmp_path / "f.tif", values)
    np.testing.assert_array_equal(read_image(path), values)
    assert image_size(path) == (7, 5)
    np.testing.assert_allclose(read_image(path, 1)[:, :, 0], values @ [0.299, 0.587, 0.114], atol=1e-6)
    values[0, 0, 1] = np.inf
    with pytest.raises(ValueError, match="1 of 105 values are NaN or infinite"):
        read_image(write_sitk(tmp_path / "inf.tif", values))


def test_nan_is_refused(tmp_path: Path) -> None:
    values = GREY.astype(np.float32)
    values[2, 2] = np.nan
    path = save(tmp_path / "nan.tif", Image.fromarray(values))
    with pytest.raises(ValueError, match=r"nan\.tif: 1 of 35 values are NaN or infinite"):
        read_image(path)


def test_one_bit(tmp_path: Path) -> None:
    path = save(tmp_path / "b.png", Image.fromarray(GREY > 127))
    np.testing.assert_array_equal(read_image(path)[:, :, 0], np.where(GREY > 127, 255, 0))
    np.testing.assert_array_equal(read_label(path), GREY > 127)
    assert read_label(path).dtype == np.uint8


def test_palette_image_is_colour_and_label_is_index(tmp_path: Path) -> None:
    indices = (GREY % 4).astype(np.uint8)
    palette = [0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255]
    image = Image.fromarray(indices)
    image.putpalette(palette)
    path = save(tmp_path / "p.png", image)
    np.testing.assert_array_equal(read_image(path), np.array(palette, np.uint8).reshape(4, 3)[indices])
    np.testing.assert_array_equal(read_label(path), indices)
    transparent = save(tmp_path / "t.png", image, transparency=0)
    np.testing.assert_array_equal(read_label(transparent), indices)
    with pytest.raises(ValueError, match="alpha channel with transparent pixels"):
        read_image(transparent)


@pytest.mark.parametrize("bits", [2, 4])
def test_small_grey_depths_keep_class_numbers(tmp_path: Path, bits: int) -> None:
    values = (GREY % 2**bits).astype(np.uint8)
    rows = b""
    for row in values:
        text = "".join(f"{v:0{bits}b}" for v in row).ljust(-(-len(row) * bits // 8) * 8, "0")
        rows += b"\0" + int(text, 2).to_bytes(len(text) // 8, "big")

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 5, 7, bits, 0, 0, 0, 0)
    path = tmp_path / "small.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    np.testing.assert_array_equal(read_label(path), values)
    np.testing.assert_array_equal(read_image(path)[:, :, 0], values.astype(int) * (255 // (2**bits - 1)))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_opaque_alpha_is_dropped_and_transparent_refused(tmp_path: Path, suffix: str) -> None:
    alpha = np.full((7, 5, 1), 255, np.uint8)
    opaque = np.concatenate([RGB, alpha], axis=2)
    np.testing.assert_array_equal(read_image(save(tmp_path / f"o.{suffix}", Image.fromarray(opaque))), RGB)
    grey = np.stack([GREY, alpha[:, :, 0]], axis=2)
    path = save(tmp_path / f"la.{suffix}", Image.fromarray(grey))
    np.testing.assert_array_equal(read_image(path)[:, :, 0], GREY)
    np.testing.assert_array_equal(read_label(path), GREY)
    opaque[1, 1, 3] = 254
    path = save(tmp_path / f"t.{suffix}", Image.fromarray(opaque))
    for read in (read_image, read_label):
        with pytest.raises(ValueError, match=rf"t\.{suffix}: has an alpha channel.*save it without alpha"):
            read(path)


def test_16bit_alpha(tmp_path: Path) -> None:
    alpha = np.full((7, 5, 1), 65535, np.uint16)
    opaque = np.concatenate([RGB16, alpha], axis=2)
    np.testing.assert_array_equal(read_image(write_sitk(tmp_path / "o.png", opaque)), RGB16)
    grey = write_sitk(tmp_path / "la.png", np.dstack([GREY16, alpha[:, :, 0]]))
    np.testing.assert_array_equal(read_image(grey)[:, :, 0], GREY16)
    np.testing.assert_array_equal(read_label(grey), GREY16)
    opaque[0, 0, 3] = 0
    with pytest.raises(ValueError, match="alpha channel"):
        read_image(write_sitk(tmp_path / "t.png", opaque))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_tags(tmp_path: Path, orientation: int) -> None:
    undo = {
        1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
        5: lambda a: np.swapaxes(a, 0, 1), 6: lambda a: np.rot90(a, -1),
        7: lambda a: np.swapaxes(np.rot90(a, 2), 0, 1), 8: lambda a: np.rot90(a, 1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[274] = orientation
    for suffix in ("png", "tif"):
        path = save(tmp_path / f"o.{suffix}", Image.fromarray(RGB), exif=exif)
        np.testing.assert_array_equal(read_image(path), undo(RGB))
        assert image_size(path) == undo(RGB).shape[:2]
    # 16 bits per channel in a TIFF with the tag: patched into the file that SimpleITK writes.
    path = write_sitk(tmp_path / "o16.tif", RGB16)
    data = path.read_bytes()
    start = struct.unpack("<I", data[4:8])[0]
    (count,) = struct.unpack("<H", data[start : start + 2])
    entries = [data[start + 2 + 12 * i : start + 14 + 12 * i] for i in range(count)]
    entries = [e for e in entries if struct.unpack("<H", e[:2])[0] != 274]
    entries.append(struct.pack("<HHIHH", 274, 3, 1, orientation, 0))
    entries.sort(key=lambda e: struct.unpack("<H", e[:2])[0])
    table = struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 0)
    path.write_bytes(data[:4] + struct.pack("<I", len(data)) + data[8:] + table)
    assert image_size(path) == undo(RGB).shape[:2]
    np.testing.assert_array_equal(read_image(path), undo(RGB16))
    path = write_sitk(tmp_path / "o16.png", RGB16)
    block = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(block) - 4) + block + struct.pack(">I", zlib.crc32(block))
    data = path.read_bytes()
    path.write_bytes(data[:33] + chunk + data[33:])  # behind the IHDR chunk
    np.testing.assert_array_equal(read_image(path), undo(RGB16))


def test_jpeg_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    path = save(tmp_path / "o.jpg", Image.fromarray(np.zeros((8, 24, 3), np.uint8)), exif=exif)
    assert read_image(path).shape == (24, 8, 3)
    assert image_size(path) == (24, 8)


def test_channels_and_order(tmp_path: Path) -> None:
    colour, grey = save(tmp_path / "c.png", Image.fromarray(RGB)), save(tmp_path / "g.png", Image.fromarray(GREY))
    np.testing.assert_array_equal(read_image(grey, 3), np.repeat(GREY[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(read_image(colour, 1)[:, :, 0], np.asarray(Image.fromarray(RGB).convert("L")))
    np.testing.assert_array_equal(read_image(colour, 3, "BGR"), RGB[:, :, ::-1])
    np.testing.assert_array_equal(read_image(colour, 1, "BGR"), read_image(colour, 1))
    with pytest.raises(ValueError, match=r"c\.png: has 3 channels, expected 4; grey \(1\) becomes"):
        read_image(colour, 4)
    with pytest.raises(ValueError, match="channels is 0, expected 1"):
        read_image(colour, 0)
    with pytest.raises(ValueError, match="channel_order is 'GRB', expected 'RGB' or 'BGR'"):
        read_image(colour, 3, "GRB")


def test_luminance_of_16bit_does_not_overflow() -> None:
    white = np.full((1, 1, 3), 65535, np.uint16)
    assert luminance(white).item() == 65535
    expected = np.rint(RGB16 @ [0.299, 0.587, 0.114])
    assert np.abs(luminance(RGB16)[:, :, 0].astype(float) - expected).max() <= 1


def test_colour_label(tmp_path: Path) -> None:
    equal = save(tmp_path / "e.png", Image.fromarray(np.dstack([GREY] * 3)))
    np.testing.assert_array_equal(read_label(equal), GREY)
    with pytest.raises(ValueError, match=r"c\.png: is a colour image with different channels.*single-channel PNG"):
        read_label(save(tmp_path / "c.png", Image.fromarray(RGB)))


@pytest.mark.parametrize(("name", "space"), [("k.tif", "space SEPARATED"), ("k.jpg", "mode CMYK")])
def test_cmyk_is_refused(tmp_path: Path, name: str, space: str) -> None:
    path = save(tmp_path / name, Image.fromarray(RGB).convert("CMYK"))
    with pytest.raises(ValueError, match=rf"{name}: has colour {space}, expected grey.*convert it to RGB"):
        read_image(path)


def test_several_pages(tmp_path: Path) -> None:
    page = Image.fromarray(GREY)
    path = save(tmp_path / "m.tif", page, save_all=True, append_images=[page, page])
    with pytest.raises(ValueError, match=r"m\.tif: has 3 planes or pages, expected a single image"):
        read_image(path)


def test_missing_empty_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.png: no such file; check the path"):
        read_image(tmp_path / "no.png")
    with pytest.raises(ValueError, match="is a folder, expected an image file"):
        image_size(tmp_path)
    empty = tmp_path / "empty.png"
    empty.touch()
    with pytest.raises(ValueError, match=r"empty\.png: is empty \(0 bytes\); copy the file again"):
        read_image(empty)
    text = tmp_path / "text.png"
    text.write_text("not an image")
    with pytest.raises(ValueError, match=r"text\.png: is not a readable image \(12 bytes\), expected PNG"):
        read_label(text)
    layered = tmp_path / "a.png"
    layered.write_bytes(b"8BPS\0\1" + bytes(100))
    with pytest.raises(ValueError, match=r"is a Photoshop document, expected.*save it as PNG, JPEG, TIFF or BMP"):
        read_image(layered)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.bmp", "a16.png", "a16.tif"])
def test_truncated_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    noise = np.random.RandomState(0).randint(0, 256, (64, 64, 3))
    if "16" in name:
        write_sitk(path, (noise * 257).astype(np.uint16))
    else:
        save(path, Image.fromarray(noise.astype(np.uint8)))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=rf"{name}: (damaged or truncated image|is not a readable)") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("position", [4, 120])
def test_corrupt_tiff_directory(tmp_path: Path, position: int) -> None:
    path = save(tmp_path / "c.tif", Image.fromarray(RGB))
    data = bytearray(path.read_bytes())
    data[position : position + 80] = b"\xff" * 80
    path.write_bytes(bytes(data[:220]))
    with pytest.raises(ValueError, match=r"c\.tif: .*copy the file again"):
        read_image(path)


def test_decompression_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "big.png", Image.fromarray(RGB))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ValueError, match=r"big\.png: .*reads such images tile by tile when they are saved as TIFF"):
        read_image(path)


def test_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(RGB))

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ValueError, match=r"a\.png: cannot be opened, permission denied; make the file readable"):
        read_image(path)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


BOMB = zlib.compress(bytes(2**26), 9)  # 64 MiB
NOTES = {
    "zTXt": chunk(b"zTXt", b"Comment\0\0" + BOMB),
    "iTXt": chunk(b"iTXt", b"Comment\0\1\0\0\0" + BOMB),
    "iCCP": chunk(b"iCCP", b"profile\0\0" + BOMB),
}


@pytest.mark.parametrize("kind", NOTES)
def test_notes_that_unpack_to_megabytes(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(RGB))
    content = path.read_bytes()
    path.write_bytes(content[:33] + NOTES[kind] + content[33:])
    with pytest.raises(ValueError, match=r"a\.png: has compressed notes or a colour profile that unpack to more"):
        read_image(path)


def test_a_chunk_that_promises_gigabytes(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(RGB))
    content = path.read_bytes()
    at = content.index(b"IDAT") - 4
    path.write_bytes(content[:at] + struct.pack(">I", 2**32 - 16) + content[at + 4 :])
    with pytest.raises(ValueError, match=r"a\.png: .*damaged or truncated image"):
        read_image(path)
