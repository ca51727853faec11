# SPDX-License-Identifier: Apache-2.0
"""Reading of regions: the pixels of a region are those of the whole image, whatever the storage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from slide_files import FILES, RGB, write_levels, write_ome

from sa2_monai.io.images.read import read_image
from sa2_monai.io.slides import segments
from sa2_monai.io.slides.recognise import is_slide
from sa2_monai.io.slides.scanner_slide import ScannerSlide
from sa2_monai.io.slides.slide import open_slide

REGIONS = [(0, 0, 150, 230), (0, 0, 1, 1), (149, 229, 1, 1), (63, 60, 3, 80), (10, 20, 130, 200)]


@pytest.mark.parametrize(("write", "expected", "levels"), [file[1:] for file in FILES], ids=[file[0] for file in FILES])
def test_regions(
    write: Callable[[Path], Path], expected: np.ndarray, levels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_slide(write(tmp_path / "slide.tif")) as slide:
        assert len(slide.levels) == levels
        for top, left, height, width in REGIONS:
            region = slide.read(0, top, left, height, width).array
            np.testing.assert_array_equal(region, expected[top : top + height, left : left + width])
        small = slide.levels[-1]
        step = 2 ** (levels - 1)
        last = slide.read(levels - 1, 3, 5, small.height - 3, small.width - 5).array
        np.testing.assert_array_equal(last, expected[::step, ::step][3:, 5:])
        assert slide.downsample(0) == (1.0, 1.0)


@pytest.mark.parametrize("name", ["one strip", "big endian"])
def test_rows_of_one_large_piece(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without compression a region needs its own rows alone."""
    monkeypatch.setattr(segments, "_LARGEST_SEGMENT", 1000)
    write = next(file[1] for file in FILES if file[0] == name)
    with open_slide(write(tmp_path / "slide.tif")) as slide:
        np.testing.assert_array_equal(slide.read(0, 11, 13, 40, 50).array, RGB[11:51, 13:63])


def test_cache_is_bounded() -> None:
    cache = segments.SegmentCache(limit=250)
    for index in range(5):
        cache.put((0, index), np.full(100, index, dtype=np.uint8))
    assert [cache.get((0, index)) is not None for index in range(5)] == [False, False, False, True, True]


def test_tile_that_was_left_out_is_white(tmp_path: Path) -> None:
    path = write_levels(tmp_path / "sparse.tif", [RGB], compression=None)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        counts, offsets = (list(tiff.pages[0].tags[name].value) for name in ("TileByteCounts", "TileOffsets"))
        counts[0] = offsets[0] = 0
        tiff.pages[0].tags["TileByteCounts"].overwrite(counts)
        tiff.pages[0].tags["TileOffsets"].overwrite(offsets)
    with open_slide(path) as slide:
        array = slide.read(0, 0, 0, 100, 100).array
    assert (array[:64, :64] == 255).all()
    np.testing.assert_array_equal(array[64:], RGB[64:100, :100])


def test_openslide_reads_the_same(tmp_path: Path) -> None:
    pytest.importorskip("openslide")
    path = write_levels(tmp_path / "slide.tif", [RGB, RGB[::2, ::2]])
    with open_slide(path) as ours, ScannerSlide(path) as theirs:
        assert ours.levels == theirs.levels
        for level, box in ((0, (13, 21, 90, 100)), (1, (3, 5, 60, 70))):
            np.testing.assert_array_equal(ours.read(level, *box).array, theirs.read(level, *box).array)


CUT = "damaged or truncated image"
BAD = {
    "cut off": (
        lambda path: path.write_bytes(path.read_bytes()[:-500]),
        f"{CUT} \\(tile 11 of .* bytes at .* in a file",
    ),
    "garbage in a tile": (lambda path: _spoil(path), CUT),
}


@pytest.mark.parametrize("name", BAD)
def test_damaged_tiles(name: str, tmp_path: Path) -> None:
    path = write_levels(tmp_path / "slide.tif", [RGB])
    damage, message = BAD[name]
    damage(path)
    with open_slide(path) as slide, pytest.raises(ValueError, match=f"slide.tif: {message}") as error:
        slide.read(0, 0, 0, 150, 230)
    assert "\n" not in str(error.value)


def _spoil(path: Path) -> None:
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[0].dataoffsets[3]
    content = bytearray(path.read_bytes())
    content[offset : offset + 50] = bytes(50)
    path.write_bytes(bytes(content))


def test_stack_is_refused(tmp_path: Path) -> None:
    path = write_ome(
        tmp_path / "stack.ome.tif", RGB[None, ..., 0].repeat(3, 0), "ZYX", RGB[None, ::2, ::2, 0].repeat(3, 0)
    )
    with pytest.raises(ValueError, match=r"stack.ome.tif: has several planes \(3 along Z\), expected a single image"):
        open_slide(path)


def test_compressed_in_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "_LARGEST_SEGMENT", 1000)
    path = tmp_path / "strip.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", rowsperstrip=150, compression="zlib")
    with (
        open_slide(path) as slide,
        pytest.raises(ValueError, match=r"pieces of 230 x 150 pixels, .* save it as TIFF with tiles"),
    ):
        slide.read(0, 0, 0, 1, 1)


def test_no_region_of_png(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a.png: is no TIFF \(PNG\), .* save it as TIFF with tiles"):
        open_slide(tmp_path / "a.png")


def test_what_is_a_slide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyramid = write_levels(tmp_path / "pyramid.tif", [RGB, RGB[::2, ::2]])
    np.testing.assert_array_equal(read_image(pyramid), RGB)  # as an image it is level 0
    plain = write_levels(tmp_path / "plain.tif", [RGB])
    Image.fromarray(RGB).save(tmp_path / "a.png")
    (tmp_path / "cut.tif").write_bytes(b"II*\0\x10\0\0\0")
    (tmp_path / "scanner.mrxs").write_bytes(b"\xff\xd8\xff\xe0")
    names = ("pyramid.tif", "plain.tif", "a.png", "cut.tif", "scanner.mrxs")
    assert [is_slide(tmp_path / name) for name in names] == [True, False, False, False, True]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", RGB[..., 0].size // 2 - 1)
    assert is_slide(plain)
    with pytest.raises(
        ValueError, match=r"scanner.mrxs: is a whole slide, expected an image; 'sa2-monai predict' reads it"
    ):
        read_image(tmp_path / "scanner.mrxs")


SIZES = {
    "centimetres": ({"resolution": (40000, 20000), "resolutionunit": "CENTIMETER"}, (0.5, 0.25)),
    "inches": ({"resolution": (50800, 50800), "resolutionunit": "INCH"}, (0.5, 0.5)),
    "72 dots per inch": ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
    "no unit": ({"resolution": (40000, 40000), "resolutionunit": "NONE"}, None),
    "nothing": ({}, None),
    "SVS": ({"description": "Aperio Image Library v10\n150x230 |AppMag = 20|MPP = 0.4990|x"}, (0.499, 0.499)),
}


@pytest.mark.parametrize("name", SIZES)
def test_pixel_size_of_tags(name: str, tmp_path: Path) -> None:
    options, expected = SIZES[name]
    with open_slide(write_levels(tmp_path / "slide.tif", [RGB], **options)) as slide:
        assert slide.mpp == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(("size", "unit", "expected"), [(0.25, "µm", 0.25), (250.0, "nm", 0.25), (3.0, "pixel", None)])
def test_pixel_size_of_ome(size: float, unit: str, expected: float | None, tmp_path: Path) -> None:
    metadata = {f"PhysicalSize{axis}{part}": value for axis in "XY" for part, value in (("", size), ("Unit", unit))}
    with open_slide(write_ome(tmp_path / "a.ome.tif", RGB, "YXS", RGB[::2, ::2], **metadata)) as slide:
        assert slide.mpp == (None if expected is None else pytest.approx((expected, expected)))


def test_pixel_size_of_imagej(tmp_path: Path) -> None:
    path = tmp_path / "imagej.tif"
    tifffile.imwrite(path, RGB[..., 0], imagej=True, resolution=(4, 4), metadata={"unit": "um"})
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx((0.25, 0.25))
