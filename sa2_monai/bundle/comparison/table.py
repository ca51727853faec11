# SPDX-License-Identifier: Apache-2.0
"""``table.txt``: recommendation, scores, pairs and costs as text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from sa2_monai.evaluation.scores.text_table import aligned

__all__ = ["comparison_table"]

_WIDTH = 120


def comparison_table(document: Mapping[str, Any]) -> str:
    """The text.

    Args:
        document: content of ``compare.json``.
    """
    scored = {name: entry for name, entry in document["networks"].items() if "scores" in entry}
    parts = [_paragraphs(document["recommendation"]["sentences"])]
    if scored:
        parts += [_scores(scored, document["unit"]), _costs(scored, document["costs"])]
    if document["pairs"]:
        parts.append(_pairs(document["pairs"]))
    parts.append("Mind:\n" + _paragraphs(document["caveats"], "  - "))
    return "\n\n".join(parts) + "\n"


def _scores(networks: Mapping[str, Mapping[str, Any]], unit: str) -> str:
    rows: list[tuple[str, ...]] = [
        ("network", "class", "Dice", "95% CI", "NSD", "95% CI", f"HD95 [{unit}]", "95% CI", "missed", "false")
    ]
    for name, entry in networks.items():
        scores = entry["scores"]
        blocks = [("all classes", scores["overall"], scores["counts"])]
        if len(scores["per_class"]) > 1:
            blocks += [(label, block, block["counts"]) for label, block in scores["per_class"].items()]
        for index, (label, block, counts) in enumerate(blocks):
            values = [
                text
                for metric in ("dice", "nsd", "hd95")
                for text in (_number(block[metric]["mean"]), _interval(block[metric]))
            ]
            missed = f"{counts['missed']}/{counts['ok'] + counts['missed']}"
            rows.append((name if not index else "", label, *values, missed, str(counts["spurious"])))
    cases = max(entry["scores"]["cases"] for entry in networks.values())
    head = f"Scores of {cases} cases, each by the model of the fold that has not seen it:"
    return "\n".join([head, *aligned(rows)])


def _costs(networks: Mapping[str, Mapping[str, Any]], costs: Mapping[str, Any] | None) -> str:
    rows: list[tuple[str, ...]] = [
        ("network", "size", "seconds per case", "peak MiB", "parameters", "GMAC", "minutes of training")
    ]
    for name, entry in networks.items():
        found = costs["networks"].get(name, {}) if costs else {}
        size = " x ".join(map(str, found.get("size", ())))
        macs = found.get("macs")
        minutes = sum(run["minutes"] for run in entry["runs"])
        numbers = (
            _number(found.get("seconds")),
            "-" if found.get("peak_mib") is None else f"{found['peak_mib']:.0f}",
            f"{found['parameters']:,}" if "parameters" in found else "-",
            "-" if macs is None else f"{macs / 1e9:.3g}",
        )
        rows.append((name, size or "-", *numbers, f"{minutes:.1f}"))
    where = "" if not costs else f" of {len(costs['cases'])} cases on {costs['machine']['device']}, side by side"
    return "\n".join([f"Cost of a prediction{where}; training of all folds:", *aligned(rows)])


def _pairs(pairs: Sequence[Mapping[str, Any]]) -> str:
    rows: list[tuple[str, ...]] = [("A", "B", "metric", "A - B", "95% CI", "p", "p (Holm)")]
    for pair in pairs:
        for index, (metric, block) in enumerate(pair["overall"].items()):
            names = (pair["model_a"], pair["model_b"]) if not index else ("", "")
            numbers = (_signed(block["difference"]), _interval(block, True))
            rows.append((*names, metric, *numbers, _number(block["p_value"]), _number(block["p_holm"])))
    test = pairs[0]["test"]
    how = "all exchanges" if test["exact"] else f"{test['samples']} random exchanges"
    return "\n".join([f"Pairs, all classes; {test['name']}, {how} per {test['unit']}:", *aligned(rows)])


def _paragraphs(sentences: Sequence[str], first: str = "") -> str:
    return "\n".join(
        textwrap.fill(sentence, _WIDTH, initial_indent=first, subsequent_indent=" " * len(first))
        for sentence in sentences
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4f}"


def _interval(block: Mapping[str, float | None], sign: bool = False) -> str:
    low, high = block["ci95_low"], block["ci95_high"]
    if low is None or high is None:
        return "-"
    return f"{low:+.4f} to {high:+.4f}" if sign else f"{low:.4f} - {high:.4f}"
