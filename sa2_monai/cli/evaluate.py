# SPDX-License-Identifier: Apache-2.0
"""Compare predictions with reference masks and print the table; or predict and score the test cases of a run.

With --bundle RUN everything is known: the weights, the data, the classes; files come to RUN/eval by default.
Cases are paired by file name without extension; a folder of nnU-Net works as it is. With --output the table per case
(CSV), the summary (JSON), a report to look at (HTML), the printed table, overlay images of the worst, median and best
cases and a record of the run are written. The exit code is 1 when a case failed or a limit (--fail-under, --fail-over)
was not kept; the files are written all the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sa2_monai.cli.common import read_class_names, wrong_use
from sa2_monai.cli.evaluate_options import add_arguments, evaluation_options
from sa2_monai.cli.main import UsageError

if TYPE_CHECKING:
    from sa2_monai.evaluation import EvaluationResult

__all__ = ["add_arguments", "run"]

#: Options for masks in folders; those of a run are in its configuration.
_OF_FILES = (
    *("classes", "images", "compare", "groups", "label_values", "ignore_value", "family", "unit", "spacing", "empty"),
    *("extra_metrics", "size_strata", "allow_resample", "strict"),
)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, and write the report when a folder is given.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0 when all is well; 1 when a case failed or a limit was not kept.

    Raises:
        OSError: a folder or file is missing, or the output folder cannot be written.
        UsageError: limits that are none, or a comparison that cannot be.
        ValueError: masks or options that do not fit; the message names the file and the fix.
    """
    if args.bundle is not None:
        return _evaluate_bundle(args)
    if args.predictions is None or args.references is None or args.data is not None:
        raise UsageError("give --predictions and --references, or --bundle RUN (with --data, if other data are meant)")
    for option in ("tta", "precision", "runtime"):
        if getattr(args, option):
            raise UsageError(f"--{option}: only with --bundle, which predicts; 'sa2-monai predict' has it, too")

    from sa2_monai.evaluation.scores.limits import check_classes, check_limits, parse_limits

    with wrong_use(ValueError):
        limits = [*parse_limits(args.fail_under, lowest=True), *parse_limits(args.fail_over, lowest=False)]
    if args.measure and (args.output is None or args.protocol != "clinical"):
        raise UsageError("--measure writes tables of the clinical protocol: give --output, and no --protocol paper")
    if args.compare and len(args.predictions) > 1:
        raise UsageError("--compare takes one folder of predictions on either side")

    from sa2_monai.evaluation import EvaluationOptions, compare, evaluate
    from sa2_monai.evaluation.cases.class_names import DEFAULT_CLASSES, find_classes
    from sa2_monai.evaluation.cases.groups import read_groups
    from sa2_monai.evaluation.comparison import comparable_metrics
    from sa2_monai.evaluation.report.files import save_report
    from sa2_monai.evaluation.report.manifest import RunClock, write_manifest
    from sa2_monai.evaluation.scores.table import format_comparison

    clock = RunClock()
    predictions = args.predictions[0] if len(args.predictions) == 1 else args.predictions
    if args.classes is None:
        found = find_classes(predictions, args.references)
        args.classes = list(DEFAULT_CLASSES) if found is None else found
    else:
        args.classes = read_class_names(args.classes)
    options = EvaluationOptions(args.classes, **evaluation_options(args))
    with wrong_use(ValueError):
        check_classes(limits, list(options.table.values()))
    files = {"images": args.images, "groups": read_groups(args.groups) if args.groups else None}

    result = evaluate(predictions, args.references, options=options, **files)
    clock.lap("evaluate")
    result.summary["limits"] = check_limits(result.summary, limits)
    print(result.table())
    comparison = second = None
    if args.compare:
        second = evaluate(args.compare, args.references, options=options, **files)
        metrics = comparable_metrics(result, args.extra_metrics or ())
        comparison = compare(result, second, metrics, bootstrap_samples=args.bootstrap, seed=args.seed)
        clock.lap("compare")
        print(f"\n{format_comparison(comparison)}")
    if args.output:
        settings = {key: value for key, value in vars(args).items() if key not in ("command", "debug", "max_voxels")}
        paths = save_report(
            result, args.output, overlays=args.overlays, comparison=comparison, settings=settings, second=second
        )
        if args.measure:
            _measure(result, Path(args.output), options.table)
        clock.lap("report")
        paths["manifest"] = write_manifest(args.output, result, settings, clock, second)
        print(f"\nPer case:  {paths['csv']}\nSummary:   {paths['json']}\nTable:     {paths['table']}")
        print(f"Report:    {paths['html']}\nRecord:    {paths['manifest']}")
        if paths["overlays"]:
            print(f"Images:  {len(paths['overlays'])} in {paths['overlays'][0].parent}")
    return 0 if result.passed and (second is None or second.passed) else 1


def _evaluate_bundle(args: argparse.Namespace) -> int:
    """The test cases of a run."""
    if args.predictions is not None or args.references is not None:
        raise UsageError("--bundle predicts by itself: leave out --predictions and --references")
    if said := [name for name in _OF_FILES if getattr(args, name) not in (None, False)]:
        option = f"--{said[0].replace('_', '-')}"
        raise UsageError(f"{option} does not go together with --bundle, whose configs/evaluate.json says it")

    from sa2_monai.bundle.run.evaluate import evaluate_run
    from sa2_monai.evaluation.scores.limits import check_classes, check_limits, parse_limits

    with wrong_use(ValueError):
        limits = [*parse_limits(args.fail_under, lowest=True), *parse_limits(args.fail_over, lowest=False)]
    if args.instances not in (None, "auto"):
        raise UsageError(f"--instances {args.instances} does not go together with --bundle: its data say what is known")
    more: dict[str, Any] = {"instances": True} if args.instances else {}
    more |= {"strata": list(args.strata)} if args.strata else {}
    more |= {"precision": args.precision, "runtime": args.runtime}
    result, folder = evaluate_run(args.bundle, args.data, args.output, args.device, args.tta, **more)
    with wrong_use(ValueError):
        check_classes(limits, list(result.summary["per_class"]))
    result.summary["limits"] = check_limits(result.summary, limits)
    print(f"{result.table()}\n\nReport:    {folder / 'report.html'}\nPer case:  {folder / 'metrics_per_case.csv'}")
    if args.measure:
        classes = {int(value): name for value, name in result.summary["classes"].items()}
        _measure(result, folder, {0: "background", **classes})
    return 0 if result.passed else 1


def _measure(result: EvaluationResult, folder: Path, classes: Mapping[int, str]) -> None:
    from sa2_monai.evaluation.measurements import measure_result, write_measurements

    paths = write_measurements(folder, measure_result(result, classes))
    print(f"Measured:  {paths['csv']}")
