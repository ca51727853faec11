# SPDX-License-Identifier: Apache-2.0
"""What ``sa2-monai datasets check`` shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["text"]

_AXES = {"pictures": "height x width", "volumes": "voxels, x x y x z", "archives": "rows x columns[ x slices]"}


def text(report: Mapping[str, Any]) -> str:
    """The report for people.

    Args:
        report: what :func:`sa2_monai.data.examine.examine_dataset` returned.
    """
    split = f", split {report['split']}" if report["split"] else ""
    lines = [f"{report['dataset']} in {report['directory']}{split}"]
    for part, numbers in report["parts"].items():
        unlabelled = numbers["cases"] - numbers["labelled"]
        more = f", {unlabelled} without a label" if unlabelled else ""
        more += f", {numbers['groups']} patients or groups" if numbers["groups"] else ""
        lines.append(f"  {part + ':':<13}{numbers['cases']} cases{more}")
    if report["preparation"]:
        numbers = report["preparation"]
        lines.append(f"  as downloaded: {numbers['files']} files; to be prepared in {numbers['jobs']} jobs")
        lines.append(f"  next: sa2-monai datasets prepare {report['dataset']} {report['directory']} OUT")
    for row in report["published"]:
        found = "found" if row["ok"] else f"found {row['found']}"
        lines.append(f"  {'published:':<13}{row['expected']} {row['part']} cases, {found}")
    for size in report["sizes"]:
        axes = (f"{a}" if a == b else f"{a}..{b}" for a, b in zip(size["smallest"], size["largest"], strict=True))
        lines.append(f"  {'sizes:':<13}{' x '.join(axes)} ({_AXES[report['files']]})")
    if report["label_values"]:
        values = (f"{value} ({share:.2%})" for value, share in report["label_values"].items())
        lines.append(f"  {'values:':<13}{', '.join(values)}")
    if report["classes"]:
        lines.append(f"  {'classes:':<13}{', '.join(report['classes'])}")
    lines += [f"differs: {deviation}" for deviation in report["deviations"]]
    lines += [f"remark: {remark}" for remark in report["remarks"]]
    lines += [f"problem: {problem}" for problem in report["problems"]]
    lines += [report["left_out"]] if report["left_out"] else []
    lines.append("in order" if report["ok"] else "NOT in order")
    return "\n".join(lines)
