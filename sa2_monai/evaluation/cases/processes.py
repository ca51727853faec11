# SPDX-License-Identifier: Apache-2.0
"""Cases measured by several processes together, each case by one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sa2_monai.io.problems import CASE_ERRORS

__all__ = ["share_cases"]

T = TypeVar("T")


def share_cases(cases: Sequence[str], work: Callable[[str], T]) -> Callable[[str], T]:
    """Do the work of all cases together with the other processes of ``torch.distributed``.

    A collective call: all of them have to come here with the same cases, and wait for the slowest.

    Args:
        cases: names of all cases.
        work: gives the values of one case; they are sent to the other processes.

    Returns:
        A function that gives the values of any case, or raises the error that its work ended with. Where there is one
        process only, ``work`` itself.
    """
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return work
    own: dict[str, tuple[T | None, Exception | None]] = {}
    for case in cases[dist.get_rank() :: dist.get_world_size()]:
        try:
            own[case] = (work(case), None)
        except CASE_ERRORS as error:
            own[case] = (None, _sendable(error))
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, own)
    found = {case: outcome for part in parts for case, outcome in part.items()}

    def look_up(case: str) -> T:
        values, error = found[case]
        if error is not None:
            raise error
        return values

    return look_up


def _sendable(error: Exception) -> Exception:
    """Exceptions of libraries may need more than their message to be built again on the other side."""
    return error if type(error).__module__ == "builtins" else ValueError(str(error))
