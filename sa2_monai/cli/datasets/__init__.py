# SPDX-License-Identifier: Apache-2.0
"""List the data sets that can be read, check data, prepare or export them, write their split to files."""

from __future__ import annotations

import argparse
import importlib
from typing import NamedTuple

from sa2_monai.cli.machine_options.max_voxels import add_max_voxels

__all__ = ["add_arguments", "run"]


class Action(NamedTuple):
    """One action: its name, a line of help, what its own help says beside that, and the module that does the work."""

    name: str
    help: str
    module: str
    explained: str = ""


# A module has ``add_arguments(parser)`` and ``run(args) -> int``, as that of a command.
ACTIONS = (
    Action("list", "list the data sets: files, classes, splits, terms, bundles that have an overlay", "listing"),
    Action(
        "check",
        "check your data or a download: layout, pairs, numbers of cases, sizes, label values",
        "check",
        "Every image or header and every label is read. Exit code 0: as published; 1: not, and it is said what is "
        "missing or wrong; 2: wrong use.",
    ),
    Action(
        "prepare",
        "lay down what is slow to make each time, such as the slices of large volumes",
        "prepare",
        "What is finished is kept: after an interruption, run the same command again. Writes dataset.json and, last, "
        "manifest.json with the hashes of all sources and outputs.",
    ),
    Action(
        "export",
        "write your data in the form of nnU-Net 2 or of the decathlon, with the same parts and folds",
        "export",
        "Labels hold class numbers afterwards. OUT must be new or empty, and is there as a whole or not at all.",
    ),
    Action("split", "write the cases of the training, validation and test part to text files", "split"),
    Action(
        "calibrate",
        "find how the slices of TransUNet's archive lie in the patient, from one case in both forms",
        "calibrate",
        "The result, orientation.json in the folder of the downloaded volumes, is read by 'prepare synapse'.",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of ``sa2-monai datasets`` and their options.

    Args:
        parser: parser of the command.
    """
    parser.epilog = "example: sa2-monai datasets check DATA; 'sa2-monai datasets ACTION --help' explains an action"
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action")
    for name, line, module, explained in ACTIONS:
        action = actions.add_parser(name, help=line, description=f"{line[0].upper()}{line[1:]}. {explained}".strip())
        action.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        add_max_voxels(action)
        importlib.import_module(f"{__name__}.{module}").add_arguments(action)


def run(args: argparse.Namespace) -> int:
    """Do what was asked for.

    Args:
        args: parsed arguments of :func:`add_arguments`.

    Returns:
        0, or 1 where a checked data set is not as published.

    Raises:
        UsageError: unknown names.
        OSError: a file or folder is missing or cannot be written.
        ValueError: data that cannot be used.
        RuntimeError: a preparation that another process is at.
    """
    module = next(action.module for action in ACTIONS if action.name == (args.action or "list"))
    return int(importlib.import_module(f"{__name__}.{module}").run(args))
