# SPDX-License-Identifier: Apache-2.0
"""Compare predictions with reference masks and print the table.

Cases are paired by file name without extension. With --output the table per case (CSV), the summary (JSON), the printed
table and overlay pictures of the worst, median and best cases are written.
"""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_arguments", "run"]

FAMILIES = ("image", "image_ensemble", "pooled", "cell", "volume", "image_2d", "size_range")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai evaluate``."""
    parser.add_argument(
        *("--predictions", "-p"),
        nargs="+",
        required=True,
        metavar="DIR",
        help="folder of predicted masks; several folders of probability maps for --family image_ensemble",
    )
    parser.add_argument("--references", "-r", required=True, metavar="DIR", help="folder of reference masks")
    parser.add_argument(
        "--classes",
        type=_names,
        default=["background", "foreground"],
        metavar="NAMES",
        help="names in the order of the values, background first, e.g. background,nucleus",
    )
    parser.add_argument("--output", "-o", metavar="DIR", help="folder for CSV, JSON, table and overlay pictures")
    parser.add_argument("--images", metavar="DIR", help="folder of the images, for the overlay pictures")
    parser.add_argument("--protocol", choices=("clinical", "paper"), default="clinical", help="(default: clinical)")
    parser.add_argument("--family", choices=FAMILIES, help="family of the paper protocol")
    parser.add_argument("--grid", type=int, nargs="+", metavar="N", help="grid of the paper protocol, rows and columns")
    parser.add_argument("--plus-one", action="store_true", help="Dice of the MoNuSeg ensemble (image_ensemble)")
    parser.add_argument(
        "--label-values",
        type=_label_values,
        metavar="TABLE",
        help="values in the references: 'nonzero' (0/255, instance numbers) or a table such as 0:0,255:1",
    )
    parser.add_argument("--unit", choices=("mm", "px"), help="unit that the references are expected to have")
    parser.add_argument(
        "--spacing", type=_numbers, metavar="MM", help="millimetres per pixel of pictures: rows,columns or one number"
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
    parser.add_argument("--allow-resample", action="store_true", help="resample predictions onto the reference grid")
    parser.add_argument("--strict", action="store_true", help="fail when a case has no prediction")
    parser.add_argument("--overlays", type=int, default=3, metavar="N", help="pictures of each kind (default: 3)")


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, and write the report when a folder is given.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0. Failures are raised.

    Raises:
        OSError: a folder or file is missing, or the output folder cannot be written.
        ValueError: masks or options that do not fit; the message names the file and the cure.
    """
    from sa2_monai.evaluation import evaluate
    from sa2_monai.evaluation.report import save_report

    paper: dict[str, Any] = {}
    if args.grid:
        paper["grid"] = args.grid[0] if len(args.grid) == 1 else args.grid
    if args.plus_one:
        paper["plus_one"] = True
    spacing = args.spacing
    if spacing is not None and len(spacing) == 1:
        spacing = spacing[0]
    result = evaluate(
        args.predictions[0] if len(args.predictions) == 1 else args.predictions,
        args.references,
        args.classes,
        args.protocol,
        family=args.family,
        unit=args.unit,
        tolerance=args.tolerance,
        empty=args.empty,
        bootstrap_samples=args.bootstrap,
        seed=args.seed,
        label_values=args.label_values,
        spacing=spacing,
        allow_missing=not args.strict,
        allow_resample=args.allow_resample,
        prediction_suffix=args.prediction_suffix,
        reference_suffix=args.reference_suffix,
        images=args.images,
        paper=paper or None,
    )
    print(result.table())
    if args.output:
        paths = save_report(result, args.output, overlays=args.overlays)
        print(f"\nPer case:  {paths['csv']}\nSummary:   {paths['json']}\nTable:     {paths['table']}")
        if paths["overlays"]:
            print(f"Pictures:  {len(paths['overlays'])} in {paths['overlays'][0].parent}")
    return 0


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
    if text == "nonzero":
        return text
    try:
        return {int(value): int(target) for value, target in (part.split(":") for part in text.split(","))}
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected 'nonzero' or pairs such as 0:0,255:1, got {text!r}") from error
