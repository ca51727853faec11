# SPDX-License-Identifier: Apache-2.0
"""Options of ``sa2-monai predict`` for whole slides and very large images."""

from __future__ import annotations

import argparse
import math
from typing import Any

from sa2_monai.bundle.prediction.batch import Batch
from sa2_monai.bundle.prediction.run import TrainedModel
from sa2_monai.bundle.slides.batch import SlideBatch
from sa2_monai.bundle.slides.options import TISSUES, SlideOptions
from sa2_monai.cli.common import positive
from sa2_monai.cli.main import UsageError

__all__ = ["add_arguments", "check_objects", "slide_options"]

_DEFAULTS = SlideOptions()
# Options by the names of SlideOptions.
_NAMES = {
    "stream": "--stream",
    "roi": "--roi",
    "tissue": "--tissue",
    "tile_size": "--tile-size",
    "model_mpp": "--model-mpp",
    "slide_mpp": "--slide-mpp",
    "polygons": "--polygons",
    "simplify": "--simplify",
    "max_polygons": "--max-polygons",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the group of options."""
    group = parser.add_argument_group(
        "whole slides (SVS and other scanner files, TIFF with pyramid levels or more than 178 956 970 pixels)"
    )
    group.add_argument(
        "--roi", metavar="X,Y,W,H|FILE", help="rectangle in pixels of level 0, or GeoJSON file of regions"
    )
    group.add_argument("--tissue", choices=TISSUES, help="what is predicted: tissue (default: auto), or all")
    group.add_argument(
        "--tile-size",
        type=positive,
        metavar="N",
        help="models with view whole: side in pixels of what they see as an image (default: roi_size)",
    )
    group.add_argument("--model-mpp", type=_length, metavar="UM", help="micrometres per pixel of the training images")
    group.add_argument("--slide-mpp", type=_length, metavar="UM", help="those of the slide, where the file is wrong")
    group.add_argument(
        "--polygons", action=argparse.BooleanOptionalAction, help="write polygons (GeoJSON), the default"
    )
    group.add_argument(
        "--simplify", type=_distance, metavar="PX", help=f"tolerance of polygons (default: {_DEFAULTS.simplify})"
    )
    group.add_argument(
        "--max-polygons", type=positive, metavar="N", help=f"more objects: no file (default: {_DEFAULTS.max_polygons})"
    )
    group.add_argument(
        "--stream", action=argparse.BooleanOptionalAction, help="read all TIFF files tile by tile, or none of them"
    )


def slide_options(args: argparse.Namespace, model: TrainedModel) -> SlideOptions:
    """What was asked for.

    Args:
        args: parsed arguments of :func:`add_arguments`.
        model: what predicts.

    Raises:
        UsageError: such options with a model of volumes, or a tile size with one that sees no tiles as images.
    """
    given: dict[str, Any] = {name: getattr(args, name) for name in _NAMES if getattr(args, name) is not None}
    if given and model.volumes:
        words = ", ".join(_NAMES[name] for name in given)
        raise UsageError(f"{words}: for whole slides only, and this model was trained on volumes")
    view = model.setting("view")
    if "tile_size" in given and view == "windows":
        raise UsageError(
            "--tile-size: for models with the view whole; this one looks through windows of its own size "
            f"({model.setting('roi_size')})"
        )
    return SlideOptions(**given)


def check_objects(args: argparse.Namespace, batch: Batch) -> None:
    """Refuse to number or measure the objects of slides: they cross blocks.

    Args:
        args: parsed arguments of the command.
        batch: the cases.

    Raises:
        ValueError: naming a slide, and where its objects are.
    """
    if not isinstance(batch, SlideBatch):
        return
    for option, asked, what in (("--instances", args.instances, "numbered"), ("--measure", args.measure, "measured")):
        if asked:
            batch.refuse(option, f"whose objects are not {what} but written as polygons (predictions/*.geojson)")


def _length(text: str) -> float:
    number = float(text)
    if not (0 < number < 1000):
        raise argparse.ArgumentTypeError(f"expected micrometres per pixel, above 0 and below 1000, got {text}")
    return number


def _distance(text: str) -> float:
    number = float(text)
    if not (math.isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"expected pixels, 0 or more, got {text}")
    return number
