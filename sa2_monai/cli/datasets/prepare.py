# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai datasets prepare``."""

from __future__ import annotations

import argparse

from sa2_monai.cli.datasets.common import add_dataset, known_dataset
from sa2_monai.cli.main import UsageError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the action."""
    add_dataset(parser)
    parser.add_argument("out", metavar="OUT", help="folder for the result, new or of the same preparation")
    parser.add_argument("--form", metavar="F", help="what to make (default: the first that 'list' shows)")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="worker processes (default: 0, this one)")


def run(args: argparse.Namespace) -> int:
    """Prepare, and print where the result lies."""
    from sa2_monai.data.prepare import prepare_dataset

    entry = known_dataset(args.name, args.split)
    if args.form is not None and args.form not in entry.preparations:
        raise UsageError(f"--form is {args.form!r}, {args.name!r} has {', '.join(entry.preparations) or 'none'}")
    if args.workers < 0:
        raise UsageError(f"--workers is {args.workers}, expected 0 or more")
    done = prepare_dataset(args.name, args.directory, args.out, args.form, args.split, args.workers)
    print(f"{done.folder}: {done.made} jobs done, {done.kept} were finished already")
    print(", ".join(f"{count} {part}" for part, count in done.cases.items()) + f" cases of the form {done.form!r}")
    return 0
