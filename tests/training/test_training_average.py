# SPDX-License-Identifier: Apache-2.0
"""The average of the weights: its values, who sees it, what is saved."""

from __future__ import annotations

import copy
import logging
from pathlib import Path

import pytest
import torch
from ignite.engine import Events
from training_setup import Run, Stop, same, tiny_network

from sa2_monai.training import WeightAverage
from sa2_monai.weights import load_weights, read_info


def test_values_are_those_of_the_formula(tmp_path: Path) -> None:
    """Weights and running statistics; counters are copied."""
    run = Run(tmp_path, 3, ema=0.3, update={"accumulate": 2})  # three iterations in an epoch make two steps
    states: list[dict[str, torch.Tensor]] = []
    run.optimizer.register_step_post_hook(lambda *_: states.append(copy.deepcopy(run.network.state_dict())))
    run.run()
    assert len(states) == 6
    expected = states[0]
    for steps, state in enumerate(states[1:], 1):
        decay = min(0.3, (1 + steps) / (10 + steps))
        for name, value in state.items():
            expected[name] = decay * expected[name] + (1 - decay) * value if value.is_floating_point() else value
    found = run.average.model.state_dict()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)
    assert (1 + 1) / (10 + 1) < 0.3 < (1 + 5) / (10 + 5)  # both branches of the decay


def test_training_goes_on_with_its_own_weights(tmp_path: Path) -> None:
    plain, averaged = Run(tmp_path / "a", 3).run(), Run(tmp_path / "b", 3, ema=0.9).run()
    assert same(plain.network, averaged.network)
    assert not same(averaged.network, averaged.average.model)


def test_the_average_validates_and_becomes_the_model(tmp_path: Path) -> None:
    run = Run(tmp_path, 2, ema=0.9, select="last")
    seen: list[bool] = []
    run.evaluator.add_event_handler(
        Events.ITERATION_STARTED, lambda _: seen.append(torch.equal(run.network[0].weight, kept[-1]))
    )
    kept: list[torch.Tensor] = []
    run.evaluator.add_event_handler(Events.STARTED, lambda _: None)
    run.trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda _: kept.append(run.average.model[0].weight.clone())
    )
    run.run()
    assert seen
    assert all(seen)
    saved = tiny_network()
    load_weights(saved, tmp_path / "model.pt")
    assert same(saved, run.average.model)
    assert read_info(tmp_path / "model.pt")["ema"] == 0.9


def test_an_average_that_begins_late(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Stop):
        Run(tmp_path, stop_at=8).run()
    with caplog.at_level(logging.INFO):
        run = Run(tmp_path, resume=True, ema=0.9).run()
    assert "had no average of its weights: it begins here" in caplog.text
    assert int(run.average.averaged.n_averaged) == 6  # type: ignore[union-attr, arg-type]
    # and one that ends
    assert Run(tmp_path, 5, resume=True).run().epochs == [5]


@pytest.mark.parametrize("decay", [0, 1, -0.5])
def test_what_is_no_decay(decay: float) -> None:
    network = tiny_network()
    with pytest.raises(ValueError, match="expected a decay above 0 and below 1"):
        WeightAverage(network, torch.optim.SGD(network.parameters()), None, decay)
