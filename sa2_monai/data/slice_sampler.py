# SPDX-License-Identifier: Apache-2.0
"""Which slices an epoch trains on, in which order, for one process or several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch.distributed as dist
from torch.utils.data.distributed import DistributedSampler

from sa2_monai.data.slice_draw import Draw

if TYPE_CHECKING:
    from sa2_monai.data.slice_dataset import SliceDataset

__all__ = ["SliceSampler"]


class SliceSampler(DistributedSampler[Any]):
    """Slices of an epoch, shuffled over all cases.

    Without ``foreground`` an epoch is every slice once. Order, choice and the seeds of the random steps depend on the
    seed and the epoch alone: neither on the number of workers nor on what was drawn before, so a resumed training goes
    on exactly. Several processes share an epoch without doubles: each takes every n-th slice of one order, and up to
    n - 1 slices, others each time, are left out so that all have the same number of batches.

    MONAI's engines and Ignite's tell it the epoch (:meth:`set_epoch`), as they do for every ``DistributedSampler``.
    Without, it counts the epochs itself.

    Volumes that the data set does not keep would have to be read for each of their slices. Theirs are therefore
    shuffled within groups of as many volumes as a process of the data set keeps (``dataset.keep``).

    Args:
        dataset: the slices.
        foreground: share of the samples that show a class, 0 to 1: as many of each class as of any other, and of a
            class its slices in turn. The rest is drawn from all slices without doubles. 0: every slice once.
        num_samples: samples of an epoch, of all processes together, at most all slices; ``None``: all of them. Fewer
            are others in each epoch until all have been seen.
        seed: of the training, >= 0.
        ignore_value: of pixels without a label, which are no class.

    Raises:
        ValueError: arguments out of range, or fewer samples than processes.
    """

    def __init__(
        self,
        dataset: SliceDataset,
        foreground: float = 0.0,
        num_samples: int | None = None,
        seed: int = 0,
        ignore_value: int | None = None,
    ) -> None:
        together = dist.is_available() and dist.is_initialized()
        world, rank = (dist.get_world_size(), dist.get_rank()) if together else (1, 0)
        number = len(dataset) if num_samples is None else min(num_samples, len(dataset))
        if not 0 <= foreground <= 1:
            raise ValueError(f"SliceSampler: foreground is {foreground}, expected a share from 0 to 1.")
        if number < 1:
            raise ValueError(f"SliceSampler: num_samples is {num_samples}, expected at least 1 in an epoch.")
        if seed < 0:
            raise ValueError(f"SliceSampler: seed must be >= 0, got {seed}.")
        if number < world:
            raise ValueError(f"SliceSampler: {number} samples in an epoch are too few for {world} processes.")
        super().__init__(dataset, num_replicas=world, rank=rank, shuffle=True, seed=seed, drop_last=True)
        self.foreground = foreground
        self.num_samples = number // world
        self.total_size = self.num_samples * world
        classes = dataset.classes() if foreground else {}
        self._classes = [slices for value, slices in classes.items() if value != ignore_value]
        self._cases, self._far, self._keep = dataset.case_of, dataset.far, dataset.keep
        self._told = False

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next.

        Args:
            epoch: its number, >= 0.
        """
        self._told = True
        super().set_epoch(epoch)

    def __iter__(self) -> Iterator[Draw]:  # type: ignore[override]
        epoch = self.epoch
        if not self._told:
            self.epoch += 1
        order = self.order(epoch)
        seeds = np.random.SeedSequence([self.seed, epoch, 1]).generate_state(len(order))
        mine = slice(self.rank, None, self.num_replicas)
        return (Draw(int(index), int(seed)) for index, seed in zip(order[mine], seeds[mine], strict=True))

    def order(self, epoch: int) -> np.ndarray:
        """Slices of an epoch in their order, of all processes together.

        Args:
            epoch: its number, >= 0.
        """
        rng = np.random.default_rng([self.seed, epoch, 0])
        shown = round(self.foreground * self.total_size) if self._classes else 0
        order = np.concatenate([self._evenly(epoch)[: self.total_size - shown], self._foreground(shown, rng)])
        if shown:
            order = rng.permutation(order)
        away = self._far[order]
        if away.any():
            groups = rng.permutation(self._cases.max() + 1)[self._cases[order[away]]] // self._keep
            order[away] = order[away][np.argsort(groups, kind="stable")]
        return order

    def _evenly(self, epoch: int) -> np.ndarray:
        """Part of a permutation of all slices; as many epochs as go into it share one."""
        number = len(self._cases)
        turn, part = divmod(epoch, number // self.total_size)
        permutation = np.random.default_rng([self.seed, turn, 2]).permutation(number)
        return permutation[part * self.total_size :][: self.total_size]

    def _foreground(self, number: int, rng: np.random.Generator) -> np.ndarray:
        """As many slices of each class; no slice of a class twice before all of them have been taken."""
        drawn = []
        for place, slices in enumerate(self._classes):
            wanted = number // len(self._classes) + (place < number % len(self._classes))
            turns = -(-wanted // len(slices))
            drawn.append(np.concatenate([rng.permutation(slices) for _ in range(turns)] or [slices[:0]])[:wanted])
        return np.concatenate(drawn or [np.empty(0, np.int64)]).astype(np.int64)
