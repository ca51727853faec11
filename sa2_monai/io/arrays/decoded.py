# SPDX-License-Identifier: Apache-2.0
"""Files that several steps look into are decoded once: what they hold is kept while :func:`decoded_once` is open.

A training finds out what the labels mean, plans, checks every file and loads its data set: each step opens the files by
itself and knows nothing of the others.
"""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sa2_monai.io.processors import free_memory

__all__ = ["decoded", "decoded_once"]

_Result = TypeVar("_Result")
_SHARE = 0.25  # of the free memory


class _Kept:
    """What was decoded, until so many bytes are full; nothing goes, since each step sees the files in one order."""

    def __init__(self, most: float) -> None:
        self._room = most
        self._known: dict[Any, Any] = {}
        self._lock = threading.Lock()

    def get(self, key: Any, read: Callable[[], _Result], size: Callable[[_Result], int]) -> _Result:
        with self._lock:
            known = self._known.get(key)
        if known is not None:
            return copy.deepcopy(known)  # whoever asks may change it
        result = read()
        needed = size(result)
        with self._lock:
            if key in self._known or needed > self._room:
                return result
            self._room -= needed
            self._known[key] = copy.deepcopy(result)
        return result


_kept: _Kept | None = None


@contextmanager
def decoded_once(most: float | None = None) -> Iterator[None]:
    """Keep what files hold, from here to the end of the block or, inside of another one, to the end of that.

    Args:
        most: bytes that are kept; a quarter of the free memory by default. Further files are decoded each time.
    """
    global _kept
    outer = _kept
    if outer is None:
        _kept = _Kept(_SHARE * free_memory() if most is None else most)
    try:
        yield
    finally:
        _kept = outer


def decoded(
    files: Sequence[str | os.PathLike[str]],
    what: object,
    read: Callable[[], _Result],
    size: Callable[[_Result], int],
) -> _Result:
    """What some files hold: as kept, in a copy, where they have not changed since; else what ``read`` returns.

    Args:
        files: that are read.
        what: how they are read; the same name for the same result.
        read: decodes them. What it raises is raised each time.
        size: bytes of a result.
    """
    if _kept is None:
        return read()
    return _kept.get((what, tuple(map(_state, files))), read, size)


def _state(path: str | os.PathLike[str]) -> tuple[str, int, int, int]:
    found = os.stat(path)
    return os.path.abspath(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns
