# SPDX-License-Identifier: Apache-2.0
"""The weights of the best few epochs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from training_setup import Run, Stop

from sa2_monai.training.best_weights import BestWeights
from sa2_monai.weights import read_info

SCORES = {1: 0.5, 2: 0.9, 3: 0.5, 4: 0.8, 5: float("nan")}


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "best").glob("*")) if (folder / "best").is_dir() else []


def epochs(folder: Path) -> list[int]:
    return [one["epoch"] for one in json.loads((folder / "best" / "list.json").read_text())["best"]]


@pytest.mark.parametrize(("keep", "expected"), [(2, [2, 4]), (3, [2, 4, 1]), (9, [2, 4, 1, 3])])
def test_the_best_and_nothing_else(keep: int, expected: list[int], tmp_path: Path) -> None:
    Run(tmp_path, 5, scores=SCORES, keep_best=keep).run()
    assert epochs(tmp_path) == expected
    assert files(tmp_path) == sorted(
        ["list.json", *(f"epoch_{one}.{end}" for one in expected for end in ("pt", "json"))]
    )
    assert {read_info(tmp_path / "best" / f"epoch_{one}.pt")["metric"] for one in expected} <= set(SCORES.values())


def test_one_is_the_model_alone(tmp_path: Path) -> None:
    Run(tmp_path, 2, scores=SCORES).run()
    assert files(tmp_path) == []
    with pytest.raises(ValueError, match="keep_best is 0, expected"):
        BestWeights(tmp_path, 0)


def test_an_interrupted_training_ends_with_the_same_files(tmp_path: Path) -> None:
    Run(tmp_path / "a", 5, scores=SCORES, keep_best=2).run()
    for stop_at in (5, 8, 11):  # in the second, third, fourth epoch
        folder = tmp_path / str(stop_at)
        with pytest.raises(Stop):
            Run(folder, 5, scores=SCORES, keep_best=2, stop_at=stop_at).run()
        Run(folder, 5, True, scores=SCORES, keep_best=2).run()
        assert (epochs(folder), files(folder)) == (epochs(tmp_path / "a"), files(tmp_path / "a"))


def test_epochs_that_the_state_does_not_know_are_forgotten(tmp_path: Path) -> None:
    run = Run(tmp_path, 4, scores=SCORES, keep_best=2).run()
    run.checkpoint.best.forget_after(3)
    assert epochs(tmp_path) == [2]
    assert files(tmp_path) == ["epoch_2.json", "epoch_2.pt", "list.json"]


def test_those_of_an_earlier_training_are_kept_apart(tmp_path: Path) -> None:
    Run(tmp_path, 4, scores=SCORES, keep_best=2).run()
    Run(tmp_path, 1, scores=SCORES, keep_best=2).run()
    assert epochs(tmp_path) == [1]
    assert (tmp_path / "previous" / "1" / "best" / "epoch_2.pt").is_file()
