# SPDX-License-Identifier: Apache-2.0
"""tools/benchmark loader compares like with like; how fast things are is no matter of a test."""

from __future__ import annotations

import json
from typing import Any

import pytest
from benchmark import loader
from benchmark.frame.command import parse
from benchmark.loading import epochs
from benchmark.loading.processes import memory_is_told

pytestmark = pytest.mark.skipif(not memory_is_told(), reason="the memory of processes is told by Linux")


def test_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each contestant in this process instead of one of its own."""

    def here(module: str, function: str, *arguments: Any) -> dict[str, float]:
        assert (module, function) == ("benchmark.loader", "measure")
        return loader.measure(*arguments)

    monkeypatch.setattr(loader, "in_fresh_process", here)
    words = ["--size", "48", "--slices", "9", "--volumes", "2", "--batch", "8", "--batches", "3", "--workers", "1"]
    rows = list(loader.run(parse("loader", ["--measure", "contestants", *words])[1]))
    assert [row["contestant"] for row in rows] == ["RandSliced", "SliceDataset"]
    for row in rows:
        assert row["case"] == "2 volumes 48 x 48 x 9, batch 8, 1 workers"
        assert all(
            row[key] > 0 for key in ("first_batch_s", "slices_per_second", "pss_of_all_mb", "rss_of_a_worker_mb")
        )


# kind of the files, workers, title
EPOCHS = [
    ("images", 1, "svanet, narrow, 4 images 32 x 32"),
    ("volumes", 0, "daeformer, narrow, 3 volumes 48 x 48 x 9"),
]


@pytest.mark.parametrize(("kind", "workers", "case"), EPOCHS)
def test_epochs(monkeypatch: pytest.MonkeyPatch, kind: str, workers: int, case: str) -> None:
    """Trainings in this process: kept cases and others, published augmentation, no validation."""

    def here(module: str, function: str, *arguments: Any) -> dict[str, float]:
        assert (module, function) == ("benchmark.loading.epochs", "measure")
        return epochs.measure(*json.loads(json.dumps(arguments)))

    monkeypatch.setattr(epochs, "in_fresh_process", here)
    words = ["--size", "48", "--slices", "9", "--epoch-volumes", "3", "--images", "4", "--image-size", "32"]
    words = [*words, "--measure", kind, "--epoch-workers", str(workers)]
    rows = list(loader.run(parse("loader", words)[1]))
    assert [row["contestant"] for row in rows] == [f"{cached}, {workers} workers" for cached in ("cached", "uncached")]
    for row in rows:
        assert row["case"] == case
        assert 0 < row["waiting_percent"] < 100
        assert all(row[key] > 0 for key in ("build_s", "first_epoch_s", "epoch_s", "pss_of_all_mb"))
        assert row["slices_per_second"] * row["epoch_s"] == pytest.approx({"images": 4, "volumes": 27}[kind])
        assert row["rss_of_a_worker_mb"] > 0 or not workers  # other tests of this process have left children


# option, value, what is said
REFUSED = [("--epochs", "1", "found 1, expected at least 2"), ("--epoch-volumes", "2", "found 2, expected at least 3")]


@pytest.mark.parametrize(("option", "value", "said"), REFUSED)
def test_refused(option: str, value: str, said: str) -> None:
    with pytest.raises(SystemExit, match=f"^{option}: {said}"):
        list(loader.run(parse("loader", [option, value])[1]))
