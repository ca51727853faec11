# SPDX-License-Identifier: Apache-2.0
"""Train and evaluate the models of a K-fold cross-validation, and their ensemble.

The training cases are folded, sorted by name, with a stated seed. For each fold a model is trained, its part of the
training cases selecting the checkpoint, and scored on the test cases; then the ensemble of all models (average of their
probabilities) is scored. What is not given is planned once for all folds (OUTPUT/plan.yaml); with an overlay that says
the layout of the data, such as those of the public data sets, nothing is. Each fold is a training as by 'sa2-monai
train', whose command is printed: OUTPUT/fold0 is a bundle. Finished folds are kept in OUTPUT/crossval.json: after an
interruption, --resume goes on with the first that is not there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sa2_monai.cli.common import add_training_options, read_overrides, training_options
from sa2_monai.cli.main import INTERRUPTED, UsageError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai crossval``."""
    parser.epilog = "example: sa2-monai crossval DATA --output OUT --network sa2net --config monuseg max_epochs=500"
    parser.add_argument("data", nargs="?", metavar="DATA", help="folder of your data, a dataset.json or a CSV of pairs")
    add_training_options(parser, "time of each fold; the plan fits into it")
    parser.add_argument("--output", "-o", required=True, metavar="DIR", help="folder for runs, scores and splits")
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="number of folds (default: 5)")
    parser.add_argument("--seed", type=int, default=999, metavar="N", help="seed of the folds (default: 999)")
    parser.add_argument("--paper", action="store_true", help="the published protocol (paper.yaml, evaluate_paper.yaml)")
    parser.add_argument("--tta", action="store_true", help="evaluate with test-time augmentation, as tta=true")
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs of each fold, as max_epochs=N")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted cross-validation")
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
        0, or 130 after Ctrl-C. Failures are raised.

    Raises:
        UsageError: unknown ids, values that are no choice, options that do not go together.
        OSError, ValueError, RuntimeError: as :func:`~sa2_monai.bundle.crossval.run.cross_validate`.
    """
    _take_old_options(args)
    if args.data is None:
        raise UsageError("give DATA, the folder of your images and masks")
    overrides = read_overrides(args.overrides, max_epochs=args.epochs, tta=args.tta or None)

    from sa2_monai.bundle.crossval.request import CrossvalRequest
    from sa2_monai.bundle.switches import SwitchError

    try:
        request = CrossvalRequest(
            data=args.data,
            output=args.output,
            overrides=overrides,
            folds=args.folds,
            seed=args.seed,
            paper=args.paper,
            tracking=args.tracking,
            **training_options(args),
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    from sa2_monai.bundle.crossval.run import STATE, cross_validate
    from sa2_monai.bundle.crossval.scores import crossval_table

    try:
        state = cross_validate(request, args.resume)
    except SwitchError as error:
        raise UsageError(str(error)) from error
    except KeyboardInterrupt:
        print("\nsa2-monai crossval: stopped; the same command with --resume goes on", file=sys.stderr)
        return INTERRUPTED
    output = Path(args.output).absolute()
    print(f"\n{crossval_table(state)}\n\nScores:  {output / STATE}\nSplits:  {output / 'splits'}")
    print(f"Runs:    {output / 'fold0'} and so on, each a bundle")
    return 0


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
