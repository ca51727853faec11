# SPDX-License-Identifier: Apache-2.0
"""One part of the cases for each of several programs: the parts, and where a launcher says which one this is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Shard", "shard_of_environment"]

_Case = TypeVar("_Case")


@dataclass(frozen=True)
class Shard:
    """One of several parts of the cases.

    Attributes:
        index: of the part, from 0.
        count: number of parts.
        local: number of the process on its machine, where the launcher says it: chooses the GPU.
        torchrun: whether ``torchrun`` has started the process; it stops all of them when one ends with an error.
    """

    index: int = 0
    count: int = 1
    local: int | None = None
    torchrun: bool = False

    @property
    def name(self) -> str:
        """Of a folder."""
        return f"{self.index + 1}-of-{self.count}"

    def of(self, cases: Sequence[_Case]) -> list[_Case]:
        """The cases of this part: every N-th, so that the parts are of one size and neighbours are spread."""
        return list(cases[self.index :: self.count])

    def __str__(self) -> str:
        return f"{self.index + 1}/{self.count}"


def shard_of_environment(environment: Mapping[str, str] | None = None) -> Shard:
    """The part of a program that ``torchrun`` or SLURM has started.

    ``torchrun`` comes first: ``RANK`` of ``WORLD_SIZE``. Of SLURM the task of a job array (``--array``), the process of
    a job step (``srun --ntasks``), or both together.

    Args:
        environment: variables; those of the process by default.

    Raises:
        ValueError: where there are none, or a job array whose numbers have gaps.
    """
    env = os.environ if environment is None else environment

    def number(name: str, default: int | None = None) -> int:
        text = env.get(name, "" if default is None else str(default))
        if not text.strip().lstrip("-").isdigit():
            raise ValueError(f"--shard auto: the variable {name} is {text!r}, expected a whole number.")
        return int(text)

    if "RANK" in env and "WORLD_SIZE" in env:
        local = number("LOCAL_RANK") if "LOCAL_RANK" in env else None
        return _checked(Shard(number("RANK"), number("WORLD_SIZE"), local, "TORCHELASTIC_RUN_ID" in env))
    array = "SLURM_ARRAY_TASK_ID" in env
    tasks = number("SLURM_NTASKS", 1) if "SLURM_PROCID" in env else 1
    if not array and tasks == 1:
        raise ValueError(
            "--shard auto: neither torchrun (RANK, WORLD_SIZE) nor SLURM (SLURM_ARRAY_TASK_ID; SLURM_PROCID with "
            "SLURM_NTASKS above 1) says which part this is. Give --shard I/N, or leave it out for all cases."
        )
    index, count = 0, 1
    if array:
        first, step = number("SLURM_ARRAY_TASK_MIN"), number("SLURM_ARRAY_TASK_STEP", 1)
        index, count = (number("SLURM_ARRAY_TASK_ID") - first) // step, number("SLURM_ARRAY_TASK_COUNT")
        if (number("SLURM_ARRAY_TASK_MAX") - first) // step + 1 != count:
            raise ValueError(
                "--shard auto: the numbers of the job array have gaps, so they do not say which part this is. Use "
                "--array=1-N, or give --shard I/N."
            )
    local = number("SLURM_LOCALID") if "SLURM_LOCALID" in env and tasks > 1 else None
    return _checked(Shard(index * tasks + number("SLURM_PROCID", 0) if tasks > 1 else index, count * tasks, local))


def _checked(shard: Shard) -> Shard:
    if not 0 <= shard.index < shard.count:
        raise ValueError(f"--shard auto: the environment says part {shard.index + 1} of {shard.count}.")
    return shard
