# SPDX-License-Identifier: Apache-2.0
"""A forward and a backward pass of each network in training, against the published order of operations."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from benchmark.contestants import measure
from benchmark.frame.rows import Row

add_arguments = measure.add_arguments


def run(args: argparse.Namespace) -> Iterator[Row]:
    """Rows of all networks; the batch is at least the smallest that the network can be trained with."""
    return measure.rows(args, "training")
