# SPDX-License-Identifier: Apache-2.0
"""``--max-voxels``: how large a file may be that a command reads."""

from __future__ import annotations

import argparse

__all__ = ["READING", "add_max_voxels"]

#: Commands that read images and volumes; :mod:`sa2_monai.cli.main` gives them the option, and acts on it.
READING = (
    *("datasets", "plan", "train", "predict", "evaluate", "instances", "calibrate", "stress", "crossval", "compare"),
)


def add_max_voxels(parser: argparse.ArgumentParser) -> None:
    """Add ``--max-voxels``, a matter of the machine: it stands in no configuration, and changes no result.

    Args:
        parser: of a command that reads images or volumes.
    """
    parser.add_argument(
        "--max-voxels",
        type=_number,
        default=argparse.SUPPRESS,  # an action of a command does not undo what stands in front of it
        metavar="N",
        help="refuse files of more voxels or pixels than N (default: what fills half of the free memory)",
    )


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number, 1 or more")
    return int(text)
