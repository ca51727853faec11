# SPDX-License-Identifier: Apache-2.0
"""An evaluation that a report has something of everything to say about, and a page taken apart.

Why: the tests of the page's text and those in a browser look at the same one.
"""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.evaluation import EvaluationResult, evaluate

NAMES = ["background", "liver & <bile>", "spleen"]
#: Names of cases that would do something to a page that does not escape them.
HOSTILE = [
    "<script>window.hacked=1</script>",
    "</style>\"'><img src=x onerror=window.hacked=1>",
    "語 \u1e9e ñ\n{{ 7*7 }}",
]
_VOID = {"meta", "br", "img", "input"}


class Page(HTMLParser):
    """Elements of a page, in order; checks that they are closed as they were opened.

    Attributes:
        elements: tag and attributes.
        text: what is to be read, without style and script.
    """

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._text: list[str] = []
        self._open: list[str] = []
        self.feed(content)
        self.close()
        assert self._open == []

    @property
    def text(self) -> str:
        return "\n".join(self._text)

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}

    def values(self, *names: str) -> list[str]:
        """Values of some attributes."""
        return [str(value) for _, found in self.elements for name, value in found.items() if name in names]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self._open):
            self._text.append(data)


def two_evaluations(folder: Path, cases: int = 14) -> tuple[EvaluationResult, EvaluationResult]:
    """Two models on images of two classes: something missed, false, failed, empty, hostile names, a training beside.

    Args:
        folder: gets the predictions of the first model, and its training.
        cases: number of them.
    """
    rng = np.random.default_rng(0)
    references, images, first, second = {}, {}, {}, {}
    for index in range(cases):
        case = HOSTILE[index] if index < len(HOSTILE) else f"case {index:02d}"
        reference = np.zeros((60, 72), np.uint8)
        reference[12:40, 10:50] = 1
        reference[44:54, 52:66] = 2
        references[case] = reference
        images[case] = (rng.random((60, 72)) * 60 + 80 * reference).astype(np.uint8)
        for number, predictions in enumerate((first, second)):
            predictions[case] = np.where(np.arange(60)[:, None] < 13 + index + number, 0, reference).astype(np.uint8)
    first["case 03"] = np.where(first["case 03"] == 2, 0, first["case 03"])
    references["case 04"] = np.where(references["case 04"] == 2, 0, references["case 04"])
    first["case 05"] = np.full((60, 72), 9, np.uint8)
    for maps in (references, first, second):
        maps["case 06"] = np.zeros((60, 72), np.uint8)
    options: dict[str, Any] = {"images": images, "on_error": "continue", "bootstrap_samples": 50, "size_strata": True}
    results = [evaluate(found, references, NAMES, **options) for found in (first, second)]
    write_run(folder)
    for row in results[0].per_case:
        row["prediction_file"] = str(folder / "predictions" / "x.png")
    return results[0], results[1]


def write_run(folder: Path, digest: str = "ab" * 32, trained: str | None = None) -> None:
    """A folder of a training and of predictions with its weights, as far as a report reads it."""
    for name in ("models", "eval", "predictions"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    weights = folder / "models" / "model.pt"
    sidecar = {"sha256": digest, "parameters": 33_142_210, "epoch": 6, "metric": 0.8612, "metric_name": "val_mean_dice"}
    weights.with_suffix(".json").write_text(json.dumps(sidecar))
    lines = ["epoch,train_loss,val_mean_dice,val_dice_liver & <bile>,val_dice_spleen,learning_rate,seconds"]
    for epoch in range(1, 9):
        dice = f"{1 - 0.5 / epoch},{1 - 0.4 / epoch},{1 - 0.6 / epoch}" if epoch % 2 == 0 else ",,"
        lines.append(f"{epoch},{1 / epoch},{dice},0.001,465.675")
    (folder / "eval" / "history.csv").write_text("\n".join(lines) + "\n")
    training: dict[str, Any] = {
        "status": "interrupted",
        "seconds": 3725.4,
        "device": "cpu",
        "versions": {"torch": "2.13.0"},
        "configuration": {"dataset_dir": "/data/livers", "max_epochs": 20},
        "inputs": {"count": 96},
        "weights": {"sha256": trained} if trained else None,
    }
    (folder / "eval" / "run.json").write_text(json.dumps(training))
    record = {
        "started": "2026-11-30T15:02:11+00:00",
        "device": "cpu",
        "bundle": {"name": "MSA2-Net organs", "version": "0.1.0"},
        "configuration": {"dataset_dir": "/data/organs", "section": "test"},
        "weights": {"path": str(weights), "sha256": digest},
    }
    (folder / "predictions" / "run_inference.json").write_text(json.dumps(record))
