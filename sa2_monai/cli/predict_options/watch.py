# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai predict --watch DIR``: what comes into a folder is predicted, until the command is stopped."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any, NoReturn

from sa2_monai.cli.main import UsageError
from sa2_monai.cli.predict_options import slides

if TYPE_CHECKING:
    from sa2_monai.bundle.prediction.run import TrainedModel

__all__ = ["add_arguments", "check", "run"]

_INTERVAL = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--watch", metavar="DIR", help="instead of INPUT: predict what is in DIR and what comes into it, until Ctrl-C"
    )
    parser.add_argument(
        "--interval",
        type=_seconds,
        metavar="SECONDS",
        help="with --watch: between two looks; files that are the same at both are complete (default: 5)",
    )


def check(args: argparse.Namespace) -> None:
    """Refuse what does not go with a folder that is watched, or without one.

    Args:
        args: the parsed arguments.

    Raises:
        UsageError: naming the options.
    """
    if args.watch is None:
        if args.interval is not None:
            raise UsageError("--interval belongs to --watch")
        return
    others = {
        "INPUT": args.inputs,
        "--shard": args.shard,
        "--status": args.status,
        "--measure": args.measure,  # of all cases: 'predict DIR --measure' does it at any time
    }
    if given := [name for name, value in others.items() if value]:
        raise UsageError(f"--watch does not go with {', '.join(given)}")


def run(
    args: argparse.Namespace, model: TrainedModel, output: str | os.PathLike[str], options: dict[str, Any]
) -> NoReturn:
    """Watch the folder; ends by an exception: Ctrl-C, SIGTERM, or what goes wrong.

    Args:
        args: the parsed arguments.
        model: what predicts.
        output: folder of the results.
        options: overrides of the configuration on which a result depends.
    """
    from sa2_monai.bundle.prediction.watch import watch_folder

    watch_folder(
        model,
        args.watch,
        output,
        options,
        _INTERVAL if args.interval is None else args.interval,
        device=args.device,
        batch_size=args.batch_size,
        again=args.again,
        overlays=args.overlays,
        slide_options=slides.slide_options(args, model),
    )
    raise AssertionError("a folder is watched until the program is stopped")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds above 0, got {text!r}")
    return seconds
