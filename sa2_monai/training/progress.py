# SPDX-License-Identifier: Apache-2.0
"""Whether somebody watches the progress bars."""

from __future__ import annotations

import sys

from sa2_monai.training.distributed import rank

__all__ = ["show_progress"]


def show_progress(wanted: bool | None = None) -> bool:
    """Whether this process shows progress bars: of several processes the first one, if at all.

    Args:
        wanted: ``None`` means on a terminal and in a notebook, but not where stderr is a file or a pipe: there every
            step of a bar would stay as a line of its own.
    """
    if rank() > 0:
        return False
    if wanted is None:
        return "ipykernel" in sys.modules or sys.stderr.isatty()
    return wanted
