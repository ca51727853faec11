# SPDX-License-Identifier: Apache-2.0
"""What several actions of ``sa2-monai datasets`` share."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sa2_monai.cli.main import UsageError

if TYPE_CHECKING:
    from sa2_monai.data.dataset import DataSet

__all__ = ["add_dataset", "add_json", "add_split_options", "known_dataset", "read_label_values"]


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which data set is meant and where it lies."""
    parser.add_argument("name", metavar="NAME", help="data set, as 'sa2-monai datasets list' names it")
    parser.add_argument("directory", metavar="DIR", help="its folder, as downloaded")
    parser.add_argument(
        "--split", metavar="S", help="published split, where the data set has several (default: the first)"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option for programs."""
    parser.add_argument("--json", action="store_true", default=False, help="print JSON for programs")


def add_split_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how the folds, and a test part that is not listed, are drawn."""
    parser.add_argument("--num-folds", type=int, default=5, metavar="N", help="number of folds (default: 5)")
    parser.add_argument("--seed", type=int, default=999, metavar="N", help="seed of the split (default: 999)")
    parser.add_argument(
        "--test-fraction", type=float, default=0.2, metavar="P", help="test part where none is listed (default: 0.2)"
    )
    parser.add_argument(
        "--patient-pattern", metavar="REGEX", help=r"finds the patient in a case name, as '(patient\d+)'"
    )


def known_dataset(name: str, split: str | None = None) -> DataSet:
    """The data set of a name.

    Args:
        name: what was typed.
        split: published split that was typed; ``None`` for none.

    Raises:
        UsageError: there is no such data set, or it has no such split.
    """
    from sa2_monai.data import DATASETS
    from sa2_monai.data.registry import unknown_dataset

    if name not in DATASETS:
        raise UsageError(unknown_dataset(name).replace("dataset is", "NAME is", 1))
    splits = DATASETS[name].splits
    if split is not None and split not in splits:
        raise UsageError(f"--split is {split!r}, {name!r} has {', '.join(splits) or 'one only; leave it out'}")
    return DATASETS[name]


def read_label_values(text: str | None) -> Mapping[str, int] | str | None:
    """The table of an option ``--label-values``.

    Args:
        text: ``nonzero``, ``threshold``, or JSON.

    Raises:
        UsageError: anything else.
    """
    if text in (None, "nonzero", "threshold"):
        return text
    try:
        table = json.loads(text)
    except ValueError:
        table = None
    if not isinstance(table, dict):
        raise UsageError(
            f'--label-values is {text!r}, expected nonzero, threshold, or JSON such as {{"0": 0, "255": 1}}'
        )
    return table
