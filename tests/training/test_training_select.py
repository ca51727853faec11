# SPDX-License-Identifier: Apache-2.0
"""Which epoch makes model.pt: the best of the validation, or the last."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from training_setup import Run, Stop, same, tiny_network

from sa2_monai.training import CheckpointHandler, EarlyStop
from sa2_monai.weights import load_weights, read_info

SCORES = {1: 0.1, 2: 0.9, 3: 0.5, 4: 0.8}
TEST_CASES = [
    ({}, {"select": "best", "epoch": 2, "metric": 0.9, "metric_name": "score"}),
    ({"select": "last"}, {"select": "last", "epoch": 4, "metric": 0.8, "metric_name": "score"}),
    ({"select": "last", "val_interval": 3}, {"select": "last", "epoch": 4}),  # no validation in the last epoch
    ({"select": "last", "validate": False}, {"select": "last", "epoch": 4}),
    ({"validate": False}, {"select": "last", "epoch": 4}),
]


@pytest.mark.parametrize(("options", "expected"), TEST_CASES, ids=str)
def test_the_sidecar_says_which_epoch(options: dict, expected: dict, tmp_path: Path) -> None:
    run = Run(tmp_path, scores=SCORES, **options).run()
    info = read_info(tmp_path / "model.pt")
    assert {name: info[name] for name in ("select", "epoch", "metric", "metric_name") if name in info} == expected
    saved = tiny_network()
    load_weights(saved, tmp_path / "model.pt")
    assert same(saved, run.network) == (expected["epoch"] == 4)


def test_the_last_epoch_after_a_resume(tmp_path: Path) -> None:
    straight = Run(tmp_path / "a", scores=SCORES, select="last").run()
    with pytest.raises(Stop):
        Run(tmp_path / "b", scores=SCORES, select="last", stop_at=8).run()
    assert not (tmp_path / "b" / "model.pt").exists()
    resumed = Run(tmp_path / "b", resume=True, scores=SCORES, select="last").run()
    assert same(straight.network, resumed.network)
    assert read_info(tmp_path / "b" / "model.pt")["epoch"] == 4


def test_a_best_epoch_whose_weights_were_not_kept_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Stop):
        Run(tmp_path, scores=SCORES, select="last", stop_at=8).run()
    with caplog.at_level(logging.WARNING):
        Run(tmp_path, resume=True, scores=SCORES).run()
    assert "the best epoch is looked for from here on" in caplog.text
    assert read_info(tmp_path / "model.pt")["epoch"] == 4  # epoch 2 was better, and is gone


def test_nothing_stops_early_when_nothing_is_chosen(tmp_path: Path) -> None:
    for patience, epochs in ((1, [1, 2, 3, 4]), (None, [1, 2, 3, 4, 5, 6])):
        run = Run(tmp_path / str(patience), 6, scores={**SCORES, 5: 0.1, 6: 0.1}, select="last")
        EarlyStop(run.evaluator, patience).attach(run.trainer)
        assert run.run().epochs == epochs


def test_what_is_no_choice() -> None:
    with pytest.raises(ValueError, match="select is 'first', expected one of best, last"):
        CheckpointHandler("nowhere", tiny_network(), None, select="first")  # type: ignore[arg-type]
