# SPDX-License-Identifier: Apache-2.0
"""Measure a data set and plan its training: every switch with its reason.

Training cases are read, in a bounded number; validation and test cases are not looked at. With --output the plan is an
overlay for 'sa2-monai train' and 'python -m monai.bundle run', and fingerprint.json beside it holds the numbers.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from sa2_monai.cli.common import add_training_options, read_overrides, wrong_use
from sa2_monai.cli.main import UsageError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai plan``."""
    parser.epilog = "example: sa2-monai plan DATA --output plan.yaml --time 30"
    parser.add_argument("data", metavar="DATA", help="folder of your data, a dataset.json or a table of pairs")
    add_training_options(parser, "for the training (default: 20 on a CPU; on a GPU as published)")
    parser.add_argument(
        "--output", "-o", metavar="FILE", help="write the overlay here, with fingerprint.json beside it"
    )


def run(args: argparse.Namespace) -> int:
    """Print the plan and the command that trains with it.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0.

    Raises:
        UsageError: an unknown network, or switches that are none of its own or have values that they cannot have.
        OSError, ValueError: data that cannot be read, or whose meaning is not certain.
    """
    from sa2_monai.bundle import SwitchError, make_plan
    from sa2_monai.bundle.run.ids import find_overlays, named_bundle, named_variant
    from sa2_monai.data import find_data
    from sa2_monai.data.layouts.pairs_csv import write_pairs
    from sa2_monai.io.arrays.decoded import decoded_once

    given = read_overrides(args.overrides, precision=args.precision)
    with wrong_use(SwitchError):
        network, bundle = named_bundle(args.network)
    given = {**named_variant(args.network), **given}
    overlays = find_overlays(args.config, bundle)
    if args.time is not None and not args.time > 0:
        raise UsageError(f"--time is {args.time:g}, expected minutes above 0")
    with decoded_once():
        found = find_data(args.data, given.get("layout"), args.images, args.labels, args.colours)
        if args.images is not None and args.output:
            # The overlay names its data; the folder alone does not say which files belong together.
            args.data = str(write_pairs(Path(args.output).with_name("pairs.csv"), found.parts))
            found, args.images, args.labels = find_data(args.data, found.dataset), None, None
        print(f"measuring {found.path}: {found.description}", file=sys.stderr)
        with wrong_use(SwitchError):
            plan = make_plan(found, network, overlays, given, args.device, args.time)
    print(plan.table())
    if found.left_out:
        print(f"\nnot used: {found.left_out}")
    if args.output:
        plan.write(args.output)
        print(f"\nwritten: {args.output} and {Path(args.output).with_name('fingerprint.json')}")
    print(f"\nNext\n  {_next(args, args.network or plan.network, plan.network)}")
    return 0


def _next(args: argparse.Namespace, network: str, name: str) -> str:
    """The training with this plan; without a file it is planned again, the same way."""
    words = ["sa2-monai", "train", args.data, "--network", network]
    for option in ("images", "labels", "colours"):
        if getattr(args, option) is not None:
            words += [f"--{option}", getattr(args, option)]
    for file in [*([args.output] if args.output else []), *args.config]:
        words += ["--config", file]
    if args.time is not None and not args.output:
        words += ["--time", f"{args.time:g}"]
    words += ["--output", f"runs/{name}-{Path(args.data).resolve().name}", *args.overrides]
    return shlex.join(words)
