# SPDX-License-Identifier: Apache-2.0
"""The results of an evaluation as lines of the model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["results_table"]


def results_table(results: Mapping[str, Any] | None) -> list[str]:
    """Lines of Markdown with the results of one evaluation.

    Args:
        results: content of ``metrics_summary.json``, or ``None``.
    """
    if results is None:
        return ["These weights have not been evaluated on test cases."]
    protocol = results["protocol"]
    family = f", family `{protocol['family']}`" if "family" in protocol else ""
    lines = [f"Protocol `{protocol['name']}`{family}, {results['cases']} cases.", ""]
    if "paper" in results:
        lines += ["| score | value |", "|---|---|"]
        values = results["paper"].items()
        return [*lines, *(f"| {name} | {value:.4f} |" for name, value in values if isinstance(value, float))]
    unit = protocol["unit"]
    lines += [f"| class | Dice (95 % interval) | IoU | HD95 [{unit}] | ASSD [{unit}] |", "|---|---|---|---|---|"]
    for name, block in results["per_class"].items():
        cells = [_number(block.get(metric, {}).get("mean")) for metric in ("dice", "jaccard", "hd95", "assd")]
        cells[0] += _interval(block.get("dice", {}))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    means = [results["overall"].get(metric, {}) for metric in ("dice", "jaccard", "hd95", "assd")]
    cells = [_number(mean.get("mean_of_class_means")) for mean in means]
    cells[0] += _interval(means[0])
    lines.append(f"| mean of the classes | {' | '.join(cells)} |")
    failed = results.get("failed")
    return [*lines, *(["", f"{len(failed)} more cases failed and are in no mean."] if failed else [])]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if value < 10 else f"{value:.2f}"


def _interval(block: Mapping[str, Any]) -> str:
    low, high = block.get("ci95_low"), block.get("ci95_high")
    return "" if low is None or high is None else f" ({low:.4f} to {high:.4f})"
