# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai datasets split``."""

from __future__ import annotations

import argparse
from typing import Any

from sa2_monai.cli.datasets.common import add_dataset, add_split_options, known_dataset

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the action."""
    add_dataset(parser)
    parser.add_argument("out", metavar="OUT", help="folder for training.txt, validation.txt and test.txt")
    parser.add_argument(
        "--fold", type=int, metavar="K", help="fold that validates (default: the data set's own part, or 0)"
    )
    add_split_options(parser)


def run(args: argparse.Namespace) -> int:
    """Write the files, and print the number of cases in each."""
    from sa2_monai.data import load_parts, write_splits

    known_dataset(args.name, args.split)
    parts = load_parts(
        args.directory,
        args.name,
        args.fold,
        args.num_folds,
        args.seed,
        args.test_fraction,
        patient_pattern=args.patient_pattern,
        split=args.split,
    )
    for path, cases in zip(write_splits(args.out, parts), parts.values(), strict=True):
        print(f"{path}: {len(cases)} cases{_of_groups(cases)}")
    return 0


def _of_groups(cases: list[dict[str, Any]]) -> str:
    groups = {case["group"] for case in cases if "group" in case}
    return f" of {len(groups)} patients or groups" if groups else ""
