# SPDX-License-Identifier: Apache-2.0
"""Processes that train or evaluate together: their start, and which of them is this one.

Asked of torch and not of Ignite, whose first answer is a collective call: a handler that only one process has would
wait for the others for ever.
"""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

__all__ = ["of_all_processes", "of_first_process", "rank", "start_processes", "world_size"]

_NEEDED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def rank() -> int:
    """Index of this process; 0 when there is only one."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def of_first_process(answer: bool) -> bool:
    """The answer that the first process has found; all of them have to ask."""
    if world_size() == 1:
        return answer
    answers = [answer]
    dist.broadcast_object_list(answers, 0)
    return answers[0]


def of_all_processes(answer: Any) -> list[Any]:
    """The answers of all processes in their order; all of them have to ask."""
    if world_size() == 1:
        return [answer]
    answers: list[Any] = [None] * world_size()
    dist.all_gather_object(answers, answer)
    return answers


def start_processes(device: torch.device | str, timeout: float = 7200) -> None:
    """Bring the processes of ``torchrun`` together: NCCL for GPUs, gloo for CPUs.

    Below warnings, only the first of them goes on to log. When the processes are together already, nothing is done.

    Args:
        device: where this process computes; a GPU with its index, each process of a machine on another one.
        timeout: seconds that the processes wait for the slowest one before they give up; the default of NCCL, ten
            minutes, is less than one process may need for its volumes while the others are through.

    Raises:
        RuntimeError: when the process was not started by ``torchrun`` (or another launcher that sets its variables).
        ValueError: for a timeout that is not positive.
    """
    if timeout <= 0:
        raise ValueError(f"the timeout of the processes is {timeout} seconds, expected a positive number.")
    missing = [name for name in _NEEDED if name not in os.environ]
    if missing and not dist.is_initialized():
        raise RuntimeError(
            f"this configuration is for several processes, but {', '.join(missing)} are not set in the environment. "
            "Start it with 'torchrun --nproc_per_node=N -m monai.bundle run ...', or leave the file multi_gpu_*.yaml "
            "out for a single process."
        )
    gpu = torch.device(device).type == "cuda"
    if gpu:
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if gpu else "gloo", timeout=timedelta(seconds=timeout))
    import ignite.distributed as idist

    idist.sync()  # the collective call, while all of them are here
    if rank() > 0:
        logging.getLogger().setLevel(logging.WARNING)
