# SPDX-License-Identifier: Apache-2.0
"""Evaluation by several processes: each case by one of them, none twice.

``torch.utils.data.DistributedSampler`` repeats cases until every process has the same number of them; in the result of
an evaluation they would count twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import torch.distributed as dist
from ignite.engine import Events
from monai.engines import SupervisedEvaluator
from torch.utils.data import Sampler

from sa2_monai.weights import unwrap

__all__ = ["CaseSampler", "ShardEvaluator"]


class CaseSampler(Sampler[int]):
    """The cases of one process: every N-th of the data set, without repetition.

    Args:
        dataset: the data set.
        share_few: what to do with fewer cases than processes. ``False``: some processes have none. ``True``: all of
            them have all cases; a mean over the cases of all processes remains what it is, and no process is missing
            where they gather a metric.
        index: of this process; asked of ``torch.distributed`` by default.
        count: number of processes; by default as well.

    Raises:
        ValueError: for an index that is not one of ``count`` processes.
    """

    def __init__(
        self, dataset: Sized, share_few: bool = False, index: int | None = None, count: int | None = None
    ) -> None:
        together = dist.is_available() and dist.is_initialized()
        self.count = count if count is not None else dist.get_world_size() if together else 1
        self.index = index if index is not None else dist.get_rank() if together else 0
        if not 0 <= self.index < self.count:
            raise ValueError(f"CaseSampler: index is {self.index}, expected 0 to {self.count - 1}.")
        cases = range(len(dataset))
        self.cases = cases if share_few and len(cases) < self.count else cases[self.index :: self.count]

    def __iter__(self) -> Iterator[int]:
        return iter(self.cases)

    def __len__(self) -> int:
        return len(self.cases)


class ShardEvaluator(SupervisedEvaluator):
    """``SupervisedEvaluator`` for one of several processes, which may have another number of cases than the others.

    - A process without any case takes part as well: its handlers start and end, because those of the others wait.
    - All of them evaluate one network: the statistics of normalisation layers, which each process has gathered by
      itself, are those of the first process, which saves them.
    - ``DistributedDataParallel`` is taken off. It exchanges these statistics in the first forward pass after a step of
      the training, which a process without any case does not make.

    Args:
        device: as for ``monai.engines.SupervisedEvaluator``.
        val_data_loader: loader of the cases of this process, with a :class:`CaseSampler`.
        network: the network, also one wrapped for training.
        kwargs: further arguments of ``monai.engines.SupervisedEvaluator``.
    """

    def __init__(self, device: Any, val_data_loader: Any, network: Any, **kwargs: Any) -> None:
        super().__init__(device, val_data_loader, unwrap(network), **kwargs)

    def run(self, *args: Any, **kwargs: Any) -> None:
        """Run over the cases of this process."""
        if dist.is_available() and dist.is_initialized():
            for buffer in self.network.buffers():
                dist.broadcast(buffer, 0)
        if self.state.epoch_length:
            super().run(*args, **kwargs)
            return
        for event in (Events.STARTED, Events.COMPLETED):
            self.fire_event(event)
