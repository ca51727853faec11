# SPDX-License-Identifier: Apache-2.0
"""Random numbers that depend on the seed and the epoch only."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data.utils import set_rnd
from torch.utils.data import Dataset

from sa2_monai.training.distributed import rank

__all__ = ["EpochSeed"]


class EpochSeed:
    """Seed everything anew at the start of each epoch, so that an interrupted training continues exactly.

    A resumed training has to draw the same numbers as one that was never interrupted. The global generators could be
    saved, but each of MONAI's random transforms holds a generator of its own, and those in the processes of a data
    loader are out of reach. So nothing is carried over an epoch's end: when epoch ``e`` starts, the generators of
    Python, NumPy, torch and CUDA and those of the dataset's transforms are seeded from ``(seed, e, rank)``. Shuffling
    and the workers of the data loader follow, since both are seeded from torch's generator when an epoch begins. (A
    :class:`~sa2_monai.data.SliceSampler` has its order, and the draws of each sample, from the seed and the epoch by
    itself.)

    Exact for any number of workers, given a data loader without a ``generator`` of its own and without
    ``persistent_workers`` (they keep their generators), and a trainer whose epochs are those of the data loader.

    Args:
        seed: seed of the training, >= 0.
        dataset: dataset of the trainer, whose transforms are seeded; ``None`` when it has no random ones.

    Raises:
        ValueError: for a negative seed.
    """

    def __init__(self, seed: int, dataset: Dataset[Any] | None = None) -> None:
        if seed < 0:
            raise ValueError(f"EpochSeed: seed must be >= 0, got {seed}.")
        self.seed = seed
        self.dataset = dataset

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Seed for the epoch that starts."""
        # Independent streams: neighbouring seeds or epochs never share one.
        sequence = np.random.SeedSequence([self.seed, engine.state.epoch, rank()])
        for_python, for_numpy, for_torch, for_transforms = (int(value) for value in sequence.generate_state(4))
        random.seed(for_python)
        np.random.seed(for_numpy)  # noqa: NPY002 - the generator that transforms outside of MONAI use
        torch.manual_seed(for_torch)  # CUDA's too
        if self.dataset is not None:
            set_rnd(self.dataset, for_transforms)
