# SPDX-License-Identifier: Apache-2.0
"""The summary as a text table for the screen, the log and ``table.txt``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sa2_monai.evaluation.scores.extra_metrics import EXTRA_METRICS
from sa2_monai.evaluation.scores.size_strata import PUBLISHED_COLUMNS, STRATA_COLUMNS
from sa2_monai.evaluation.scores.text_table import aligned as _aligned

__all__ = ["format_comparison", "format_table"]

_SHOWN = (
    ("dice", "Dice"),
    ("jaccard", "IoU"),
    ("precision", "precision"),
    ("sensitivity", "sensitivity"),
    ("specificity", "specificity"),
    ("nsd", "NSD"),
    ("hd95", "HD95"),
    ("assd", "ASSD"),
    ("relative_volume_difference", "rel. volume diff."),
    ("area_pred_mm2", "area, predicted [mm2]"),
    ("area_ref_mm2", "area, reference [mm2]"),
    ("area_difference_mm2", "area difference [mm2]"),
    *EXTRA_METRICS.items(),
)
_HEAD = ("class", "metric", "n", "mean", "sd", "95% CI", "median", "min", "max")


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.4f}"


def _ci(block: Mapping[str, Any], form: str = ".4f") -> str:
    low, high = block.get("ci95_low"), block.get("ci95_high")
    return "-" if low is None else f"{low:{form}} - {high:{form}}"


def _class_rows(name: str, block: Mapping[str, Any], unit: str) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for key, title in _SHOWN:
        values = block.get(key)
        if not values or not values["n_valid"]:
            continue
        label = f"{title} [{unit}]" if key in ("hd95", "assd") else title
        numbers = [_number(values[k]) for k in ("mean", "std", "median", "min", "max")]
        valid = f"{values['n_valid']}/{values['n']}"
        rows.append((name if not rows else "", label, valid, numbers[0], numbers[1], _ci(values), *numbers[2:]))
    return rows


def _paper_lines(values: Mapping[str, Any]) -> list[str]:
    lines = []
    for key, value in values.items():
        if isinstance(value, float):
            lines.append(f"  {key}: {value:.4f}")
    return ["", "Published definition:", *lines] if lines else []


def _object_lines(block: Mapping[str, Any] | None) -> list[str]:
    if not block:
        return []
    pooled, intervals = block["pooled"], block.get("pooled_ci95", {})
    lines = ["", f"Single objects (IoU above {block['iou_threshold']:g}):"]
    for key in ("detection_f1", "panoptic_quality", "segmentation_quality", "aji"):
        if key in pooled:
            low, high = intervals.get(key, (None, None))
            ci = "" if low is None else f" (95% CI {low:.4f} - {high:.4f})"
            mean = _number(block["per_case"][key]["mean"])
            lines.append(f"  {key}: {mean} mean over cases, {_number(pooled[key])} all together{ci}")
    higher = {key: pooled[key] for key in pooled if key.startswith("detection_f1_")}
    if higher:
        values = ", ".join(f"{_number(value)} above 0.{key[-2:-1]}" for key, value in higher.items())
        lines.append(f"  detection_f1 of stricter pairs, all together: {values}")
    return [*lines, f"  {pooled['tp']} found, {pooled['fn']} missed, {pooled['fp']} false"]


def _strata_lines(block: Mapping[str, Any] | None) -> list[str]:
    if not block:
        return []
    strata = block["below_percent"]
    keys = [key for key in STRATA_COLUMNS if any(key in stratum.get("overall", {}) for stratum in strata.values())]
    rows: list[tuple[str, ...]] = [
        ("largest object", "", "images", *(STRATA_COLUMNS[key] for key in keys), "95% CI of Dice")
    ]
    for limit, stratum in strata.items():
        overall = stratum.get("overall", {})
        means = [_number(overall[key]["mean_of_class_means"]) if overall else "-" for key in keys]
        rows.append((f"< {limit} %", stratum["name"], str(stratum["images"]), *means, _ci(overall.get("dice", {}))))
    return ["", "By the size of the largest object, cumulative; means of class means:", *_aligned(rows)]


def _property_lines(block: Mapping[str, Any] | None) -> list[str]:
    """The thirds of the cases by every property, and its trend."""
    rows: list[tuple[str, ...]] = [("thirds of the cases by", "", "from - to", "cases", "Dice", "95% CI", "NSD")]
    trends = []
    for found in (block or {}).values():
        title = f"{found['title']} [{found['unit']}]" if found["unit"] else found["title"]
        for third, values in found["thirds"].items():
            ends = f"{values['from']:.4g} - {values['to']:.4g}" if values["images"] else "-"
            means = [values.get("overall", {}).get(key, {}) for key in ("dice", "nsd")]
            dice, nsd = (_number(mean.get("mean_of_class_means")) for mean in means)
            rows.append((title if third == "low" else "", third, ends, str(values["images"]), dice, _ci(means[0]), nsd))
        trend = found["trend"]
        if trend["spearman"] is not None:
            p = "" if trend["p_value"] is None else f", p {trend['p_value']:.2g}"
            trends.append(f"  {found['title']}: {trend['spearman']:+.2f} (95% CI {_ci(trend, '+.2f')}){p}")
    lines = ["", *_aligned(rows)] if len(rows) > 1 else []
    return [*lines, *(["", "Rank correlation with the Dice of a case (Spearman):"] if trends else []), *trends]


def _subset_lines(block: Mapping[str, Any] | None) -> list[str]:
    if not block:
        return []
    rows: list[tuple[str, ...]] = [("largest object", "", "images", *PUBLISHED_COLUMNS.values())]
    for limit, subset in block.items():
        values = {**subset, **subset.get("micro", {})}
        rows.append(
            (f"< {limit} %", "", str(subset["images"]), *(_number(values.get(key)) for key in PUBLISHED_COLUMNS))
        )
    return ["", "By the size of the largest object, cumulative:", *_aligned(rows)]


def format_comparison(comparison: Mapping[str, Any]) -> str:
    """Format a comparison of two models as text.

    Args:
        comparison: what :func:`sa2_monai.evaluation.compare` returned.

    Returns:
        Lines joined by line feeds, without one at the end.
    """
    test = comparison["test"]
    how = "all exchanges" if test["exact"] else f"{test['samples']} random exchanges"
    rows: list[tuple[str, ...]] = [("class", "metric", "A", "B", "A - B", "95% CI", "p")]
    for name, metrics in [("all classes", comparison["overall"]), *comparison["per_class"].items()]:
        for index, (metric, block) in enumerate(metrics.items()):
            numbers = [_number(block[key]) for key in ("a", "b", "difference")]
            rows.append((name if not index else "", metric, *numbers, _ci(block, "+.4f"), _number(block["p_value"])))
    lines = [f"Comparison of {comparison['cases']} cases, A predictions, B compared; {test['name']}, {how}:"]
    lines += _aligned(rows)
    return "\n".join([*lines, *(f"  {warning}" for warning in comparison["warnings"])])


def format_table(summary: Mapping[str, Any]) -> str:
    """Format a summary as text: per class and metric the mean, sd, 95 % interval, median and range over cases.

    Args:
        summary: what :attr:`EvaluationResult.summary` holds.

    Returns:
        Lines joined by line feeds, without one at the end.
    """
    protocol = summary["protocol"]
    family = f" / {protocol['family']}" if "family" in protocol else ""
    lines = [f"Protocol {protocol['name']}{family}, version {protocol['version']}: {summary['cases']} cases"]
    rows: list[tuple[str, ...]] = [_HEAD]
    for name, block in summary["per_class"].items():
        rows += _class_rows(name, block, protocol["unit"])
    if len(rows) > 1:
        lines += ["", *_aligned(rows)]
    dice = summary["overall"].get("dice")
    if dice and dice["mean_of_class_means"] is not None:
        ci = "" if dice["ci95_low"] is None else f"  (95% CI {dice['ci95_low']:.4f} - {dice['ci95_high']:.4f})"
        lines += ["", f"Dice, mean of class means: {dice['mean_of_class_means']:.4f}{ci}"]
    for name, block in summary["per_class"].items():
        if "counts" in block:
            lines.append(f"{name}: " + ", ".join(f"{n} {state}" for state, n in block["counts"].items()))
    lines += _paper_lines(summary.get("paper", {}))
    lines += _strata_lines(summary.get("size_strata")) + _subset_lines(summary.get("paper", {}).get("below_percent"))
    lines += _property_lines(summary.get("strata")) + _object_lines(summary.get("instances"))
    for limit in summary.get("limits", []):
        verdict = "passed" if limit["passed"] else "NOT PASSED"
        lines.append(f"Limit {limit['limit']}: {_number(limit['value'])}, {verdict}")
    failed = summary.get("failed", [])
    if failed:
        lines += ["", f"Failed ({len(failed)}), in no mean:"]
        lines += [f"  {entry['case']}: {entry['message']}" for entry in failed[:12]]
        if len(failed) > 12:
            lines.append(f"  ... and {len(failed) - 12} more in metrics_summary.json")
    for title, key in (("Deviations from the publication", "deviations"), ("Warnings", "warnings")):
        entries = summary.get(key)
        if entries:
            lines += ["", f"{title}:", *(f"  {entry}" for entry in entries[:12])]
            if len(entries) > 12:
                lines.append(f"  ... and {len(entries) - 12} more in metrics_summary.json")
    return "\n".join(lines)
