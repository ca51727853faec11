# SPDX-License-Identifier: Apache-2.0
"""The options of ``sa2-monai evaluate``, as they are typed and as :func:`sa2_monai.evaluation.evaluate` takes them."""

from __future__ import annotations

import argparse
from typing import Any

from sa2_monai.cli.machine_options.precision import add_precision
from sa2_monai.cli.machine_options.runtime import add_runtime
from sa2_monai.cli.machine_options.threads import add_threads

__all__ = ["FAMILIES", "add_arguments", "evaluation_options"]

#: Those of the paper protocol; a copy, since a command imports no NumPy to print its help.
FAMILIES = ("image", "image_ensemble", "pooled", "cell", "volume", "image_2d", "size_range")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai evaluate``."""
    parser.add_argument(
        *("--predictions", "-p"),
        nargs="+",
        metavar="DIR",
        help="folder of predicted masks; several folders of probability maps for --family image_ensemble",
    )
    parser.add_argument("--references", "-r", metavar="DIR", help="folder of reference masks")
    parser.add_argument(
        "--bundle",
        nargs="+",
        metavar="RUN",
        help="instead of both: predict and score the test cases of a run with its weights; several, or a folder of "
        "'crossval': of their ensemble",
    )
    parser.add_argument("--data", metavar="DIR", help="with --bundle: the test cases of other data than the run's")
    parser.add_argument(
        "--tta",
        action="store_true",
        help="with --bundle: average over flips and quarter turns; results to RUN/eval-tta",
    )
    parser.add_argument("--device", metavar="NAME", help="with --bundle: cpu, cuda, cuda:1")
    add_precision(parser, "with --bundle: fp32, the reference; of others results come to RUN/eval-bf16")
    add_runtime(parser, "with --bundle: eager; of others results come to RUN/eval-openvino")
    add_threads(parser)
    parser.add_argument(
        "--classes",
        metavar="NAMES",
        help="names in the order of the values, background first, e.g. background,nucleus, or with them, as 1=nucleus "
        "(default: those of a dataset.json beside the predictions or references, else background,foreground)",
    )
    parser.add_argument("--output", "-o", metavar="DIR", help="folder for CSV, JSON, table and overlay images")
    parser.add_argument("--images", metavar="DIR", help="folder of the images, for the overlay images")
    parser.add_argument(
        "--compare", metavar="DIR", help="predictions of a second model: paired differences with interval and test"
    )
    parser.add_argument(
        "--groups", metavar="FILE", help="CSV table with the columns case and patient; patients are drawn as a whole"
    )
    parser.add_argument(
        "--fail-under",
        action="append",
        default=[],
        metavar="LIMIT",
        help="exit with 1 when a mean is smaller, e.g. dice=0.85 or dice:liver=0.9; may be repeated",
    )
    parser.add_argument(
        "--fail-over",
        action="append",
        default=[],
        metavar="LIMIT",
        help="exit with 1 when the mean of a distance is larger, e.g. hd95=10; missed structures have none, so combine "
        "it with a limit for dice, or with --empty worst and hd95_worst=10",
    )
    parser.add_argument(
        "--instances",
        choices=("auto", "numbers", "components"),
        nargs="?",
        const="auto",
        help="also detection F1, panoptic quality and AJI of single objects: files hold their 'numbers', or what is "
        "connected in them ('components'); 'auto' decides for every file; with --bundle: touching objects are divided",
    )
    parser.add_argument(
        "--measure",
        action="store_true",
        help="also measure both maps: areas, volumes, diameters, intensities (measurements.csv and .json)",
    )
    parser.add_argument(
        "--extra-metrics",
        type=_names,
        metavar="NAMES",
        help="further columns, with commas: f2, mean_absolute_error, e_measure, s_measure, thresholded_jaccard (ISIC "
        "2018), cldice (vessels; needs scikit-image)",
    )
    parser.add_argument(
        "--size-strata",
        nargs="*",
        type=float,
        metavar="PERCENT",
        help="images: also the means of those whose largest object is below 0.5, 1, 2, 3, 5, 10, 100 %% of the "
        "image, or below given percents",
    )
    parser.add_argument(
        "--strata",
        type=_names,
        metavar="NAMES",
        help="also the means of the thirds of the cases by size, size_spread, crowding (of their objects) or quality "
        "(blur, contrast, noise of their images); several with commas; with --bundle, too",
    )
    parser.add_argument(
        "--ignore-value", type=int, metavar="N", help="value in the references whose pixels count nowhere, e.g. 255"
    )
    parser.add_argument("--protocol", choices=("clinical", "paper"), default="clinical", help="(default: clinical)")
    parser.add_argument("--family", choices=FAMILIES, help="family of the paper protocol")
    parser.add_argument("--grid", type=int, nargs="+", metavar="N", help="grid of the paper protocol, rows and columns")
    parser.add_argument(
        "--resize-predictions",
        action="store_true",
        help="predictions have the size of the reference, not that of the grid (pooled, cell, image_2d, size_range)",
    )
    parser.add_argument(
        "--with-background", action="store_true", help="the background is a class too (volume; as HSA-UNet averages)"
    )
    parser.add_argument(
        "--nuclei", metavar="DIR", help="masks of the nuclei, or 'image': last channel of --images (cell)"
    )
    parser.add_argument("--contour-size", action="store_true", help="size of objects as published (size_range)")
    parser.add_argument("--plus-one", action="store_true", help="Dice of the MoNuSeg ensemble (image_ensemble)")
    parser.add_argument(
        "--divisor",
        type=int,
        metavar="N",
        help="number of test images that sums are divided by; published: GlaS 80, MoNuSeg 14 (image, image_ensemble)",
    )
    parser.add_argument(
        "--reference-foreground",
        type=int,
        metavar="VALUE",
        help="value of the foreground before references are resized: 255 for files of 0/255 that hold 0/1 now (image, "
        "image_ensemble)",
    )
    parser.add_argument(
        "--label-values",
        type=_label_values,
        metavar="TABLE",
        help="values in the references: 'nonzero' (instance numbers), 'threshold' (above 127 is foreground, in the "
        "predictions, too: masks in JPEG files) or a table such as 0:0,255:1",
    )
    parser.add_argument("--unit", choices=("mm", "px"), help="unit that the references are expected to have")
    parser.add_argument(
        "--spacing", type=_numbers, metavar="MM", help="millimetres per pixel of images: rows,columns or one number"
    )
    parser.add_argument(
        "--tolerance", type=_tolerance, default=2.0, metavar="T", help="of the NSD: 2 or nucleus=2,gland=3 (default: 2)"
    )
    parser.add_argument("--empty", choices=("worst",), help="also average with the worst value for missing structures")
    parser.add_argument(
        "--bootstrap", type=int, default=2000, metavar="N", help="draws of the interval (default: 2000)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the draws (default: 0)")
    parser.add_argument("--prediction-suffix", default="", metavar="TEXT", help="ending of prediction names, e.g. _seg")
    parser.add_argument("--reference-suffix", default="", metavar="TEXT", help="ending of reference names, e.g. _anno")
    parser.add_argument(
        "--resample",
        "--allow-resample",
        dest="allow_resample",
        action="store_true",
        help="bring predictions of another grid onto that of the reference (nearest neighbour)",
    )
    parser.add_argument("--strict", action="store_true", help="fail when a case has no prediction")
    parser.add_argument("--overlays", type=int, default=3, metavar="N", help="images of each kind (default: 3)")


def evaluation_options(args: argparse.Namespace) -> dict[str, Any]:
    """The attributes of :class:`sa2_monai.evaluation.EvaluationOptions`, but for the classes.

    Args:
        args: the parsed arguments of :func:`add_arguments`.
    """
    return {
        "protocol": args.protocol,
        "label_values": args.label_values,
        "ignore_value": args.ignore_value,
        "prediction_suffix": args.prediction_suffix,
        "reference_suffix": args.reference_suffix,
        "allow_missing": not args.strict,
        "on_error": "continue",
        "bootstrap_samples": args.bootstrap,
        "seed": args.seed,
        "unit": args.unit,
        "spacing": args.spacing[0] if args.spacing and len(args.spacing) == 1 else args.spacing,
        "allow_resample": args.allow_resample,
        "tolerance": args.tolerance,
        "empty": args.empty,
        "instances": args.instances,
        "extra_metrics": args.extra_metrics,
        # the option without a number is an empty list: the published limits
        "size_strata": True if args.size_strata == [] else args.size_strata,
        "strata": args.strata,
        "family": args.family,
        "paper": _paper_options(args) or None,
    }


def _paper_options(args: argparse.Namespace) -> dict[str, Any]:
    """Those of the family that were typed; the others keep their published values."""
    typed = {
        "grid": args.grid[0] if args.grid and len(args.grid) == 1 else args.grid,
        "nuclei": args.nuclei or None,
        "size": "contour" if args.contour_size else None,
        "divisor": args.divisor,
        "reference_foreground": args.reference_foreground,
        "plus_one": args.plus_one or None,
        "resize_predictions": args.resize_predictions or None,
        "background": args.with_background or None,
    }
    return {name: value for name, value in typed.items() if value is not None}


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected numbers with commas between them, got {text!r}") from error


def _tolerance(text: str) -> float | dict[str, float]:
    try:
        if "=" not in text:
            return float(text)
        return {name.strip(): float(value) for name, value in (part.split("=") for part in text.split(","))}
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a number or class=number pairs, got {text!r}") from error


def _label_values(text: str) -> str | dict[int, int]:
    if text in ("nonzero", "threshold"):
        return text
    from sa2_monai.io.label_colours import label_key

    try:
        return {label_key(value): int(target) for value, target in (part.split(":") for part in text.split(","))}
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"expected 'nonzero', 'threshold' or pairs such as 0:0,255:1, got {text!r}"
        ) from error
