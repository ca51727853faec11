# SPDX-License-Identifier: Apache-2.0
"""Finished cross-validations made by hand, as far as a comparison reads them.

Why: what a report says of failures, classes, names and trainings does not need trainings.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sa2_monai.evaluation import evaluate

NAMES = ["background", "cell & <nucleus>", "debris"]


def write_data(folder: Path, cases: int = 24) -> dict[str, Path]:
    """Images of two classes with their masks; the names of two cases would do something to a page.

    Args:
        folder: gets ``images`` and ``masks``.
        cases: number of them.

    Returns:
        Masks by case.
    """
    rng = np.random.default_rng(0)
    masks = {}
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for index in range(cases):
        case = {0: "<b>bold<b>", 1: "{{ 7*7 }}"}.get(index, f"case{index:02d}")
        label = np.zeros((32, 40), np.uint8)
        label[6:20, 4 : 16 + index % 5] = 1
        label[22:30, 20:36] = 2
        image = (label * 80 + rng.integers(0, 60, label.shape)).astype(np.uint8)
        Image.fromarray(image).save(folder / "images" / f"{case}.png")
        Image.fromarray(label).save(folder / "masks" / f"{case}.png")
        masks[case] = folder / "masks" / f"{case}.png"
    return masks


def write_crossval(folder: Path, masks: Mapping[str, Path], shift: int, stopped: bool = False) -> None:
    """A cross-validation of two folds, whose predictions are the masks, moved.

    Args:
        folder: of the cross-validation.
        masks: by case.
        shift: pixels that predictions are moved by, in every second case one more; the last case misses class 2.
        stopped: whether the time limit has stopped the training of the second fold.
    """
    out = folder / "out_of_fold"
    (out / "predictions").mkdir(parents=True)
    entries: list[dict[str, Any]] = []
    for index, (case, mask) in enumerate(masks.items()):
        label = np.roll(np.asarray(Image.open(mask)), shift + (shift > 0) * (index % 2), axis=0)
        if index == len(masks) - 1 and shift:
            label = np.where(label == 2, 0, label)
        Image.fromarray(label.astype(np.uint8)).save(out / "predictions" / f"{case}.png")
        image = mask.parents[1] / "images" / mask.name
        entries.append({"case": case, "prediction": f"predictions/{case}.png", "image": str(image), "label": str(mask)})
    predictions = {entry["case"]: out / entry["prediction"] for entry in entries}
    result = evaluate(predictions, dict(masks), NAMES, bootstrap_samples=200)
    for row in result.per_case:
        row["fold"] = 0
    result.write(out)
    _write(out / "cases.json", {"classes": NAMES, "options": {"label_values": None}, "cases": entries})
    _write(folder / "crossval.json", {"ensemble": {"dice": 0.75, "iou": 0.6, "cases": 5}})
    for fold in range(2):
        _write_run(folder / f"fold{fold}", stopped and fold == 1)


def _write_run(run: Path, stopped: bool) -> None:
    train = {"model_info": {"network": "sa2net"}, "kind": "images", "roi_size": [32, 32], "select": "last"}
    network = {"network_def": {"in_channels": 3, "base_channels": "@base_channels"}, "base_channels": 4}
    _write(run / "configs" / "train.json", {**train, **network})
    record = {"configuration": {"max_epochs": 4}, **({"stopped": "time"} if stopped else {})}
    _write(run / "eval" / "run.json", record)
    with open(run / "eval" / "history.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "train_loss", "val_mean_dice", "learning_rate", "seconds"])
        writer.writerows([epoch, 1 / epoch, 1 - 0.5 / epoch, 0.001, 90] for epoch in range(1, 3 if stopped else 5))


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
