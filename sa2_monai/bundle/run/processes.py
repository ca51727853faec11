# SPDX-License-Identifier: Apache-2.0
"""A training of several processes under ``torchrun``: the first one plans, writes and prints, all of them train."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import torch
import torch.distributed as dist

from sa2_monai.training.distributed import rank, start_processes, world_size

__all__ = ["OVERLAY", "by_first_process", "join_processes"]

#: Configuration that follows that of the run.
OVERLAY = "multi_gpu_train"
Result = TypeVar("Result")


def join_processes() -> bool:
    """Bring the processes of ``torchrun`` together.

    Returns:
        Whether there are several.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return False
    cuda = torch.cuda.is_available()
    start_processes(torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else "cpu")
    return True


def by_first_process(work: Callable[[], Result]) -> Result:
    """What the first process has done; the others wait for it, and raise its error.

    Args:
        work: done by the first process alone; the result can be sent to the others.
    """
    if world_size() == 1:
        return work()
    answer: list[tuple[Result | None, Exception | None]] = [(None, None)]
    if rank() == 0:
        try:
            answer = [(work(), None)]
        except Exception as raised:
            answer = [(None, raised)]
    dist.broadcast_object_list(answer, 0)
    result, error = answer[0]
    if error is not None:
        raise error
    return result  # type: ignore[return-value]
