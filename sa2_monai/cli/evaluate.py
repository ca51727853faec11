# SPDX-License-Identifier: Apache-2.0
"""Compare predictions with reference masks and print the table.

Cases are paired by file name without extension; a folder of nnU-Net works as it is. With --output the table per case
(CSV), the summary (JSON), a report to look at (HTML), the printed table, overlay pictures of the worst, median and best
cases and a record of the run are written. The exit code is 1 when a case failed or a limit (--fail-under, --fail-over)
was not kept; the files are written all the same.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sa2_monai.cli.common import read_class_names
from sa2_monai.cli.main import UsageError

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
        metavar="NAMES",
        help="names in the order of the values, background first, e.g. background,nucleus, or with them, as 1=nucleus "
        "(default: those of a dataset.json beside the predictions or references, else background,foreground)",
    )
    parser.add_argument("--output", "-o", metavar="DIR", help="folder for CSV, JSON, table and overlay pictures")
    parser.add_argument("--images", metavar="DIR", help="folder of the images, for the overlay pictures")
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
        help="also detection F1 and panoptic quality of single objects: files hold their 'numbers', or what is "
        "connected in them ('components'); 'auto' decides for every file",
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
        help="pictures: also the means of those whose largest object is below 0.5, 1, 2, 3, 5, 10, 100 %% of the "
        "image, or below given percents",
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
    parser.add_argument(
        "--resample",
        "--allow-resample",
        dest="allow_resample",
        action="store_true",
        help="bring predictions of another grid onto that of the reference (nearest neighbour)",
    )
    parser.add_argument("--strict", action="store_true", help="fail when a case has no prediction")
    parser.add_argument("--overlays", type=int, default=3, metavar="N", help="pictures of each kind (default: 3)")


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, and write the report when a folder is given.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0 when all is well; 1 when a case failed or a limit was not kept.

    Raises:
        OSError: a folder or file is missing, or the output folder cannot be written.
        UsageError: limits that are none, or a comparison that cannot be.
        ValueError: masks or options that do not fit; the message names the file and the cure.
    """
    from sa2_monai.evaluation.scores.limits import check_limits, parse_limits

    try:
        limits = [*parse_limits(args.fail_under, lowest=True), *parse_limits(args.fail_over, lowest=False)]
    except ValueError as error:
        raise UsageError(str(error)) from error
    if args.compare and len(args.predictions) > 1:
        raise UsageError("--compare takes one folder of predictions on either side")

    from sa2_monai.evaluation import compare, evaluate
    from sa2_monai.evaluation.cases.class_names import find_classes
    from sa2_monai.evaluation.cases.groups import read_groups
    from sa2_monai.evaluation.report.files import save_report
    from sa2_monai.evaluation.scores.table import format_comparison

    started, clock = _now(), _Clock()
    predictions = args.predictions[0] if len(args.predictions) == 1 else args.predictions
    if isinstance(args.classes, str):
        args.classes = read_class_names(args.classes)
    if args.classes is None:
        found = find_classes(predictions, args.references)
        args.classes = found if found is not None else ["background", "foreground"]
    names = list(args.classes.values()) if isinstance(args.classes, dict) else args.classes
    for limit in limits:
        if limit.name is not None and limit.name not in names:
            raise UsageError(f"limit {limit}: there is no class {limit.name!r}, expected one of {', '.join(names)}")
    options = _options(args)
    if args.groups:
        options["groups"] = read_groups(args.groups)
    result = evaluate(predictions, args.references, args.classes, args.protocol, **options)
    clock.lap("evaluate")
    result.summary["limits"] = check_limits(result.summary, limits)
    failed = bool(result.failed)
    print(result.table())
    comparison = second = None
    if args.compare:
        second = evaluate(args.compare, args.references, args.classes, args.protocol, **options)
        comparison = compare(result, second, **_comparable(result, args))
        failed = failed or bool(second.failed)
        clock.lap("compare")
        print(f"\n{format_comparison(comparison)}")
    if args.output:
        settings = {key: value for key, value in vars(args).items() if key not in ("command", "debug")}
        paths = save_report(result, args.output, overlays=args.overlays, comparison=comparison, settings=settings)
        clock.lap("report")
        paths["manifest"] = _write_manifest(args.output, (result, second), settings, (started, _now()), clock)
        print(f"\nPer case:  {paths['csv']}\nSummary:   {paths['json']}\nTable:     {paths['table']}")
        print(f"Report:    {paths['html']}\nRecord:    {paths['manifest']}")
        if paths["overlays"]:
            print(f"Pictures:  {len(paths['overlays'])} in {paths['overlays'][0].parent}")
    kept = all(limit["passed"] for limit in result.summary["limits"])
    return 0 if kept and not failed else 1


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of :func:`sa2_monai.evaluation.evaluate` that both models of a comparison share."""
    paper: dict[str, Any] = {}
    if args.grid:
        paper["grid"] = args.grid[0] if len(args.grid) == 1 else args.grid
    if args.nuclei:
        paper["nuclei"] = args.nuclei
    if args.contour_size:
        paper["size"] = "contour"
    for option in ("divisor", "reference_foreground"):
        if getattr(args, option) is not None:
            paper[option] = getattr(args, option)
    for option, given in (
        ("plus_one", args.plus_one),
        ("resize_predictions", args.resize_predictions),
        ("background", args.with_background),
    ):
        if given:
            paper[option] = True
    spacing = args.spacing
    if spacing is not None and len(spacing) == 1:
        spacing = spacing[0]
    return {
        "family": args.family,
        "unit": args.unit,
        "tolerance": args.tolerance,
        "empty": args.empty,
        "bootstrap_samples": args.bootstrap,
        "seed": args.seed,
        "label_values": args.label_values,
        "spacing": spacing,
        "allow_missing": not args.strict,
        "allow_resample": args.allow_resample,
        "prediction_suffix": args.prediction_suffix,
        "reference_suffix": args.reference_suffix,
        "images": args.images,
        "paper": paper or None,
        "instances": args.instances,
        "extra_metrics": args.extra_metrics,
        # the option without a number is an empty list: the published limits
        "size_strata": True if args.size_strata == [] else args.size_strata,
        "ignore_value": args.ignore_value,
        "on_error": "continue",
    }


def _comparable(result: Any, args: argparse.Namespace) -> dict[str, Any]:
    """Arguments of the comparison: the metrics that the protocol has."""
    metrics = ("dice", "jaccard", "nsd", "hd95", *(args.extra_metrics or ()))
    return {
        "metrics": [metric for metric in metrics if metric in result.summary["overall"]],
        "bootstrap_samples": args.bootstrap,
        "seed": args.seed,
    }


class _Clock:
    """Seconds of the steps of a run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[step], self._last = now - self._last, now


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _write_manifest(
    folder: str, results: tuple[Any, Any], settings: dict[str, Any], times: tuple[str, str], clock: _Clock
) -> Path:
    from sa2_monai.evaluation.report.manifest import MANIFEST_NAME, evaluation_manifest
    from sa2_monai.io.atomic import write_atomically

    document = evaluation_manifest(results[0], settings, *times, clock.seconds, results[1])
    text = json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n"
    return write_atomically(Path(folder) / MANIFEST_NAME, text)


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
    try:
        return {int(value): int(target) for value, target in (part.split(":") for part in text.split(","))}
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"expected 'nonzero', 'threshold' or pairs such as 0:0,255:1, got {text!r}"
        ) from error
