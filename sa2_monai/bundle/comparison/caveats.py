# SPDX-License-Identifier: Apache-2.0
"""What the numbers of a comparison do not say: too few cases, one seed, a budget, trainings that went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sa2_monai.bundle.comparison.recommend import ALPHA
from sa2_monai.evaluation.scores.summary import FEW_CASES

__all__ = ["caveats", "constant_warnings"]


def caveats(document: Mapping[str, Any]) -> list[str]:
    """Sentences, the most important first.

    Args:
        document: content of ``compare.json``, as far as it is known.
    """
    found = [
        *_failed(document["networks"]),
        *_learned_nothing(document["networks"]),
        *_stopped(document["networks"]),
        *_chosen(document["networks"]),
    ]
    pairs = document["pairs"]
    if pairs:
        found += _few(pairs)
    configuration = document["configuration"]
    minutes, folds = configuration["minutes"], configuration["folds"]
    budget = "the planned epochs" if minutes is None else f"{minutes:g} minute{'s' * (minutes != 1)}"
    machine = document["costs"]["machine"]["device"] if document.get("costs") else "this machine"
    found.append(
        f"Each network had {budget} for each of {folds} folds on {machine}. Another budget, width or machine can "
        "change the order; it is no verdict on the networks as published."
    )
    found.append(
        "Each fold was trained once, with one seed. Trained again, a network can end some points higher or lower; the "
        "intervals are those of the cases alone."
    )
    return found


def constant_warnings(entry: Mapping[str, Any]) -> list[str]:
    """Warnings of an evaluation that a network is no better than a constant prediction.

    Args:
        entry: of the network, in ``networks``.
    """
    warnings = entry.get("scores", {}).get("warnings", [])
    return [text for text in warnings if text.startswith("constant_prediction:")]


def _failed(networks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        f"{name} failed and is in no table: {entry['error']}" for name, entry in networks.items() if entry.get("error")
    ]


def _learned_nothing(networks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    found = []
    for name, entry in networks.items():
        texts = [text.removeprefix("constant_prediction: ") for text in constant_warnings(entry)]
        if texts:
            more = len(texts) - 1
            others = f"; the same of {more} more class{'es' * (more > 1)}" if more else ""
            found.append(f"{name} has learned nothing or little: {texts[0]}{others}.")
    return found


def _stopped(networks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    found = []
    for name, entry in networks.items():
        stopped = [f"fold {run['fold']} at epoch {run['epochs']} of {run['max_epochs']}" for run in _cut(entry)]
        if stopped:
            found.append(
                f"{name} was stopped by --time before its schedule had ended ({', '.join(stopped)}): with more time it "
                "would be better."
            )
    return found


def _cut(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [run for run in entry.get("runs", []) if run["stopped"]]


def _chosen(networks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    names = [name for name, entry in networks.items() if entry.get("settings", {}).get("select") == "best"]
    if not names:
        return []
    return [
        f"The epochs of {', '.join(names)} were chosen by the cases that they are scored on (select=best): these "
        "scores are too high."
    ]


def _few(pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    test, units, found = pairs[0]["test"], pairs[0]["test"]["units"], []
    smallest = 2.0 ** (1 - units) if test["exact"] else 1 / (test["samples"] + 1)
    number = len(pairs)
    if number * smallest >= ALPHA:
        found.append(
            f"With {units} {test['unit']}s and {number} comparison{'s' * (number != 1)} no difference can be shown, "
            f"however large: the smallest p value that the test can give is {min(1.0, number * smallest):.2g}."
        )
    if units < FEW_CASES:
        found.append(
            f"{units} {test['unit']}s are few: below about {FEW_CASES} the intervals are narrower than they should be."
        )
    return found
