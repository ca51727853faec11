# SPDX-License-Identifier: Apache-2.0
"""A disk that is full.

Why: a file must be whole or not there. The limit is set in the kernel, so every writer meets it, also in libraries.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["full_disk"]


@contextmanager
def full_disk(limit: int = 4096) -> Iterator[None]:
    """Writing more than ``limit`` bytes to a file fails with an OSError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
