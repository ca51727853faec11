# SPDX-License-Identifier: Apache-2.0
"""Train a network on your own images or volumes, or on a public data set; the folder of the run is a bundle.

DATA is a folder with images and masks in any usual layout ('sa2-monai datasets check DATA' shows the pairs), a
dataset.json or a CSV table of pairs. What is not given is planned from the data and shown with its reasons; ID=VALUE
sets any switch at the top of the network's train.yaml. The best weights, the state for --resume, learning curves and
logs come to RUN, which 'predict', 'evaluate', 'export' and 'package' take as --bundle RUN.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sa2_monai.cli.common import add_training_options, read_overrides, training_options, wrong_use
from sa2_monai.cli.machine_options.threads import add_threads
from sa2_monai.cli.main import INTERRUPTED

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai train``."""
    parser.epilog = "example: sa2-monai train DATA --output runs/first --time 10 batch_size=8"
    parser.add_argument("data", nargs="?", metavar="DATA", help="folder of the data; not needed with --resume")
    add_training_options(parser, "time of this training; the plan fits into it")
    add_threads(parser)
    parser.add_argument(
        "--output", "-o", metavar="RUN", help="folder of the run (default: runs/NETWORK-DATA in the working directory)"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs, as max_epochs=N")
    parser.add_argument("--resume", action="store_true", help="go on with the training that is in RUN")
    parser.add_argument(
        "--no-plan", action="store_true", help="plan nothing: all is as the network's train.yaml and the overlays say"
    )
    start = parser.add_argument_group("where the weights start from")
    start.add_argument("--pretrained", metavar="FILE_OR_RUN", help="weights, or the folder of a run or bundle")
    start.add_argument("--encoder-weights", metavar="FILE", help="ImageNet weights of the encoder")
    parser.add_argument("--tracking", choices=["mlflow"], help="a run of MLflow beside TensorBoard")


def run(args: argparse.Namespace) -> int:
    """Train.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0 when the training is complete or its time is over, 130 after Ctrl-C. Failures are raised.

    Raises:
        UsageError: unknown ids, values that are no choice, options that do not go together.
        OSError, ValueError, RuntimeError: as :func:`sa2_monai.bundle.run.train_run`.
    """
    overrides = read_overrides(
        args.overrides,
        max_epochs=args.epochs,
        precision=args.precision,
        pretrained=_absolute(args.pretrained),
        encoder_weights=_absolute(args.encoder_weights),
    )

    from sa2_monai.bundle.run.request import TrainRequest
    from sa2_monai.bundle.switches import SwitchError

    with wrong_use(ValueError):
        request = TrainRequest(
            data=args.data,
            output=args.output,
            overrides=overrides,
            resume=args.resume,
            tracking=args.tracking,
            plan=not args.no_plan,
            **training_options(args),
        )
    from sa2_monai.bundle.run.train import train_run

    try:
        with wrong_use(SwitchError):
            train_run(request)
    except KeyboardInterrupt as stop:
        print(f"\nsa2-monai train: stopped{_how_to_go_on(getattr(stop, 'folder', None))}", file=sys.stderr)
        return INTERRUPTED
    return 0


def _absolute(path: str | None) -> str | None:
    """Any other text may be a name; what it means, the training knows."""
    return os.path.abspath(path) if path is not None and os.path.exists(path) else path


def _how_to_go_on(folder: Path | None) -> str:
    from sa2_monai.bundle.run.target import STATE

    if folder is None or not (folder / STATE).is_file():
        return " before an epoch was through; there is nothing to go on with"
    from sa2_monai.bundle.run.ending import resume_command

    return f"; the state of the last epoch is kept. Go on with: {resume_command(folder)}"
