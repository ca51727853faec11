# SPDX-License-Identifier: Apache-2.0
"""Prediction of one slide, from the file to the label map and the polygons."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from sa2_monai.bundle.slides.analysed import AnalysedImage
from sa2_monai.bundle.slides.blocks import Span, block_spans
from sa2_monai.bundle.slides.intensities import scaling_of
from sa2_monai.bundle.slides.labels import BlockLabels
from sa2_monai.bundle.slides.model import SlideModel
from sa2_monai.bundle.slides.options import SlideOptions
from sa2_monai.bundle.slides.overview import read_overview
from sa2_monai.bundle.slides.tissue import Tissue, find_tissue
from sa2_monai.io.slides.geojson import PolygonFile
from sa2_monai.io.slides.pyramid import write_label_pyramid
from sa2_monai.io.slides.regions import Regions, read_regions
from sa2_monai.io.slides.slide import open_slide

__all__ = ["predict_slide"]


def predict_slide(
    model: SlideModel,
    path: str | os.PathLike[str],
    options: SlideOptions,
    label_file: Path,
    polygon_file: Path,
) -> str:
    """Predict a slide block by block.

    Args:
        model: what predicts.
        path: the slide.
        options: see :class:`~sa2_monai.bundle.slides.options.SlideOptions`.
        label_file: pyramidal OME-TIFF that is written, ``.ome.tif``.
        polygon_file: GeoJSON file that is written.

    Returns:
        What was done, in lines that are indented: pixel sizes, tissue, intensities, polygons.

    Raises:
        FileNotFoundError: the slide or the file of regions is missing.
        ImportError: the format needs a package that is not installed.
        OSError: the results cannot be written.
        ValueError: a damaged slide, or regions that lie outside.
    """
    regions = None if options.roi is None else read_regions(options.roi)
    with ExitStack() as stack:
        slide = stack.enter_context(open_slide(path))
        first = slide.levels[0]
        if regions is not None:
            regions.check(first.height, first.width)
        image = AnalysedImage(
            slide, model.in_channels, model.channel_order, options.model_mpp or model.mpp, options.slide_mpp
        )
        tissue = None if options.tissue == "all" else find_tissue(read_overview(slide), options.tissue)
        wanted = _Wanted(image, tissue, regions)
        scale, measured = scaling_of(model.intensity, model.inferer.stretch, image, wanted.any)
        predict = BlockLabels(model, scale, options.tile_size)
        polygons = stack.enter_context(
            PolygonFile(model.class_names, image.width, image.downsample, options.simplify, options.max_polygons)
        )
        rows = block_spans(image.height, predict.window[0], predict.overlap)
        columns = block_spans(image.width, predict.window[1], predict.overlap)
        lines = [image.text, measured]
        if predict.whole:
            lines.append(f"view whole: tiles of {predict.window[1]} x {predict.window[0]} pixels are seen as images")
        if model.clean_up:
            lines.append(f"not applied to slides: {', '.join(model.clean_up)}")
        count = sum(wanted.any(*_inner_part(row, column)) for row in rows for column in columns)
        lines.append(f"{_tissue_text(tissue)}{count} of {len(rows) * len(columns)} blocks are predicted")
        bands = _bands(image, predict, wanted, rows, columns, Path(path).name)
        traced = _traced(bands, polygons) if options.polygons else bands
        write_label_pyramid(label_file, traced, (image.height, image.width), image.mpp)
        if options.polygons and polygons.save(polygon_file):
            lines.append(f"{polygons.count} polygon{'' if polygons.count == 1 else 's'} in {polygon_file.name}")
        else:
            polygon_file.unlink(missing_ok=True)  # those of an earlier prediction
            if options.polygons:
                lines.append(f"no polygons: more than {options.max_polygons} objects (--max-polygons), or 20000 holes")
    return "".join(f"\n  {line}" for line in lines if line)


@dataclass(frozen=True)
class _Wanted:
    """Which parts of the analysed image are predicted."""

    image: AnalysedImage
    tissue: Tissue | None
    regions: Regions | None

    def any(self, top: int, left: int, height: int, width: int) -> bool:
        """Whether something of a rectangle is predicted."""
        rows, columns = self.image.height, self.image.width
        sides = (top / rows, left / columns, (top + height) / rows, (left + width) / columns)
        if self.tissue is not None and not self.tissue.touches(*sides):
            return False
        return self.regions is None or bool(self.mask(top, left, height, width).any())

    def mask(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """Bool (height, width): what lies in the regions."""
        if self.regions is None:
            return np.ones((height, width), dtype=bool)
        return self.regions.mask(top, left, height, width, self.image.downsample)


def _bands(
    image: AnalysedImage, predict: BlockLabels, wanted: _Wanted, rows: list[Span], columns: list[Span], name: str
) -> Iterator[np.ndarray]:
    """Class numbers (rows, width) from top to bottom; background where nothing is predicted."""
    with tqdm(total=len(rows) * len(columns), desc=name, unit="block", disable=None, leave=False) as progress:
        for row in rows:
            band = np.zeros((row.last - row.first, image.width), dtype=np.uint8)
            for column in columns:
                part = _inner_part(row, column)
                if wanted.any(*part):
                    block = image.read(row.start, column.start, row.stop - row.start, column.stop - column.start)
                    labels = predict(block)[
                        row.first - row.start : row.last - row.start,
                        column.first - column.start : column.last - column.start,
                    ]
                    band[:, column.first : column.last] = labels * wanted.mask(*part)
                progress.update()
            yield band


def _inner_part(row: Span, column: Span) -> tuple[int, int, int, int]:
    """Top, left, height and width of what a block gives to the result."""
    return row.first, column.first, row.last - row.first, column.last - column.first


def _traced(bands: Iterator[np.ndarray], polygons: PolygonFile) -> Iterator[np.ndarray]:
    for band in bands:
        polygons.add(band)
        yield band


def _tissue_text(tissue: Tissue | None) -> str:
    if tissue is None:
        return ""
    if not tissue.mask.any():
        return f"no tissue was found ({tissue.kind}; --tissue all predicts everything): "
    return f"tissue ({tissue.kind}) is {100 * tissue.share:.0f} % of the slide: "
