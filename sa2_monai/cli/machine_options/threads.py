# SPDX-License-Identifier: Apache-2.0
"""``--threads``: how many processors a program uses."""

from __future__ import annotations

import argparse

from sa2_monai.cli.common import positive

__all__ = ["add_threads"]


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add ``--threads``, a matter of the machine: it stands in no configuration, and changes rounding at most.

    Args:
        parser: of a command that calculates; :mod:`sa2_monai.cli.main` acts on the option.
    """
    parser.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="processors that each program uses (default: all it may; side by side, its part of them)",
    )
