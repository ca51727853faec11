# SPDX-License-Identifier: Apache-2.0
"""What a sampler asks a data set of slices for."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Draw"]


class Draw(NamedTuple):
    """Slice of a data set, by its index, and the seed of what is drawn for it."""

    item: int
    seed: int
