# SPDX-License-Identifier: Apache-2.0
"""What the runs of a network's folds say of themselves: epochs, time, what was planned, their curves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.bundle.locate import load
from sa2_monai.bundle.network import resolve
from sa2_monai.evaluation.report.history import HISTORY_NAME, read_history
from sa2_monai.evaluation.report.html.curves import Curve, plot_lines

__all__ = ["curves_of", "runs_of", "settings_of"]

#: Switches of a plan that differ from network to network.
_SHOWN = ("roi_size", "batch_size", "max_epochs", "learning_rate", "optimizer_name", "loss_name", "select")


def runs_of(folder: Path, folds: int) -> list[dict[str, Any]]:
    """Each training: ``fold``, ``epochs``, ``max_epochs``, ``minutes`` and whether the time limit has ``stopped`` it.

    Args:
        folder: of a cross-validation.
        folds: their number.
    """
    found = []
    for fold in range(folds):
        run = folder / f"fold{fold}"
        history = read_history(run / "eval" / HISTORY_NAME)
        record = json.loads((run / "eval" / "run.json").read_text(encoding="utf-8"))
        found.append(
            {
                "fold": fold,
                "epochs": int(history[-1]["epoch"]) if history else 0,
                "max_epochs": record.get("configuration", {}).get("max_epochs"),
                "minutes": sum(row.get("seconds", 0.0) for row in history) / 60,
                "stopped": record.get("stopped") == "time",
            }
        )
    return found


def settings_of(folder: Path) -> dict[str, Any]:
    """What was planned for a network, or given: the switches that differ from network to network.

    Args:
        folder: of a cross-validation.
    """
    train = load(folder / "fold0" / "configs" / "train.json")
    # Of a network's arguments those that are switches: its width, its variant.
    options = [name for name in train["network_def"] if name not in ("in_channels", "out_channels")]
    names = [name for name in dict.fromkeys((*_SHOWN, *options)) if name in train]
    return dict(zip(names, resolve(train, *names), strict=True))


def curves_of(folders: Mapping[str, Path], folds: int) -> list[Curve]:
    """Validation Dice and training loss of all networks over the minutes of training, each the mean of its folds.

    Args:
        folders: of the cross-validations by name of the network.
        folds: their number.
    """
    dice, loss, last = {}, {}, 0.0
    for name, folder in folders.items():
        histories = [read_history(folder / f"fold{fold}" / "eval" / HISTORY_NAME) for fold in range(folds)]
        dice[name] = _mean_line(histories, "val_mean_dice")
        loss[name] = _mean_line(histories, "train_loss")
        last = max([last, *(minutes for minutes, _ in (*dice[name], *loss[name]))])
    colours = {name: number for number, name in enumerate(folders, start=1)}
    curves = [
        plot_lines("Dice of the validation", dice, colours, last, "minute"),
        plot_lines("Training loss", loss, colours, last, "minute"),
    ]
    return [curve for curve in curves if curve is not None]


def _mean_line(histories: Sequence[Sequence[Mapping[str, float]]], column: str) -> list[tuple[float, float]]:
    """Points (minutes of training, value) of the epochs that all folds have."""
    folds = []
    for history in histories:
        minutes, points = 0.0, {}
        for row in history:
            minutes += row.get("seconds", 0.0) / 60
            if column in row:
                points[int(row["epoch"])] = (minutes, row[column])
        folds.append(points)
    common = sorted(set.intersection(*(set(points) for points in folds))) if folds else []
    at = [[points[epoch] for points in folds] for epoch in common]
    return [(round(sum(x for x, _ in ps) / len(ps), 3), sum(y for _, y in ps) / len(ps)) for ps in at]
