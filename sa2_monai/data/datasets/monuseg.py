# SPDX-License-Identifier: Apache-2.0
"""MoNuSeg 2018: nuclei in H&E tissue of several organs, as downloaded or in the prepared layout of the published code.

Homepage: https://monuseg.grand-challenge.org

Licence: CC BY-NC-SA 4.0; not redistributed here.

Citation: Kumar, Verma, Anand et al., "A multi-organ nucleus segmentation challenge", IEEE Transactions on Medical
Imaging 39 (2020) 1380-1391; Kumar, Verma, Sharma et al., "A dataset and a technique for generalized nuclear
segmentation for computational pathology", IEEE Transactions on Medical Imaging 36 (2017) 1550-1560.

As downloaded: ``Tissue Images/*.tif`` and ``Annotations/*.xml`` (Aperio ImageScope polygons), the test part with both
side by side. Tiles are 1000 x 1000, 40x, about 0.25 micrometres per pixel; 30 training tiles in the papers, 37 in the
current download, 14 test tiles.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from sa2_monai.data.dataset import DataSet, report_counts
from sa2_monai.data.layouts.cases import Case, Parts
from sa2_monai.data.layouts.uctransnet import is_prepared, prepared_parts
from sa2_monai.data.preparation.cache import cache_folder, write_png
from sa2_monai.io.images.read import image_size
from sa2_monai.io.problems import Problems

__all__ = ["CITATION", "DATASETS", "EXPECTED", "HOMEPAGE", "LICENCE", "monuseg_parts", "rasterise", "read_polygons"]

logger = logging.getLogger(__name__)

HOMEPAGE = "https://monuseg.grand-challenge.org"
LICENCE = "CC BY-NC-SA 4.0"
CITATION = "Kumar et al., IEEE Transactions on Medical Imaging 39 (2020) 1380-1391"
#: Number of tiles by part that are in order.
EXPECTED: dict[str, tuple[int, ...]] = {"training": (30, 37), "test": (14,)}

_RULE = "even-odd-1"  # changes whenever rasterise() gives other pixels, so that cached masks are made anew


def monuseg_parts(directory: Path, cache_dir: Path | None = None) -> Parts:
    """Data lists of MoNuSeg; polygons are rasterised once into a cache folder.

    Tiles whose folder has "test" in its name are the test part, as in the two archives.

    Args:
        directory: folder that holds the unpacked archives, or ``Train_Folder`` and others.
        cache_dir: folder for the masks. ``None``: ``<directory>/.sa2_monai``, or the user's cache folder where that
            cannot be written.

    Returns:
        Cases by part; as downloaded with ``instances`` (uint16 PNG) beside ``label`` (0 and 255).

    Raises:
        ValueError: no tiles, a tile without annotation or the reverse, or damaged XML.
        ImportError: scikit-image is missing (extra ``microscopy``).
        OSError: no cache folder can be written.
    """
    if is_prepared(directory):
        parts = prepared_parts(directory)
        report_counts(directory, parts, EXPECTED)
        return parts
    problems = Problems(str(directory))
    tiles = _by_stem(directory, (".tif", ".tiff"), problems)
    annotations = _by_stem(directory, (".xml",), problems)
    if not tiles and not annotations:
        raise ValueError(
            f"{directory}: no .tif and .xml files, expected 'Tissue Images' and 'Annotations' as downloaded from "
            f"{HOMEPAGE}, or Train_Folder/{{img,labelcol}} and Test_Folder"
        )
    for stem in sorted(tiles.keys() ^ annotations.keys()):
        kind, file = (
            ("tiles without annotation", tiles[stem])
            if stem in tiles
            else ("annotations without tile", annotations[stem])
        )
        problems.add(kind, str(file), "unpack the archive again, or move the file away")
    problems.raise_if_any()
    cache = cache_folder(directory, cache_dir, "monuseg")
    parts = {}
    for stem in sorted(tiles):
        inside = tiles[stem].relative_to(directory).parent
        part = "test" if any("test" in name.lower() for name in inside.parts) else "training"
        parts.setdefault(part, []).append(_case(tiles[stem], annotations[stem], cache))
    report_counts(directory, parts, EXPECTED)
    return parts


def read_polygons(path: Path) -> list[np.ndarray]:
    """Polygons of an ImageScope annotation.

    Args:
        path: XML file with ``Annotations/Annotation/Regions/Region/Vertices/Vertex``, attributes ``X`` (column) and
            ``Y`` (row) in pixels from the top left.

    Returns:
        One array (N, 2) of (row, column) per region, in the order of the file, also for N < 3.

    Raises:
        ValueError: not such a file.
    """
    try:
        root = ElementTree.parse(path).getroot()
        polygons = [
            np.array(
                [(float(v.attrib["Y"]), float(v.attrib["X"])) for v in region.iter("Vertex")], dtype=np.float64
            ).reshape(-1, 2)
            for region in root.iter("Region")
        ]
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path}: is not a readable ImageScope annotation ({error}); unpack the archive again"
        ) from error
    if root.tag != "Annotations" or not all(np.isfinite(polygon).all() for polygon in polygons):
        raise ValueError(f"{path}: is not an ImageScope annotation (root {root.tag!r}); unpack the archive again")
    return polygons


def rasterise(polygons: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Fill polygons into an instance map.

    Even-odd rule with pixel centres at integer coordinates; parts outside the image are cut, regions of fewer than
    three vertices are skipped, pixels of earlier regions are not overwritten.

    Args:
        polygons: arrays (N, 2) of (row, column).
        shape: (H, W) in pixels.

    Returns:
        uint16 array (H, W): 0 background, k the k-th region of the list.

    Raises:
        ValueError: more regions than 16 bits can number.
        ImportError: scikit-image is missing (extra ``microscopy``).
    """
    polygon_fill = _polygon_fill()
    if len(polygons) > np.iinfo(np.uint16).max:
        raise ValueError(f"{len(polygons)} regions in one tile, expected at most {np.iinfo(np.uint16).max}")
    instances = np.zeros(shape, dtype=np.uint16)
    for number, polygon in enumerate(polygons, start=1):
        if len(polygon) < 3:
            continue
        rows, columns = polygon_fill(polygon[:, 0], polygon[:, 1], shape)
        free = instances[rows, columns] == 0
        instances[rows[free], columns[free]] = number
    return instances


def _polygon_fill():  # type: ignore[no-untyped-def]
    """``skimage.draw.polygon``, imported late: only the downloaded form of MoNuSeg needs it."""
    from monai.utils import optional_import

    polygon, available = optional_import("skimage.draw", name="polygon")
    if not available:
        raise ImportError("MoNuSeg's polygons need scikit-image; install it with: pip install 'sa2_monai[microscopy]'")
    return polygon


def _case(tile: Path, annotation: Path, cache: Path) -> Case:
    height, width = image_size(tile)
    key = hashlib.sha256(f"{_RULE} {height} {width}\n".encode() + annotation.read_bytes()).hexdigest()[:12]
    # The name follows the content of the annotation: a changed file is never taken for the cached one.
    label, instances = (cache / kind / f"{tile.stem}-{key}.png" for kind in ("labels", "instances"))
    if not (label.is_file() and instances.is_file()):
        array = rasterise(read_polygons(annotation), (height, width))
        if not array.any():
            logger.warning("%s: no region with three vertices inside the tile", annotation)
        write_png(instances, array)
        write_png(label, np.where(array > 0, 255, 0).astype(np.uint8))
    return {"image": str(tile), "label": str(label), "instances": str(instances), "case": tile.stem}


def _by_stem(directory: Path, suffixes: tuple[str, ...], problems: Problems) -> dict[str, Path]:
    table: dict[str, Path] = {}
    for path in sorted(directory.rglob("*")):
        hidden = any(part.startswith((".", "__MACOSX")) for part in path.relative_to(directory).parts)
        if path.suffix.lower() in suffixes and path.is_file() and not hidden:
            other = table.setdefault(path.stem, path)
            if other != path:
                problems.add("two files of one name", f"{other} and {path}", "keep one of them")
    return table


#: Instance numbers: every value but 0 is foreground.
DATASETS = {
    "monuseg": DataSet(
        lambda directory, options: monuseg_parts(directory, options.cache_dir),
        title="MoNuSeg 2018: nuclei of several organs, H&E",
        homepage=HOMEPAGE,
        licence=LICENCE,
        citation=CITATION,
        label_values="nonzero",
        expected=EXPECTED,
    )
}
