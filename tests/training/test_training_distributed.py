# SPDX-License-Identifier: Apache-2.0
"""Two processes train together, save, and resume, without waiting for each other for ever."""

from __future__ import annotations

import json
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import MeanSquaredError, ValidationHandler, from_engine
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler
from training_setup import items, tiny_network

from sa2_monai.evaluation.cases.processes import share_cases
from sa2_monai.inference import CaseSampler
from sa2_monai.io.ownership import FolderInUseError, claim_folder
from sa2_monai.training import (
    CheckpointHandler,
    DivergedError,
    DivergenceCheck,
    EarlyStop,
    EpochSeed,
    FreezeEncoder,
    OneWriter,
    RunRecord,
    check_folder,
)
from sa2_monai.weights import load_weights
from tests.support.programs import run_processes


def train(folder: Path, max_epochs: int, resume: bool, bad_case: int | None = None) -> None:
    network = DistributedDataParallel(tiny_network())
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    dataset, val_dataset = Dataset(items(8)), Dataset(items(4))
    if bad_case is not None:
        dataset.data[bad_case]["image"][0, 0, 0] = float("nan")
    loader = DataLoader(dataset, batch_size=2, sampler=DistributedSampler(dataset))
    val_loader = DataLoader(val_dataset, batch_size=1, sampler=DistributedSampler(val_dataset, shuffle=False))
    metric = {"score": MeanSquaredError(output_transform=from_engine(["pred", "label"]))}
    evaluator = SupervisedEvaluator("cpu", val_loader, network, key_val_metric=metric)
    handlers: list[Any] = [
        OneWriter([folder]),
        EpochSeed(3, dataset),
        DivergenceCheck(network),
        ValidationHandler(1, evaluator),
        CheckpointHandler(folder, network, optimizer, None, evaluator, resume),
        EarlyStop(evaluator, 20),
        FreezeEncoder(network, 0.1, "0"),  # the first epoch
        RunRecord(folder, {"seed": 3}),
    ]
    SupervisedTrainer("cpu", max_epochs, loader, network, optimizer, nn.MSELoss(), train_handlers=handlers).run()
    torch.save(network.module.state_dict(), folder / f"rank{dist.get_rank()}.pt")


def diverge(folder: Path) -> None:
    """The case of one process is bad: both end in the same iteration with the same message; what was good is kept."""
    train(folder, 1, False)
    dist.barrier()  # the first process has written
    before = (folder / "last_state.pt").read_bytes()
    with pytest.raises(DivergedError) as caught:
        train(folder, 2, True, bad_case=5)
    message = str(caught.value)
    assert (folder / "last_state.pt").read_bytes() == before
    dist.barrier()
    train(folder, 2, True)
    (folder / f"message{dist.get_rank()}").write_text(message)


def refused(folder: Path) -> None:
    """The first process finds that another program has the folder; both are told."""
    for refuse in (lambda: check_folder(folder), lambda: train(folder, 1, False)):
        with pytest.raises(FolderInUseError, match="another program writes into this folder: test of two, process"):
            refuse()
    (folder / f"refused{dist.get_rank()}").touch()


def stop_in_time(folder: Path) -> None:
    """The clock of the first process counts; that of the other one would go on for a day."""
    network = tiny_network()
    evaluator = SupervisedEvaluator("cpu", DataLoader(Dataset(items(2))), network)
    stop = EarlyStop(evaluator, 20, time_limit=1e-3 if dist.get_rank() == 0 else 86400)
    trainer = SupervisedTrainer(
        *("cpu", 4, DataLoader(Dataset(items(2))), network, torch.optim.SGD(network.parameters(), 0.1), nn.MSELoss()),
        train_handlers=[stop],
    )
    trainer.run()
    (folder / f"epochs{dist.get_rank()}").write_text(str(trainer.state.epoch))


def share(folder: Path) -> None:
    """Each case is measured by one process; both have all values, and the same errors."""
    seen = []

    def measure(case: str) -> int:
        seen.append(case)
        if case == "b":
            raise FileNotFoundError(2, "No such file", "b.png")
        if case == "d":
            raise BadCase("d", 4)
        return len(case)

    values = share_cases(["a", "b", "c", "d", "eee"], measure)
    errors = []
    for case in ("b", "d"):
        with pytest.raises((OSError, ValueError)) as caught:
            values(case)
        errors.append(str(caught.value))
    found = {"seen": seen, "values": [values(case) for case in ("a", "c", "eee")], "errors": errors}
    found["few"] = [list(CaseSampler(range(n), share_few=few)) for n, few in ((1, False), (1, True), (3, True))]
    (folder / f"shared{dist.get_rank()}.json").write_text(json.dumps(found))


class BadCase(ValueError):
    """An exception that cannot be sent to another process: it is not built from its message."""

    def __init__(self, case: str, number: int) -> None:
        super().__init__(f"{case} has {number}")


def work(rank: int, folder: str) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2, timeout=timedelta(seconds=60))
    try:
        train(Path(folder) / "interrupted", 2, False)
        train(Path(folder) / "interrupted", 3, True)
        train(Path(folder) / "straight", 3, False)
        diverge(Path(folder) / "diverged")
        refused(Path(folder) / "held")
        stop_in_time(Path(folder))
        share(Path(folder))
    finally:
        dist.destroy_process_group()


@pytest.mark.integration
def test_two_processes_save_and_resume(tmp_path: Path) -> None:
    with claim_folder(tmp_path / "held", "test of two"):
        run_processes(work, 2, str(tmp_path))
    assert sorted(path.name for path in (tmp_path / "held").iterdir()) == ["refused0", "refused1"]
    messages = [(tmp_path / "diverged" / f"message{rank}").read_text() for rank in range(2)]
    assert messages[0] == messages[1]
    assert re.search(
        r"epoch 2, iteration [12] of 2 .*: the loss is nan .* batch: (case_5, case_\d|case_\d, case_5)\. ", messages[0]
    )
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

    assert [(tmp_path / f"epochs{rank}").read_text() for rank in range(2)] == ["1", "1"]
    shared = [json.loads((tmp_path / f"shared{rank}.json").read_text()) for rank in range(2)]
    assert [found["seen"] for found in shared] == [["a", "c", "eee"], ["b", "d"]]
    assert all(found["values"] == [1, 1, 3] for found in shared)
    assert all(found["errors"] == ["[Errno 2] No such file: 'b.png'", "d has 4"] for found in shared)
    assert [found["few"] for found in shared] == [[[0], [0], [0, 2]], [[], [0], [1]]]


def test_a_part_that_is_none() -> None:
    assert list(CaseSampler(range(3))) == [0, 1, 2]
    with pytest.raises(ValueError, match="index is 2, expected 0 to 1"):
        CaseSampler(range(3), index=2, count=2)
