# SPDX-License-Identifier: Apache-2.0
"""Train and evaluate the models of a K-fold cross-validation, and their ensemble.

The training cases are folded with a stated seed; those of your own data so that patients stay together and the folds
are alike. For each fold a model is trained and scored on the test cases, and predicts the cases that the fold has held
out: together that is every case once, by a model that has not seen it (OUTPUT/out_of_fold). Then the ensemble of all
models (average of their probabilities) is scored on the test cases. What is not given is planned once for all folds
(OUTPUT/plan.yaml); with an overlay that says the layout of the data, such as those of the public data sets, nothing is.
Each fold is a training as by 'sa2-monai train', whose command is printed: OUTPUT/fold0 is a bundle.

The same command again goes on after any interruption. Several of them, also on several machines that share OUTPUT,
divide the work.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sa2_monai.cli.common import (
    add_fold_options,
    add_training_options,
    read_overrides,
    stopped,
    training_options,
    wrong_use,
)
from sa2_monai.cli.machine_options.threads import add_threads
from sa2_monai.cli.main import UsageError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai crossval``."""
    parser.epilog = "example: sa2-monai crossval DATA --output OUT --network sa2net --config monuseg max_epochs=500"
    parser.add_argument("data", nargs="?", metavar="DATA", help="folder of your data, a dataset.json or a CSV of pairs")
    add_training_options(parser, "time of each fold; the plan fits into it")
    add_threads(parser)
    parser.add_argument("--output", "-o", required=True, metavar="DIR", help="folder for runs, scores and splits")
    add_fold_options(parser)
    parser.add_argument("--paper", action="store_true", help="the published protocol (paper.yaml, evaluate_paper.yaml)")
    parser.add_argument("--tta", action="store_true", help="evaluate with test-time augmentation, as tta=true")
    parser.add_argument("--resume", action="store_true", help="also go on with trainings that --time has stopped")
    side_by_side = parser.add_mutually_exclusive_group()
    side_by_side.add_argument("--devices", metavar="LIST", help="one fold at a time on each: cuda:0,cuda:1")
    side_by_side.add_argument("--jobs", type=int, metavar="N", help="N folds at a time on the CPU (default: 1)")
    parser.add_argument(
        "--tracking", choices=["mlflow"], help="runs of MLflow beside TensorBoard; tracking_uri=ADDRESS for a server"
    )
    # Of earlier versions.
    parser.add_argument("--dataset-dir", help=argparse.SUPPRESS)
    parser.add_argument("--bundle", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Run the cross-validation and print the table.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0; 130 after Ctrl-C, 143 after SIGTERM. Failures are raised.

    Raises:
        UsageError: unknown ids, values that are no choice, options that do not go together.
        OSError, ValueError, RuntimeError: as :func:`~sa2_monai.bundle.crossval.run.cross_validate`.
    """
    _take_old_options(args)
    if args.data is None:
        raise UsageError("give DATA, the folder of your images and masks")
    overrides = read_overrides(args.overrides, max_epochs=args.epochs, tta=args.tta or None, precision=args.precision)

    from sa2_monai.bundle.crossval.request import CrossvalRequest
    from sa2_monai.bundle.switches import SwitchError

    with wrong_use(ValueError):
        request = CrossvalRequest(
            data=args.data,
            output=args.output,
            overrides=overrides,
            folds=args.folds,
            seed=args.seed,
            paper=args.paper,
            tracking=args.tracking,
            devices=_devices(args),
            **training_options(args),
        )
    from sa2_monai.bundle.crossval.run import STATE, cross_validate
    from sa2_monai.bundle.crossval.scores import crossval_table
    from sa2_monai.bundle.crossval.setup import OUT_OF_FOLD
    from sa2_monai.evaluation.report.html import HTML_NAME

    try:
        with wrong_use(SwitchError):
            state = cross_validate(request, args.resume)
    except (KeyboardInterrupt, SystemExit) as stop:
        return stopped("crossval", stop)
    output = Path(args.output).absolute()
    print(f"\n{crossval_table(state)}\n\nScores:  {output / STATE}\nSplits:  {output / 'splits'}")
    print(f"Runs:    {output / 'fold0'} and so on, each a bundle\nReport:  {output / OUT_OF_FOLD / HTML_NAME}")
    return 0


def _devices(args: argparse.Namespace) -> list[str] | None:
    if args.jobs is None:
        return None if args.devices is None else [name for name in args.devices.split(",") if name]
    if args.jobs < 1:
        raise UsageError(f"--jobs is {args.jobs}, expected at least 1")
    return ["cpu"] * args.jobs


def _take_old_options(args: argparse.Namespace) -> None:
    """Options of earlier versions by their present names, with a note."""
    for old, new, said in (("dataset_dir", "data", "DATA"), ("bundle", "network", "--network NAME")):
        value = getattr(args, old)
        if value is None:
            continue
        option = f"--{old.replace('_', '-')}"
        if getattr(args, new) is not None:
            raise UsageError(f"{option} is the old name of {said.split()[0]}; give one of them")
        print(f"note: {option} is now {said}", file=sys.stderr)
        setattr(args, new, value)
