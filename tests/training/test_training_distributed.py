# SPDX-License-Identifier: Apache-2.0
"""Two processes train together, save, and resume, without waiting for each other for ever."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import MeanSquaredError, ValidationHandler, from_engine
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler
from training_setup import items, tiny_network

from sa2_monai.training import CheckpointHandler, EarlyStop, EpochSeed, FreezeEncoder, RunRecord
from sa2_monai.weights import load_weights


def train(folder: Path, max_epochs: int, resume: bool) -> None:
    network = DistributedDataParallel(tiny_network())
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    dataset, val_dataset = Dataset(items(8)), Dataset(items(4))
    loader = DataLoader(dataset, batch_size=2, sampler=DistributedSampler(dataset))
    val_loader = DataLoader(val_dataset, batch_size=1, sampler=DistributedSampler(val_dataset, shuffle=False))
    metric = {"score": MeanSquaredError(output_transform=from_engine(["pred", "label"]))}
    evaluator = SupervisedEvaluator("cpu", val_loader, network, key_val_metric=metric)
    handlers: list[Any] = [
        EpochSeed(3, dataset),
        ValidationHandler(1, evaluator),
        CheckpointHandler(folder, network, optimizer, None, evaluator, resume),
        EarlyStop(evaluator, 20),
        FreezeEncoder(network, 0.1, "0"),  # the first epoch
        RunRecord(folder, {"seed": 3}),
    ]
    SupervisedTrainer("cpu", max_epochs, loader, network, optimizer, nn.MSELoss(), train_handlers=handlers).run()
    torch.save(network.module.state_dict(), folder / f"rank{dist.get_rank()}.pt")


def work(rank: int, folder: str) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2, timeout=timedelta(seconds=60))
    try:
        train(Path(folder) / "interrupted", 2, False)
        train(Path(folder) / "interrupted", 3, True)
        train(Path(folder) / "straight", 3, False)
    finally:
        dist.destroy_process_group()


@pytest.mark.integration
def test_two_processes_save_and_resume(tmp_path: Path) -> None:
    mp.spawn(work, (str(tmp_path),), nprocs=2)
    folder = tmp_path / "interrupted"
    first, second = (torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first if "running" not in name)
    straight = torch.load(tmp_path / "straight" / "rank0.pt", weights_only=True)
    assert all(torch.equal(first[name], straight[name]) for name in straight)

    last = torch.load(folder / "last_state.pt", weights_only=True)
    assert last["engine"]["epoch"] == 3
    assert last["evaluator"]["best_metric_epoch"] >= 1
    load_weights(tiny_network(), folder / "model.pt")  # plain names, without DDP's prefix
    record = json.loads((folder / "run.json").read_text())
    assert (record["status"], record["processes"], [e["epoch"] for e in record["epochs"]]) == ("completed", 2, [3])
