# SPDX-License-Identifier: Apache-2.0
"""The report as one HTML file that needs nothing else: no script, no font, no image from elsewhere."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from sa2_monai.evaluation.report.html_parts import DASH, STYLE, bullets, number, pairs, section, span, table
from sa2_monai.evaluation.report.html_sizes import size_strata, size_subsets
from sa2_monai.evaluation.report.overlays import Overlay
from sa2_monai.evaluation.report.svg import box_plot
from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.evaluation.scores.extra_metrics import EXTRA_METRICS
from sa2_monai.evaluation.scores.rows import STATES
from sa2_monai.io.palette import class_colour

__all__ = ["HTML_NAME", "html_report"]

HTML_NAME = "report.html"
_MEANING = (
    "Outlines: solid, the prediction; dashed, the reference; white, where both run together for the same class. "
    "Fill: even where both say the same class; striped where they differ, wide stripes for the prediction and narrow "
    "ones for the reference, bare for the background."
)
_LISTED = 200  # rows of a list; the rest is in the CSV
_IMAGE = 640  # pixels of the longer side of an embedded image
_SHOWN = (
    ("dice", "Dice", True),
    ("jaccard", "IoU", True),
    ("nsd", "NSD", True),
    ("precision", "Precision", True),
    ("sensitivity", "Sensitivity", True),
    ("hd95", "HD95", False),
    ("hd", "HD", False),
    ("assd", "ASSD", False),
    ("relative_volume_difference", "Relative volume difference", False),
    *((key, title, True) for key, title in EXTRA_METRICS.items()),
)
_WORDS = {"missed": "missed", "spurious": "false alarm"}
_PLOTTED = ("dice", "nsd", "hd95", "assd", "relative_volume_difference")
_DISTANCES = ("hd95", "hd", "assd", "masd")


def html_report(
    result: EvaluationResult,
    images: Sequence[Overlay] = (),
    comparison: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Write the report of an evaluation as HTML.

    Args:
        result: an evaluation.
        images: what :func:`sa2_monai.evaluation.report.overlays.draw_overlays` returned.
        comparison: what :func:`sa2_monai.evaluation.compare` returned, to be shown as well.
        settings: of the run, to be listed with those of the protocol.

    Returns:
        The content of the file.
    """
    summary = result.summary
    protocol = summary["protocol"]
    unit = protocol["unit"]
    sections = [
        _head(summary, protocol),
        _limits(summary.get("limits", [])),
        section("Classes", _headlines(summary, unit)),
        section("Sizes of objects", size_strata(summary.get("size_strata"))),
        section("Sizes of objects", size_subsets(summary.get("paper", {}).get("below_percent"))),
        section("Missed and false structures", _missing(result)),
        section("Failed cases", _failed(result.failed)),
        section("Images", _images(images, summary["classes"])),
        section("Cases", _plots(result, unit)),
        section("Single objects", _objects(summary.get("instances"))),
        section("Comparison", _comparison(comparison, unit)),
        section("All metrics", _metrics(summary, unit)),
        section("Warnings", bullets(summary["warnings"])),
        section("Deviations from the publication", bullets(summary.get("deviations", []))),
        section("Settings", _settings(protocol, settings)),
        section("Versions", pairs(summary["software"])),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        # nothing may be loaded, even if a name of a case tried to
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Evaluation of {summary['cases']} cases</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(filter(None, sections))
        + "\n</body></html>\n"
    )


def _head(summary: Mapping[str, Any], protocol: Mapping[str, Any]) -> str:
    family = f" / {escape(protocol['family'])}" if "family" in protocol else ""
    dice = summary["overall"].get("dice", {})
    value = summary["paper"].get("dice") if "paper" in summary else dice.get("mean_of_class_means")
    interval = ""
    if "paper" not in summary and dice.get("ci95_low") is not None:
        interval = f" (95 % interval {span(dice['ci95_low'], dice['ci95_high'])})"
    what = "Dice by the published definition" if "paper" in summary else "Dice, mean of the class means"
    failed = len(summary.get("failed", []))
    bad = f', <span class="bad">{failed} failed</span>' if failed else ""
    return (
        f"<h1>Evaluation of {summary['cases']} cases</h1><p>Protocol {escape(protocol['name'])}{family}, version "
        f"{protocol['version']}{bad}</p>"
        f'<p class="notice">{escape(summary["notice"])}</p>'
        f'<p><span class="big">{number(value)}</span>{what}{interval}</p>'
    )


def _limits(limits: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            escape(item["limit"]),
            number(item["value"]),
            '<b class="good">passed</b>' if item["passed"] else '<b class="bad">not passed</b>',
        )
        for item in limits
    ]
    return section("Limits", table(("limit", "value", ""), rows)) if rows else ""


def _headlines(summary: Mapping[str, Any], unit: str) -> str:
    """One line per class: the recommended metrics and the states."""
    shown = [(key, title) for key, title, _ in _SHOWN if key in ("dice", "nsd", "hd95") and key in summary["overall"]]
    rows = []
    for name, block in summary["per_class"].items():
        means = [
            f"{number(block[key]['mean'])}<br><small>{span(block[key]['ci95_low'], block[key]['ci95_high'])}</small>"
            for key, _ in shown
        ]
        states = [
            f'<b class="bad">{n}</b>' if n and state in _WORDS else str(n) for state, n in block["counts"].items()
        ]
        rows.append((f"<b>{escape(name)}</b>", *means, *states))
    heads = [f"{title} [{unit}]" if key in _DISTANCES else title for key, title in shown]
    states = [_WORDS.get(state, state) for state in STATES]
    return table(("class", *heads, *states), rows) if rows else ""


def _metrics(summary: Mapping[str, Any], unit: str) -> str:
    rows = []
    for name, block in summary["per_class"].items():
        counts = ", ".join(f"{n} {state}" for state, n in block["counts"].items() if n)
        first = f"<b>{escape(name)}</b><br><small>{counts}</small>"
        for key, title, _ in _SHOWN:
            values = block.get(key)
            if not values or not values["n_valid"]:
                continue
            label = f"{title} [{unit}]" if key in _DISTANCES else title
            low = values["ci95_low"]
            interval = span(low, values["ci95_high"])
            numbers = [number(values[k]) for k in ("median", "p25", "p75", "min", "max")]
            valid = f"{values['n_valid']}/{values['n']}"
            rows.append((first, label, valid, number(values["mean"]), number(values["std"]), interval, *numbers))
            first = ""
        if first:
            rows.append((first, *[DASH] * 10))
    head = ("class", "metric", "n", "mean", "sd", "95 % interval", "median", "p25", "p75", "min", "max")
    text = table(head, rows)
    published = {k: v for k, v in summary.get("paper", {}).items() if isinstance(v, float)}
    if published:
        text += "<h3>By the published definition</h3>" + pairs({k: f"{v:.6f}" for k, v in published.items()})
    return text


def _missing(result: EvaluationResult) -> str:
    found = [row for row in result.per_case if row["status"] in _WORDS]
    if not found:
        return "<p>None: every structure of the references was found, and no other one.</p>" if result.per_case else ""
    # the largest first: these matter most
    found.sort(key=lambda row: (row["status"], -max(row["voxels_ref"], row["voxels_pred"]), row["case"]))
    rows = []
    for row in found[:_LISTED]:
        size = max(row["voxels_ref"], row["voxels_pred"])
        volume = max(row["volume_ref_ml"], row["volume_pred_ml"])
        rows.append(
            (
                escape(row["case"]),
                escape(row["class_name"]),
                f'<b class="bad">{_WORDS[row["status"]]}</b>',
                str(size),
                number(float(volume), 2),
            )
        )
    more = f"<p>… and {len(found) - _LISTED} more in metrics_per_case.csv</p>" if len(found) > _LISTED else ""
    return table(("case", "class", "state", "voxels", "ml"), rows) + more


def _failed(failed: Sequence[Mapping[str, str]]) -> str:
    if not failed:
        return ""
    rows = [(escape(item["case"]), escape(item["message"])) for item in failed[:_LISTED]]
    return "<p>In no mean and in no table above.</p>" + table(("case", "what went wrong"), rows, "text")


def _objects(block: Mapping[str, Any] | None) -> str:
    if not block:
        return ""
    rows = []
    for name, values in block["per_case"].items():
        low = values["ci95_low"]
        interval = span(low, values["ci95_high"])
        numbers = [number(values[k]) for k in ("mean", "std")]
        rows.append(
            (
                name.replace("_", " "),
                f"{values['n_valid']}/{values['n']}",
                *numbers,
                interval,
                number(block["pooled"][name]),
            )
        )
    head = ("value", "n", "mean over cases", "sd", "95 % interval", "all objects together")
    pooled = block["pooled"]
    text = f"<p>Objects found {pooled['tp']}, missed {pooled['fn']}, false {pooled['fp']}; a pair has an IoU above "
    return f"{text}{block['iou_threshold']:g}.</p>" + table(head, rows)


def _comparison(comparison: Mapping[str, Any] | None, unit: str) -> str:
    if not comparison:
        return ""
    rows = []
    titles = {key: title for key, title, _ in _SHOWN}
    blocks = [("all classes", comparison["overall"]), *comparison["per_class"].items()]
    for name, metrics in blocks:
        for metric, block in metrics.items():
            title = titles.get(metric, metric) + (f" [{unit}]" if metric in _DISTANCES else "")
            low = block["ci95_low"]
            interval = span(low, block["ci95_high"], "+.4f")
            numbers = [number(block[key]) for key in ("a", "b", "difference")]
            rows.append((escape(name), title, *numbers, interval, number(block["p_value"])))
    test = comparison["test"]
    how = "all exchanges" if test["exact"] else f"{test['samples']} random exchanges"
    head = ("class", "metric", "A", "B", "A &minus; B", "95 % interval", "p")
    text = (
        f"<p>A: --predictions, B: --compare. {escape(test['name'])}, {how} per {test['unit']}, not corrected for the "
    )
    return text + "number of comparisons.</p>" + table(head, rows) + bullets(comparison["warnings"])


def _plots(result: EvaluationResult, unit: str) -> str:
    names = list(result.summary["per_class"])
    titles = {key: (title, share) for key, title, share in _SHOWN}
    text = ""
    for metric in _PLOTTED:
        title, share = titles[metric]
        rows = [
            (name, [(row["case"], row[metric]) for row in result.per_case if row["class_name"] == name])
            for name in names
        ]
        if not any(math.isfinite(value) for _, cases in rows for _, value in cases):
            continue
        title = f"{title} [{unit}]" if metric in _DISTANCES else title
        text += f"<h3>{title}</h3>" + box_plot(title, rows, (0.0, 1.0) if share else None)
    return text


def _images(images: Sequence[Overlay], classes: Mapping[str, str]) -> str:
    figures = []
    for item in images:
        page = item.page.convert("RGB")
        page.thumbnail((_IMAGE, _IMAGE))
        stream = io.BytesIO()
        page.save(stream, format="JPEG", quality=88)
        data = base64.b64encode(stream.getvalue()).decode()
        caption = f"{item.kind} {item.rank}: {escape(item.case)}, Dice {item.dice:.3f}"
        figures.append(
            f'<figure><img alt="{caption}" src="data:image/jpeg;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    if not figures:
        return ""
    swatches = (
        f'<span class="class"><i style="background:#{bytes(class_colour(int(value))).hex()}"></i>{escape(name)}</span>'
        for value, name in classes.items()
    )
    return f'<p>{"".join(swatches)}</p><p>{_MEANING}</p><div class="images">{"".join(figures)}</div>'


def _settings(protocol: Mapping[str, Any], settings: Mapping[str, Any] | None) -> str:
    return pairs({**{f"protocol: {key}": value for key, value in protocol.items()}, **(settings or {})})
