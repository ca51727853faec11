# SPDX-License-Identifier: Apache-2.0
"""tools/benchmark evaluation compares before it times; how fast things are is no matter of a test."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
from benchmark import evaluation
from benchmark.frame.command import parse
from benchmark.generated.label_maps import label_maps, noisy


def arguments(*words: str) -> argparse.Namespace:
    return parse("evaluation", ["--size", "48", "--slices", "16", "--classes", "3", *words])[1]


def test_report() -> None:
    rows = list(evaluation.run(arguments("--peers", "monai")))
    cases = ["48 x 48 x 16, 3 organs, 0.0% of noise", "48 x 48 x 16, 3 organs, 0.1% of noise"]
    assert [(row["case"], row["contestant"]) for row in rows] == [
        (case, contestant) for case in cases for contestant in ("monai", "sa2_monai against monai")
    ]
    assert [row["ratio"] == 1.0 for row in rows] == [True, False] * 2
    assert all(row["median_ms"] > 0 for row in rows)
    assert rows[1]["hd95_differs_by"] < 1e-3


def test_label_maps_are_the_same_for_a_seed() -> None:
    first, second = label_maps((64, 64, 24)), label_maps((64, 64, 24))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    prediction, reference = first
    assert set(np.unique(reference)) == set(range(9))
    sizes = np.bincount(reference.ravel())[1:]
    assert sizes.max() > 20 * sizes.min()
    assert 0.3 < np.mean(prediction[reference > 0] == reference[reference > 0]) < 1
    changed = noisy(reference, 0.01, seed=0) != reference
    assert 0.005 < changed.mean() < 0.01


def test_contestants_that_disagree_are_not_timed() -> None:
    def wrong(prediction: np.ndarray, reference: np.ndarray, classes: int) -> list[tuple[float, float]]:
        return [(dice + 1e-3, hd95) for dice, hd95 in evaluation.ours(prediction, reference, classes)]

    for name in ("monai", "surface-distance"):
        with pytest.raises(SystemExit, match=f"{name} differs from sa2_monai by its own definition: nothing is timed"):
            evaluation.check_agreement({name: wrong})


@pytest.mark.parametrize(
    ("words", "message"), [(["--classes", "9"], "expected 1 to 8"), (["--size", "4"], "at least 8 rows")]
)
def test_wrong_use(words: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        list(evaluation.run(arguments(*words)))


def test_without_peers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(evaluation.importlib.util, "find_spec", lambda name: None)
    assert evaluation.installed(None) == ["monai"]
    assert "medpy is not installed and left out (pip install MedPy==0.5.2)" in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r"pip install MedPy==0\.5\.2"):
        evaluation.installed(["medpy"])
