# SPDX-License-Identifier: Apache-2.0
"""A forward pass of each network: ours against the published order of operations, on the same weights.

Peak memory (``--memory``) is that of a fresh process, above what it held before.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from benchmark.contestants import measure
from benchmark.frame.rows import Row

add_arguments = measure.add_arguments


def run(args: argparse.Namespace) -> Iterator[Row]:
    """Rows of all networks and batch sizes."""
    return measure.rows(args, "inference")
