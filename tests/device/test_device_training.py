# SPDX-License-Identifier: Apache-2.0
"""Every bundle trains on an accelerator and goes on where it was; the host waits once in an iteration, for the loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from torch import nn

from sa2_monai.data import make_sample, make_sample_volumes
from sa2_monai.training import DivergedError, DivergenceCheck
from tests.bundles.bundle_tools import BUNDLES, DEFAULT_KIND, make_workflow
from tests.device.fakegpu.accelerator import DEVICE, counted
from tests.device.fakegpu.process import Call

OVERLAY = {"images": "sample", "volumes": "sample_volumes"}
#: ``initialize`` checks the switches, among whose devices is none that is pretended; memory is pinned for CUDA alone.
SMALL: dict[str, Any] = {
    **{"view": "whole", "roi_size": [32, 32], "batch_size": 2, "device": DEVICE, "val_interval": 1, "initialize": []},
    **{"slices_per_epoch": 6, "train#dataloader#pin_memory": True},
}
#: Further switches for one bundle each, and how often an iteration waits for anything but the loss.
SWITCHES: dict[str, tuple[dict[str, Any], int]] = {
    "sa2net": ({}, 0),
    "daeformer": ({"gradient_clip": 1.0, "accumulate": 2}, 0),
    "hsaunet": ({"loss_name": "boundary_dou", "warmup_epochs": 1, "frozen_epochs": 0}, 0),
    "msa2net": ({"ema": 0.9}, 2),  # torch's AveragedModel brings its counter, for weights and for counters
    "svanet": ({"class_weights": [0.5, 1.5], "precise_bn": 1}, 0),
}


@pytest.mark.parametrize("bundle", BUNDLES)
def test_training_and_resume(on_accelerator: Call, bundle: str, tmp_path: Path) -> None:
    found = on_accelerator(_train, bundle, tmp_path)
    assert found["epochs"] == [1, 2]
    assert found["best"] > 0
    for iteration in found["iterations"]:  # but for the last of an epoch, which is looked at and logged
        assert iteration["copies"].get("host to device", 0) <= 2 + SWITCHES[bundle][1]  # image and label
        assert sum(iteration["syncs"].values()) <= 1 + SWITCHES[bundle][1]
    for iteration in found["last iterations"]:
        assert sum(iteration["syncs"].values()) <= 3 + SWITCHES[bundle][1]


def _train(bundle: str, folder: Path) -> dict[str, Any]:
    overlay = OVERLAY[DEFAULT_KIND[bundle]]
    if overlay == "sample":
        make_sample(folder / "data", num_training=6, num_validation=1, num_test=1, size=(48, 40))
    else:
        make_sample_volumes(folder / "data", num_training=1, num_validation=1, num_test=1, size=(28, 24, 8))
    found: dict[str, Any] = {"epochs": [], "iterations": [], "last iterations": []}
    options = {**SMALL, **SWITCHES[bundle][0], "bundle_root": str(folder), "dataset_dir": str(folder / "data")}
    for epochs in (1, 2):
        workflow = make_workflow(bundle, "train", overlay, max_epochs=epochs, resume=epochs > 1, **options)
        workflow.initialize()
        trainer = workflow.parser.get_parsed_content("train#trainer")
        _count(trainer, found)
        workflow.run()
        found["epochs"].append(trainer.state.epoch)
        found["best"] = workflow.parser.get_parsed_content("validate#evaluator").state.best_metric_epoch
    return found


def _count(trainer: Engine, found: dict[str, Any]) -> None:
    """Copies and waits of each iteration, with its handlers."""
    held = ExitStack()
    counts: list[Any] = []

    def begin(_: Engine) -> None:
        counts.append(held.enter_context(counted()))

    def end(engine: Engine) -> None:
        held.close()
        last = engine.state.iteration % engine.state.epoch_length == 0
        found["last iterations" if last else "iterations"].append(
            {"copies": counts[-1].copies, "syncs": counts[-1].syncs}
        )

    trainer.add_event_handler(Events.ITERATION_STARTED, begin)
    # Behind the handlers that add some when the training starts.
    trainer.add_event_handler(Events.STARTED, lambda engine: engine.add_event_handler(Events.ITERATION_COMPLETED, end))


@pytest.mark.parametrize(
    ("wrong", "place"), [(2, "epoch 1, iteration 2 of 6 (2 in all)"), (12, "iteration 6 of 6 (12")]
)
def test_the_first_iteration_that_diverged_is_named(on_accelerator: Call, wrong: int, place: str) -> None:
    found = on_accelerator(_diverge, wrong)
    assert place in found["message"]
    assert (
        f"the loss is nan and {'by now' if wrong == 2 else 'after the step'} values are not finite in"
        in found["message"]
    )
    assert f"Cases of its batch: case {wrong}." in found["message"]
    # After every fourth one, and at the end of the epoch.
    assert found["iterations"] == (4 if wrong == 2 else 12)


def _diverge(wrong: int) -> dict[str, Any]:
    network = nn.Linear(3, 1).to(DEVICE)

    def step(engine: Engine, batch: dict[str, Any]) -> dict[str, Any]:
        loss = network(torch.ones(2, 3, device=DEVICE)).mean()
        if engine.state.iteration == wrong:
            loss = loss * float("nan")
            with torch.no_grad():
                network.weight.fill_(float("nan"))
        return {"loss": loss}

    def batches() -> Iterator[dict[str, Any]]:
        for number in range(1, 13):
            yield {"case": [f"case {number}"]}

    engine = Engine(step)
    DivergenceCheck(network, interval=4).attach(engine)
    message = "nothing was raised"
    try:
        engine.run(batches(), max_epochs=2, epoch_length=6)
    except DivergedError as error:
        message = str(error)
    return {"message": message, "iterations": engine.state.iteration}
