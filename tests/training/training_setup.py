# SPDX-License-Identifier: Apache-2.0
"""A tiny training with everything random that a real one has."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Events
from ignite.metrics import Metric
from monai.data import CacheDataset, DataLoader, Dataset
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import LrScheduleHandler, MeanSquaredError, ValidationHandler, from_engine
from monai.transforms import Compose, Lambdad, RandFlipd, RandGaussianNoised
from torch import nn

from sa2_monai.training import CheckpointHandler, EpochSeed


class Stop(Exception):
    """Stands for whatever ends a process in the middle of an epoch."""


class ScriptedMetric(Metric):
    """Gives the scores of a list, one per validation."""

    def __init__(self, scores: dict[int, float], evaluator_of: list[Any]) -> None:
        self.scores, self.evaluator_of = scores, evaluator_of
        super().__init__(output_transform=lambda x: x)

    def reset(self) -> None:
        pass

    def update(self, output: Any) -> None:
        pass

    def compute(self) -> float:
        return self.scores[self.evaluator_of[0].state.epoch]


def jitter(image: torch.Tensor) -> torch.Tensor:
    """A transform outside of MONAI: draws from the global generators of Python and NumPy."""
    return image * (1 + 0.01 * random.random()) + 0.01 * float(np.random.rand())  # noqa: NPY002


def items(count: int = 10, side: int = 8) -> list[dict[str, Any]]:
    rng = np.random.RandomState(0)
    return [
        {
            "image": rng.rand(1, side, side).astype(np.float32),
            "label": rng.rand(1, side, side).astype(np.float32),
            "case": f"case_{number}",
        }
        for number in range(count)
    ]


def tiny_network(out_channels: int = 1) -> nn.Module:
    torch.manual_seed(11)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout2d(0.3), nn.Conv2d(4, out_channels, 1)
    )


class Run:
    """Trainer, evaluator and their parts."""

    def __init__(
        self,
        folder: Path,
        max_epochs: int = 4,
        resume: bool = False,
        *,
        scores: dict[int, float] | None = None,
        validate: bool = True,
        val_interval: int = 1,
        num_workers: int = 0,
        seed: int | None = 5,
        learning_rate: float = 1e-2,
        optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
        scheduler: Any = None,
        info: dict[str, Any] | None = None,
        network: nn.Module | None = None,
        stop_at: int | None = None,
        batch_size: int = 4,
        cache: bool = False,
        first: list[Any] | None = None,
        extra: list[Any] | None = None,
        save_interval: int = 1,
        amp: bool = False,
        data: list[dict[str, Any]] | None = None,
        loss: nn.Module | None = None,
        select: str = "best",
    ) -> None:
        self.network = network or tiny_network()
        self.optimizer = optimizer(self.network.parameters(), lr=learning_rate)
        make = scheduler or (lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=max_epochs))
        self.scheduler = make(self.optimizer)
        transform = Compose(
            [
                RandFlipd(["image", "label"], prob=0.5, spatial_axis=0),
                RandGaussianNoised("image", prob=0.5),
                Lambdad("image", jitter),
            ]
        )
        kind = CacheDataset if cache else Dataset
        kwargs = {"progress": False} if cache else {}
        self.dataset = kind(items() if data is None else data, transform, **kwargs)
        loader = DataLoader(self.dataset, batch_size=batch_size, shuffle=True, num_workers=num_workers)
        holder: list[Any] = []
        output = from_engine(["pred", "label"])
        metric = MeanSquaredError(output_transform=output) if scores is None else ScriptedMetric(scores, holder)
        self.evaluator = SupervisedEvaluator(
            device="cpu",
            val_data_loader=DataLoader(Dataset(items(4)), batch_size=2),
            network=self.network,
            key_val_metric={"score": metric},
        )
        holder.append(self.evaluator)
        self.checkpoint = CheckpointHandler(
            str(folder),
            self.network,
            self.optimizer,
            self.scheduler,
            self.evaluator if validate else None,
            resume=resume,
            info=info,
            save_interval=save_interval,
            select=select,
        )
        handlers: list[Any] = [*(first or []), *([] if seed is None else [EpochSeed(seed, self.dataset)])]
        handlers += [self.checkpoint]  # before validation and schedule: its place must not matter
        handlers += [ValidationHandler(val_interval, self.evaluator)] if validate else []
        handlers += [LrScheduleHandler(self.scheduler, print_lr=False), *(extra or [])]
        self.trainer = SupervisedTrainer(
            device="cpu",
            max_epochs=max_epochs,
            train_data_loader=loader,
            network=self.network,
            optimizer=self.optimizer,
            loss_function=loss or nn.MSELoss(),
            train_handlers=handlers,
            amp=amp,
        )
        self.epochs: list[int] = []
        self.trainer.add_event_handler(Events.EPOCH_STARTED, lambda e: self.epochs.append(e.state.epoch))
        if stop_at is not None:
            self.trainer.add_event_handler(Events.ITERATION_COMPLETED(once=stop_at), self.stop)

    @staticmethod
    def stop(_: Any) -> None:
        raise Stop

    def run(self) -> Run:
        self.trainer.run()
        return self

    @property
    def rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
