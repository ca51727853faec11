# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai datasets check``."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sa2_monai.cli.common import read_class_names
from sa2_monai.cli.datasets.common import add_json, known_dataset, read_label_values
from sa2_monai.cli.main import UsageError

if TYPE_CHECKING:
    from sa2_monai.data import FoundData

__all__ = ["add_arguments", "run", "text"]

_SHOWN = 3  # pairs
_AXES = {"images": "height x width", "volumes": "voxels, x x y x z", "preprocessed": "rows x columns[ x slices]"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the action."""
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="data set, as 'sa2-monai datasets list' names it; found out without it"
    )
    parser.add_argument("directory", metavar="DATA", help="its folder, a dataset.json, or a CSV of pairs")
    parser.add_argument("--split", metavar="S", help="published split, where the data set has several")
    parser.add_argument("--dataset", metavar="NAME", help="the same as NAME, as the questions name it")
    parser.add_argument("--images", metavar="GLOB", help="images, relative to DATA, for folders of no known layout")
    parser.add_argument("--labels", metavar="GLOB", help="their labels")
    parser.add_argument("--colours", metavar="FILE", help="table colour -> class of masks in colour (CSV, JSON, ...)")
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
    parser.add_argument(
        "--no-cache", action="store_true", help="open every file, also those that were checked before and are the same"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Check and report; 1 where the data set is not as published."""
    from sa2_monai.data.examine import examine_dataset

    name = args.name or args.dataset
    if name is not None:
        known_dataset(name, args.split)
    names = None if args.class_names is None else read_class_names(args.class_names)
    values = read_label_values(args.label_values)
    found = _found(args, name)
    if found is None:
        report = examine_dataset(
            name, args.directory, args.split, names, values, args.ignore_value, remember=not args.no_cache
        )
    else:
        if args.split is not None:
            known_dataset(found.dataset, args.split)
        own = names is None and values is None
        report = examine_dataset(
            found.dataset,
            found.path,
            args.split,
            found.class_names if own else names,
            found.label_values if own else values,
            found.ignore_value if args.ignore_value is None else args.ignore_value,
            found.parts if args.images else None,
            remember=not args.no_cache,
        )
        report |= {"layout": found.description, "pairs": _pairs(found), "left_out": found.left_out}
    print(json.dumps(report, indent=2, ensure_ascii=False) if args.json else text(report))
    return 0 if report["ok"] else 1


def _found(args: argparse.Namespace, name: str | None) -> FoundData | None:
    """What DATA is; nothing for a public data set that is named, whose check says what is missing."""
    from sa2_monai.data import DATASETS, find_data

    asked = args.images or args.labels or args.colours
    if name is not None and not DATASETS[name].described:
        if asked:
            raise UsageError(f"--images, --labels and --colours are for data of your own, and {name!r} is published")
        return None
    try:
        return find_data(args.directory, name, args.images, args.labels, args.colours)
    except (ValueError, FileNotFoundError):
        if name is None or asked:
            raise
        return None


def _pairs(found: FoundData) -> list[list[str]]:
    """The first pairs as people read them: paths relative to the data."""
    folder = found.path if found.path.is_dir() else found.path.parent
    cases = [case for cases in found.parts.values() for case in cases if "label" in case]
    shown = []
    for case in cases[:_SHOWN]:
        images = case["image"] if isinstance(case["image"], list) else [case["image"]]
        shown.append(
            [", ".join(os.path.relpath(image, folder) for image in images), os.path.relpath(case["label"], folder)]
        )
    return shown


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
    if report.get("layout"):
        lines.append(f"  {'layout:':<13}{report['layout']}")
        lines += [f"  {'pair:':<13}{image} <-> {label}" for image, label in report["pairs"]]
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
