# SPDX-License-Identifier: Apache-2.0
"""Make a small data set of synthetic microscopy with exact masks, the same on every machine for a seed."""

from __future__ import annotations

import argparse

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command.

    Args:
        parser: parser of the command.
    """
    parser.add_argument("output", metavar="OUT", help="folder for images/, labels/, instances/ and dataset.json")
    parser.add_argument("--seed", type=int, default=0, help="seed; the same seed gives the same pixels (default: 0)")
    parser.add_argument(
        "--size", type=int, nargs="+", default=[256], metavar="N", help="side in pixels, or H W (default: 256)"
    )
    parser.add_argument("--training", type=int, default=48, metavar="N", help="training images (default: 48)")
    parser.add_argument("--validation", type=int, default=8, metavar="N", help="validation images (default: 8)")
    parser.add_argument("--test", type=int, default=16, metavar="N", help="test images (default: 16)")
    parser.add_argument("--force", action="store_true", help="write into a folder that holds other files")


def run(args: argparse.Namespace) -> int:
    """Make the sample, or say that it is there already.

    Args:
        args: parsed arguments of :func:`add_arguments`.

    Returns:
        0.

    Raises:
        UsageError: a number out of range.
        OSError: the folder holds something else or cannot be written.
    """
    from sa2_monai.cli.main import UsageError
    from sa2_monai.data import make_sample, sample_is_current

    if len(args.size) > 2:
        raise UsageError(f"--size takes N or H W, found {len(args.size)} numbers")
    options = {
        "num_training": args.training,
        "num_validation": args.validation,
        "num_test": args.test,
        "size": (args.size[0], args.size[-1]),
    }
    try:
        reused = sample_is_current(args.output, args.seed, **options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if reused:
        print(f"{args.output}: this sample is there already, complete and unchanged; reused")
    else:
        make_sample(args.output, args.seed, force=args.force, **options)
        counts = f"{args.training} training, {args.validation} validation and {args.test} test images"
        print(f"{args.output}: {counts} of seed {args.seed}")
    return 0
