# SPDX-License-Identifier: Apache-2.0
"""Writing of slides: pyramids, outlines that cross bands, polygons; and regions that are read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter
from skimage.draw import polygon2mask
from skimage.measure import label

from sa2_monai.io.images.read import read_label
from sa2_monai.io.slides.contours import Outline, OutlineTracer
from sa2_monai.io.slides.geojson import PolygonFile
from sa2_monai.io.slides.pyramid import write_label_pyramid
from sa2_monai.io.slides.regions import read_regions


def bands_of(array: np.ndarray, rows: int) -> list[np.ndarray]:
    return [array[top : top + rows] for top in range(0, len(array), rows)]


@pytest.mark.parametrize(
    ("shape", "rows", "levels"), [((700, 1500), 130, 2), ((1025, 2049), 400, 3), ((40, 30), 40, 1)]
)
def test_pyramid(shape: tuple[int, int], rows: int, levels: int, tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 4, shape, dtype=np.uint8)
    labels[: shape[0] // 2] = 0
    path = write_label_pyramid(tmp_path / "out" / "a.ome.tif", bands_of(labels, rows), shape, (0.5, 0.25))
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        assert len(tiff.series[0].levels) == levels
        for level, image in enumerate(tiff.series[0].levels):
            np.testing.assert_array_equal(image.asarray(), labels[:: 2**level, :: 2**level])
        assert 'PhysicalSizeX="0.25" PhysicalSizeXUnit="µm" PhysicalSizeY="0.5"' in tiff.ome_metadata
    np.testing.assert_array_equal(read_label(path), labels)


@pytest.mark.parametrize("count", [1, 3])
def test_half_a_pyramid_is_none(count: int, tmp_path: Path) -> None:
    """What fails on the way leaves neither a file nor a part of one."""
    bands = [np.zeros((600, 700), dtype=np.uint8)] * count
    with pytest.raises(ValueError, match="rows"):
        write_label_pyramid(tmp_path / "a.ome.tif", bands, (1200, 700))
    assert list(tmp_path.iterdir()) == []


def trace(mask: np.ndarray, rows: int) -> list[Outline]:
    tracer = OutlineTracer(mask.shape[1])
    return [one for band in bands_of(mask, rows) for one in tracer.add(band)] + tracer.finish()


def comparable(outlines: list[Outline]) -> set[tuple[frozenset, frozenset]]:
    def points(line: np.ndarray) -> frozenset:
        return frozenset(map(tuple, line))

    return {(points(one.shell), frozenset(map(points, one.holes))) for one in outlines}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rows", [1, 7, 32])
def test_outlines_do_not_depend_on_bands(seed: int, rows: int) -> None:
    """Objects with holes, with objects in these, along all borders: as many as pieces connected by sides."""
    random = np.random.default_rng(seed)
    smooth = gaussian_filter(random.random((70, 50)), 0.5 + seed / 2)
    mask = smooth > np.quantile(smooth, random.uniform(0.2, 0.8))
    outlines = trace(mask, rows)
    assert comparable(outlines) == comparable(trace(mask, 1000))
    assert len(outlines) == label(mask, connectivity=1).max()
    again = np.zeros_like(mask)
    for outline in outlines:
        inside = polygon2mask(mask.shape, outline.shell)
        for hole in outline.holes:
            inside &= ~polygon2mask(mask.shape, hole)
        assert not (again & inside).any()
        again |= inside
    np.testing.assert_array_equal(again, mask)


def test_polygons(tmp_path: Path) -> None:
    """Two classes on an image at half the size, one object across all bands and with a hole."""
    labels = np.zeros((300, 40), dtype=np.uint8)
    labels[10:290, 5:15] = 1
    labels[100:200, 8:12] = 0
    labels[0:2, 30:32] = 2
    with PolygonFile(["background", "gland", "Krebs ä"], 40, downsample=(2.0, 2.0)) as polygons:
        for band in bands_of(labels, 90):
            polygons.add(band)
        assert polygons.save(tmp_path / "a.geojson")
    document = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))
    assert document["type"] == "FeatureCollection"
    small, large = document["features"]
    assert small["properties"]["classification"]["name"] == "Krebs ä"
    assert large["properties"] == {
        "objectType": "detection",
        "classification": {"name": "gland", "color": [86, 180, 233]},
    }
    shell, hole = (np.asarray(ring) for ring in large["geometry"]["coordinates"])
    assert (shell[0] == shell[-1]).all()
    assert (hole[0] == hole[-1]).all()
    # An object of the columns 5 to 14 covers x from 10 to 30 at level 0; the tolerance is half a pixel of the labels.
    assert (*shell.min(axis=0), *shell.max(axis=0)) == pytest.approx((10, 20, 30, 580), abs=1)
    assert (*hole.min(axis=0), *hole.max(axis=0)) == pytest.approx((16, 200, 24, 400), abs=1)
    assert len(shell) < 20  # straight lines have no points between


def test_too_many_polygons(tmp_path: Path) -> None:
    labels = np.zeros((20, 20), dtype=np.uint8)
    labels[::4, ::4] = 1
    for limit, there in ((24, False), (25, True)):
        with PolygonFile(["background", "cell"], 20, limit=limit) as polygons:
            polygons.add(labels)
            assert polygons.save(tmp_path / f"{limit}.geojson") is there
    assert [path.name for path in tmp_path.iterdir()] == ["25.geojson"]
    assert len(json.loads((tmp_path / "25.geojson").read_text())["features"]) == 25


def test_too_many_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holes of an object are held until it ends: a sponge must not fill the memory."""
    monkeypatch.setattr("sa2_monai.io.slides.geojson._MOST_HOLES", 24)
    sponge = np.ones((41, 41), dtype=np.uint8)
    sponge[2:40:4, 2:40:4] = 0
    with PolygonFile(["background", "cell"], 41) as polygons:
        polygons.add(sponge)
        assert not polygons.save(tmp_path / "a.geojson")
    assert list(tmp_path.iterdir()) == []


def test_rectangle() -> None:
    regions = read_regions("4,6,10,8")
    regions.check(20, 20)
    expected = np.zeros((20, 20), dtype=bool)
    expected[6:14, 4:14] = True
    np.testing.assert_array_equal(regions.mask(0, 0, 20, 20, (1.0, 1.0)), expected)
    np.testing.assert_array_equal(regions.mask(5, 3, 9, 5, (1.0, 1.0)), expected[5:14, 3:8])
    np.testing.assert_array_equal(regions.mask(0, 0, 10, 10, (2.0, 2.0)), expected[::2, ::2])
    assert not regions.mask(0, 15, 20, 5, (1.0, 1.0)).any()


def square(low: float, high: float) -> list[list[float]]:
    return [[low, low], [high, low], [high, high], [low, high], [low, low]]


DOCUMENTS = {
    "collection": {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [square(2, 12), square(5, 8)]}},
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 1]}},
        ],
    },
    "multipolygon": {"type": "MultiPolygon", "coordinates": [[square(2, 12), square(5, 8)]]},
    "bare list": [{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [square(2, 12), square(5, 8)]}}],
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_geojson_regions(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.geojson").write_text(json.dumps(DOCUMENTS[name]))
    expected = np.zeros((16, 16), dtype=bool)
    expected[2:12, 2:12] = True
    expected[5:8, 5:8] = False
    np.testing.assert_array_equal(read_regions(str(tmp_path / "a.geojson")).mask(0, 0, 16, 16, (1, 1)), expected)


WRONG = {
    "5,5,0,3": "has no pixels",
    "5;5;3;3": "is no rectangle and no file; give X,Y,W,H",
    "no_such.geojson": "is no rectangle and no file; give X,Y,W,H",
    "empty.geojson": "empty.geojson: holds no polygons; give",
    "text.geojson": "text.geojson: is no GeoJSON file with polygons",
    "list.geojson": "list.geojson: is no GeoJSON file with polygons",
}


@pytest.mark.parametrize("text", WRONG)
def test_regions_that_are_none(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    Path("text.geojson").write_text("hello")
    Path("list.geojson").write_text('{"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}')
    with pytest.raises((ValueError, FileNotFoundError), match=WRONG[text]) as error:
        read_regions(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["95,0,10,10", "-1,0,10,10", "200,200,10,10"])
def test_rectangle_outside(text: str) -> None:
    with pytest.raises(ValueError, match=f"--roi {text}: reaches from .*, but the slide has 100 x 50 pixels"):
        read_regions(text).check(50, 100)
