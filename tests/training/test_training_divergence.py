# SPDX-License-Identifier: Apache-2.0
"""A training that diverges ends with an error, and leaves what was good."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import list_data_collate
from torch import nn
from training_setup import Run, items, same, tiny_network

from sa2_monai.training import DivergedError, DivergenceCheck
from sa2_monai.training.divergence import batch_cases, refuse_not_finite
from sa2_monai.weights import read_info


def checked(folder: Path, *arguments: Any, **options: Any) -> Run:
    run = Run(folder, *arguments, **options)
    DivergenceCheck(run.network).attach(run.trainer)
    return run


def with_value(value: float) -> list[dict[str, Any]]:
    data = items()
    data[7]["image"][0, 3, 3] = value
    return data


class At(nn.Module):
    """A loss that is right but in one iteration."""

    def __init__(self, iteration: int, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.iteration, self.change, self.seen = iteration, change, 0

    def forward(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        self.seen += 1
        loss = nn.functional.mse_loss(prediction, target)
        return self.change(loss) if self.seen == self.iteration else loss


def steep(loss: torch.Tensor) -> torch.Tensor:
    """Nothing is added, but the gradient of the root is infinite at 0, and 0 times that is NaN."""
    return loss + torch.sqrt(loss * 0)


# What goes wrong, what the message says, in which of twelve iterations (``None``: depends on the order).
CASES: list[tuple[str, dict[str, Any], str, int | None]] = [
    ("NaN in an image", {"data": with_value(float("nan"))}, "the loss is nan", None),
    ("infinite voxel", {"data": with_value(float("inf"))}, "the loss is nan", None),
    ("huge voxel", {"data": with_value(3e38)}, "not finite in 1.running_var", None),
    ("infinite loss", {"loss": At(5, lambda loss: loss * float("inf"))}, "the loss is inf and", 5),
    ("minus infinite loss", {"loss": At(5, lambda loss: loss - float("inf"))}, "the loss is -inf", 5),
    (
        "NaN loss",
        {"loss": At(12, lambda loss: loss * float("nan"))},
        "the loss is nan and after the step .* 3 more tensors",
        12,
    ),
    ("gradient alone", {"loss": At(6, steep)}, r"all\): after the step values are not finite in 0\.w", 6),
    ("last iteration", {"loss": At(12, steep)}, r"all\): after the step values are not finite in 0\.w", 12),
    ("learning rate", {"optimizer": torch.optim.SGD, "learning_rate": 1e30}, "the loss is|after the step", None),
]


@pytest.mark.parametrize(("options", "text", "iteration"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_first_value_that_is_not_finite_ends_it(
    options: dict[str, Any], text: str, iteration: int | None, tmp_path: Path
) -> None:
    run = checked(tmp_path, **options)
    batches: list[list[str]] = []
    run.trainer.add_event_handler(Events.ITERATION_STARTED, lambda engine: batches.append(engine.state.batch["case"]))
    with pytest.raises(DivergedError, match=text) as caught:
        run.run()
    message = str(caught.value)
    last = run.trainer.state.iteration
    assert iteration in (None, last)
    place = f"epoch {(last - 1) // 3 + 1}, iteration {(last - 1) % 3 + 1} of 3 ({last} in all)"
    assert place in message
    assert f"Cases of its batch: {', '.join(batches[-1])}. " in message
    if "data" in options:
        assert "case_7" in batches[-1]
    for name in tmp_path.glob("*.pt"):
        content = torch.load(name, weights_only=True)
        refuse_not_finite(content.get("model", content), 0)


def test_the_states_from_before_are_kept_and_resume_goes_on(tmp_path: Path) -> None:
    run = checked(tmp_path, loss=At(8, steep))
    kept: dict[str, bytes] = {}
    run.trainer.add_event_handler(
        Events.EPOCH_STARTED(once=3), lambda _: kept.update({p.name: p.read_bytes() for p in tmp_path.iterdir()})
    )
    with pytest.raises(DivergedError, match="epoch 3, iteration 2"):
        run.run()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept
    assert set(kept) == {"last_state.pt", "last_state_before.pt", "model.pt", "model.json"}
    again = checked(tmp_path, resume=True, loss=At(2, steep))  # nothing was changed: it diverges again
    with pytest.raises(DivergedError, match="epoch 3, iteration 2"):
        again.run()
    resumed = checked(tmp_path, resume=True).run()
    assert resumed.epochs == [3, 4]
    assert same(resumed.network, Run(tmp_path / "straight").run().network), "the check changes nothing"
    slower = checked(tmp_path, 5, True, learning_rate=1e-4).run()
    assert slower.epochs == [5]


def test_nothing_is_saved_without_the_check_either(tmp_path: Path) -> None:
    """Configurations of earlier versions do not list it."""
    run = Run(tmp_path, loss=At(6, steep))
    with pytest.raises(
        DivergedError, match=r"after epoch 2 values are not finite in 0\.weight, 0\.bias, 1\.weight and"
    ):
        run.run()
    assert torch.load(tmp_path / "last_state.pt", weights_only=True)["engine"]["epoch"] == 1
    assert read_info(tmp_path / "model.pt")["epoch"] == 1
    unchecked = Run(tmp_path / "no validation", 1, validate=False, save_interval=9, loss=At(3, steep))
    with pytest.raises(DivergedError, match="after epoch 1"):
        unchecked.run()
    assert not list((tmp_path / "no validation").glob("*.pt"))


def test_statistics_of_a_normalisation_count(tmp_path: Path) -> None:
    """They spoil each prediction, though the loss of the training does not use them."""
    run = checked(tmp_path)
    spoil = Events.ITERATION_STARTED(once=4)
    run.trainer.add_event_handler(spoil, lambda _: run.network[1].running_var.fill_(float("inf")))
    with pytest.raises(DivergedError, match=r"after the step values are not finite in 1\.running_var\."):
        run.run()
    assert run.trainer.state.iteration == 4


@pytest.mark.filterwarnings("ignore:.*CUDA is not available:UserWarning", "ignore:.*lr_scheduler.step:UserWarning")
def test_gradients_that_the_scaler_leaves_out_are_legal(tmp_path: Path) -> None:
    def scaled(name: str, scale: float, bad: Callable[[int], bool]) -> Run:
        run = checked(tmp_path / name)
        run.trainer.amp, scaler = True, torch.amp.GradScaler("cpu", init_scale=scale)
        run.trainer.add_event_handler(Events.STARTED, lambda engine: setattr(engine, "scaler", scaler))
        weight = next(run.network.parameters())
        weight.register_hook(lambda grad: grad * float("inf") if bad(run.trainer.state.iteration) else grad)
        return run

    run = scaled("some", 64.0, lambda iteration: iteration in (1, 5)).run()
    assert run.epochs == [1, 2, 3, 4]
    assert run.trainer.scaler.get_scale() == 16.0
    none = scaled("none", 4e-6, lambda _: True)
    with pytest.raises(DivergedError, match="epoch 1: the gradients were not finite in so many iterations"):
        none.run()


def test_a_validation_without_a_number_is_no_new_best(tmp_path: Path) -> None:
    scores = {1: 0.2, 2: float("nan"), 3: 0.3, 4: float("nan")}
    assert checked(tmp_path, scores=scores).run().epochs == [1, 2, 3, 4]
    assert read_info(tmp_path / "model.pt")["epoch"] == 3


def test_large_values_are_finite(tmp_path: Path) -> None:
    """Sums and squares of them are not."""
    network = tiny_network()
    nn.init.constant_(network[4].bias, 3e38)
    engine = Engine(lambda *_: None)
    engine.state.output = {"loss": torch.tensor(1.0)}
    DivergenceCheck(network)(engine)
    engine.state.output = [{"loss": 3.0}, {"loss": 3.0}]  # decollated
    DivergenceCheck(network)(engine)
    engine.state.epoch_length, engine.state.iteration, engine.state.epoch = 5, 7, 2
    with pytest.raises(DivergedError, match=r"iteration 2 of 5 \(7 in all\): after .* in 4\.bias\. .* not named"):
        DivergenceCheck(network.half())(engine)  # as a half it is infinite


def test_names_of_cases() -> None:
    samples = [{"case": "a", "slice_index": 3, "x": np.zeros(2)}, {"case": "a", "slice_index": 5, "x": np.zeros(2)}]
    assert batch_cases(list_data_collate(samples)) == ["a (slice 3)", "a (slice 5)"]
    assert batch_cases(samples) == ["a (slice 3)", "a (slice 5)"]
    assert batch_cases({"case": ["a", "a", "b"]}) == ["a", "b"]
    assert batch_cases({"case": "a"}) == ["a"]
    assert batch_cases({"image": torch.zeros(1)}) == batch_cases(None) == batch_cases(torch.zeros(1)) == []
    assert batch_cases({"name": ["a"]}, "name") == ["a"]
