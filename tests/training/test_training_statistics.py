# SPDX-License-Identifier: Apache-2.0
"""Statistics of batch normalisations for the weights that validate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.data import DataLoader, Dataset
from torch import nn
from training_setup import Run, Stop, items, same, tiny_network

from sa2_monai.training import PreciseStatistics
from sa2_monai.weights import load_weights


class Sampler(torch.utils.data.RandomSampler):
    """As the sampler of the bundles: its order follows from the epoch."""

    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Any:
        self.generator = torch.Generator().manual_seed(self.epoch)
        return super().__iter__()


def loader() -> Any:
    data = Dataset(items())  # without random steps, which in the bundles follow from the epoch, too
    return DataLoader(data, batch_size=4, sampler=Sampler(data))


class Precise:
    """Built once the parts of the run exist."""

    def __init__(self, run: Run, batches: int) -> None:
        self.loader = loader()
        PreciseStatistics(run.network, self.loader, run.evaluator, batches, run.average).attach(run.trainer)
        # ahead of the handler that saves
        handlers = run.trainer._event_handlers[Events.COMPLETED]
        handlers.insert(0, handlers.pop())


def statistics(network: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    return network[1].running_mean, network[1].running_var  # type: ignore[index, return-value]


@pytest.mark.parametrize("options", [{}, {"ema": 0.9}, {"select": "last", "val_interval": 2}], ids=str)
def test_statistics_are_the_mean_over_batches(options: dict[str, Any], tmp_path: Path) -> None:
    """Those of the saved weights, of a last epoch that was not validated as well."""
    run = Run(tmp_path, 3, **options, scores={1: 0.1, 2: 0.2, 3: 0.3})
    precise = Precise(run, 5)
    run.run()
    saved = tiny_network()
    load_weights(saved, tmp_path / "model.pt")
    images, turn = [], 1
    while len(images) < 5:
        precise.loader.sampler.set_epoch(turn * 10**6 + 3)
        images += [batch["image"] for batch in precise.loader]
        turn += 1
    with torch.no_grad():
        maps = [saved[0](image) for image in images[:5]]  # type: ignore[index]
    mean = torch.stack([one.mean((0, 2, 3)) for one in maps]).mean(0)
    # As update_bn has it: the unbiased variance of each batch.
    variance = torch.stack([one.var((0, 2, 3)) for one in maps]).mean(0)
    torch.testing.assert_close(statistics(saved), (mean, variance))


def test_a_resumed_training_is_the_same(tmp_path: Path) -> None:
    plain = Run(tmp_path / "plain").run()
    straight = Run(tmp_path / "a")
    Precise(straight, 4)
    straight.run()
    broken = Run(tmp_path / "b", stop_at=8)
    Precise(broken, 4)
    with pytest.raises(Stop):
        broken.run()
    resumed = Run(tmp_path / "b", resume=True)
    Precise(resumed, 4)
    resumed.run()
    for a, b in zip(straight.network.parameters(), plain.network.parameters(), strict=True):
        assert torch.equal(a, b)  # training does not see them
    assert not same(straight.network, plain.network)
    assert same(resumed.network, straight.network)


def test_what_is_no_number(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with pytest.raises(ValueError, match="precise_bn is -1"):
        PreciseStatistics(run.network, loader(), run.evaluator, -1)
