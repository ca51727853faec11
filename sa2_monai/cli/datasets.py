# SPDX-License-Identifier: Apache-2.0
"""List the data sets that can be read, check a download, prepare one for training, write its split to files."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sa2_monai.cli.common import read_class_names
from sa2_monai.cli.main import UsageError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of ``sa2-monai datasets`` and their options.

    Args:
        parser: parser of the command.
    """
    parser.epilog = (
        "example: sa2-monai datasets check monuseg DATA; 'sa2-monai datasets ACTION --help' explains an action"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action")

    def action(name: str, line: str, explained: str = "") -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=line, description=f"{line[0].upper()}{line[1:]}. {explained}".strip())
        made.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        return made

    listed = action("list", "list the data sets: files, classes, splits, terms, bundles that have an overlay")
    listed.add_argument("names", nargs="*", metavar="NAME", help="data sets to show (default: all)")
    _add_json(listed)

    check = action(
        "check",
        "check a download: numbers of cases, pairs, sizes, label values",
        "Every image or header and every label is read. Exit code 0: as published; 1: not, and it is said what is "
        "missing or wrong; 2: wrong use.",
    )
    _add_dataset(check)
    check.add_argument(
        "--class-names", metavar="A,B,...", help="of your own data: names of the classes, background first, or 1=A,2=B"
    )
    check.add_argument(
        "--label-values",
        metavar="JSON",
        help='of your own data: value in the file -> class, as {"0": 0, "255": 1}, nonzero, or threshold (JPEG masks: '
        "above 127 is foreground)",
    )
    check.add_argument(
        "--ignore-value", type=int, metavar="N", help="of your own data: value of pixels without a label, as 255 or -1"
    )
    _add_json(check)

    prepare = action(
        "prepare",
        "lay down what is slow to make each time, such as the slices of large volumes",
        "What is finished is kept: after an interruption, run the same command again. Writes dataset.json and, last, "
        "manifest.json with the hashes of all sources and outputs.",
    )
    _add_dataset(prepare)
    prepare.add_argument("out", metavar="OUT", help="folder for the result, new or of the same preparation")
    prepare.add_argument("--form", metavar="F", help="what to make (default: the first that 'list' shows)")
    prepare.add_argument("--workers", type=int, default=0, metavar="N", help="worker processes (default: 0, this one)")

    split = action("split", "write the cases of the training, validation and test part to text files")
    _add_dataset(split)
    split.add_argument("out", metavar="OUT", help="folder for training.txt, validation.txt and test.txt")
    split.add_argument(
        "--fold", type=int, metavar="K", help="fold that validates (default: the data set's own part, or 0)"
    )
    split.add_argument("--num-folds", type=int, default=5, metavar="N", help="number of folds (default: 5)")
    split.add_argument("--seed", type=int, default=999, metavar="N", help="seed of the split (default: 999)")
    split.add_argument(
        "--test-fraction", type=float, default=0.2, metavar="P", help="test part where none is listed (default: 0.2)"
    )
    split.add_argument(
        "--patient-pattern", metavar="REGEX", help=r"finds the patient in a case name, as '(patient\d+)'"
    )

    calibrate = action(
        "calibrate",
        "find how the slices of TransUNet's archive lie in the patient, from one case in both forms",
        "The result, orientation.json in the folder of the downloaded volumes, is read by 'prepare synapse'.",
    )
    calibrate.add_argument("archive", metavar="ARCHIVE_FILE", help="such as test_vol_h5/case0008.npy.h5")
    calibrate.add_argument("image", metavar="NIFTI_IMAGE", help="the same case as downloaded, such as img0008.nii.gz")
    calibrate.add_argument("label", metavar="NIFTI_LABEL", nargs="?", help="its labels, compared too")
    calibrate.add_argument(
        "--output", "-o", default="orientation.json", metavar="FILE", help="default: orientation.json"
    )


def _add_dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="data set, as 'sa2-monai datasets list' names it")
    parser.add_argument("directory", metavar="DIR", help="its folder, as downloaded")
    parser.add_argument(
        "--split", metavar="S", help="published split, where the data set has several (default: the first)"
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", default=False, help="print JSON for programs")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for.

    Args:
        args: parsed arguments of :func:`add_arguments`.

    Returns:
        0, or 1 where a checked data set is not as published.

    Raises:
        UsageError: unknown names.
        OSError: a file or folder is missing or cannot be written.
        ValueError: data that cannot be used.
        RuntimeError: a preparation that another process is at.
    """
    return _ACTIONS[args.action or "list"](args)


def _list(args: argparse.Namespace) -> int:
    from sa2_monai.cli.dataset_list import describe, text

    names = list(dict.fromkeys(getattr(args, "names", [])))
    for name in names:
        _known(name)
    document = describe(names)
    print(json.dumps(document, indent=2, ensure_ascii=False) if getattr(args, "json", False) else text(document))
    return 0


def _check(args: argparse.Namespace) -> int:
    from sa2_monai.cli.dataset_check import text
    from sa2_monai.data.examine import examine_dataset

    _known(args.name, args.split)
    names = None if args.class_names is None else read_class_names(args.class_names)
    values = _label_values(args.label_values)
    report = examine_dataset(args.name, args.directory, args.split, names, values, args.ignore_value)
    print(json.dumps(report, indent=2, ensure_ascii=False) if args.json else text(report))
    return 0 if report["ok"] else 1


def _prepare(args: argparse.Namespace) -> int:
    from sa2_monai.data.prepare import prepare_dataset

    entry = _known(args.name, args.split)
    if args.form is not None and args.form not in entry.preparations:
        raise UsageError(f"--form is {args.form!r}, {args.name!r} has {', '.join(entry.preparations) or 'none'}")
    if args.workers < 0:
        raise UsageError(f"--workers is {args.workers}, expected 0 or more")
    done = prepare_dataset(args.name, args.directory, args.out, args.form, args.split, args.workers)
    print(f"{done.folder}: {done.made} jobs done, {done.kept} were finished already")
    print(", ".join(f"{count} {part}" for part, count in done.cases.items()) + f" cases of the form {done.form!r}")
    return 0


def _split(args: argparse.Namespace) -> int:
    from sa2_monai.data import load_parts, write_splits

    _known(args.name, args.split)
    parts = load_parts(
        args.directory,
        args.name,
        args.fold,
        args.num_folds,
        args.seed,
        args.test_fraction,
        patient_pattern=args.patient_pattern,
        split=args.split,
    )
    for path, cases in zip(write_splits(args.out, parts), parts.values(), strict=True):
        print(f"{path}: {len(cases)} cases{_of_groups(cases)}")
    return 0


def _calibrate(args: argparse.Namespace) -> int:
    from sa2_monai.data import calibrate
    from sa2_monai.io.atomic import write_atomically

    found = calibrate(args.archive, args.image, args.label)
    path = Path(args.output)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(found, indent=1) + "\n").encode())
    print(f"{path}: {json.dumps(found)}")
    return 0


def _of_groups(cases: list[dict[str, Any]]) -> str:
    groups = {case["group"] for case in cases if "group" in case}
    return f" of {len(groups)} patients or groups" if groups else ""


def _known(name: str, split: str | None = None) -> Any:
    """The data set of a name; a name or split that is not there is wrong use."""
    from sa2_monai.data import DATASETS
    from sa2_monai.data.registry import unknown_dataset

    if name not in DATASETS:
        raise UsageError(unknown_dataset(name).replace("dataset is", "NAME is", 1))
    splits = DATASETS[name].splits
    if split is not None and split not in splits:
        raise UsageError(f"--split is {split!r}, {name!r} has {', '.join(splits) or 'one only; leave it out'}")
    return DATASETS[name]


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


_ACTIONS = {"list": _list, "check": _check, "prepare": _prepare, "split": _split, "calibrate": _calibrate}
