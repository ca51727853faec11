# SPDX-License-Identifier: Apache-2.0
"""How many voxels or pixels a file may hold: headers are believed up to here, and memory is asked for afterwards.

A compressed file of a few megabytes can promise what no machine holds, and keep the promise. The limit is half of the
free memory, so that what is read can be calculated with, or a number that the user gives: ``--max-voxels`` of the
commands, which sets ``SA2_MONAI_MAX_VOXELS`` for the programs that they start, too.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sa2_monai.io.processors import free_memory

__all__ = ["MAX_VOXELS", "bytes_at_most", "check_voxels", "max_voxels_of"]

#: Variable of the environment with the largest number of voxels of a file.
MAX_VOXELS = "SA2_MONAI_MAX_VOXELS"
_SHARE = 0.5  # of the free memory
_ALWAYS = 2**28  # bytes: ordinary files are read however full the memory is just now
_GIB = 2**30


def check_voxels(source: str | os.PathLike[str], shape: Sequence[int], itemsize: int) -> None:
    """Refuse what a header promises if it is beyond the limit.

    Args:
        source: the file, for the message.
        shape: number of voxels along each axis, or of pixels and channels.
        itemsize: bytes of one of them in memory.

    Raises:
        ValueError: more voxels than the user allows, or more bytes than :func:`bytes_at_most`.
    """
    count, stated = math.prod(map(int, shape)), _stated()
    if count * itemsize <= _ALWAYS and stated is None:
        return
    allowed = bytes_at_most() // max(itemsize, 1) if stated is None else stated
    if count <= allowed:
        return
    why = f"{MAX_VOXELS} or --max-voxels" if stated is not None else "half of the free memory"
    raise ValueError(
        f"{source}: its header asks for {' x '.join(str(int(n)) for n in shape)} = {count} voxels "
        f"({count * itemsize / _GIB:.1f} GiB), allowed are {allowed} ({why}); copy the file again if it is not so "
        f"large, else use a machine with more memory and --max-voxels {count}, or cut or downsample it"
    )


def bytes_at_most() -> int:
    """Bytes that one file may fill in memory: half of what is free, a quarter of a GiB in any case."""
    return max(_ALWAYS, int(_SHARE * free_memory()))


@contextmanager
def max_voxels_of(count: int | None) -> Iterator[None]:
    """Set the limit for a block, and for the programs that it starts.

    Args:
        count: voxels; ``None`` leaves the limit as it is.
    """
    before = os.environ.get(MAX_VOXELS)
    if count is not None:
        os.environ[MAX_VOXELS] = str(count)
    try:
        yield
    finally:
        if count is not None and before is None:
            del os.environ[MAX_VOXELS]
        elif count is not None:
            os.environ[MAX_VOXELS] = str(before)


def _stated() -> int | None:
    text = os.environ.get(MAX_VOXELS, "").strip()
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{MAX_VOXELS} is {text!r}, expected a number of voxels, 1 or more; correct it, or unset it")
    return int(text)
