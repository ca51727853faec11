# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai datasets check``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from sa2_monai.cli.common import read_class_names
from sa2_monai.cli.datasets.common import add_dataset, add_json, known_dataset
from sa2_monai.cli.main import UsageError

__all__ = ["add_arguments", "run", "text"]

_AXES = {"images": "height x width", "volumes": "voxels, x x y x z", "preprocessed": "rows x columns[ x slices]"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the action."""
    add_dataset(parser)
    parser.add_argument(
        "--class-names", metavar="A,B,...", help="of your own data: names of the classes, background first, or 1=A,2=B"
    )
    parser.add_argument(
        "--label-values",
        metavar="JSON",
        help='of your own data: value in the file -> class, as {"0": 0, "255": 1}, nonzero, or threshold (JPEG masks: '
        "above 127 is foreground)",
    )
    parser.add_argument(
        "--ignore-value", type=int, metavar="N", help="of your own data: value of pixels without a label, as 255 or -1"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Check and report; 1 where the data set is not as published."""
    from sa2_monai.data.examine import examine_dataset

    known_dataset(args.name, args.split)
    names = None if args.class_names is None else read_class_names(args.class_names)
    values = _label_values(args.label_values)
    report = examine_dataset(args.name, args.directory, args.split, names, values, args.ignore_value)
    print(json.dumps(report, indent=2, ensure_ascii=False) if args.json else text(report))
    return 0 if report["ok"] else 1


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


def _label_values(text: str | None) -> Mapping[str, int] | str | None:
    if text in (None, "nonzero", "threshold"):
        return text
    try:
        table = json.loads(text)
    except ValueError:
        table = None
    if not isinstance(table, dict):
        raise UsageError(
            f'--label-values is {text!r}, expected nonzero, threshold, or JSON such as {{"0": 0, "255": 1}}'
        )
    return table
