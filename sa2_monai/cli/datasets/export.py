# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai datasets export``."""

from __future__ import annotations

import argparse
import shlex

from sa2_monai.cli.common import read_class_names
from sa2_monai.cli.datasets.common import add_split_options, known_dataset, read_label_values

__all__ = ["add_arguments", "run"]

_FORMS = ("nnunet", "decathlon")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the action."""
    parser.add_argument("form", metavar="FORM", choices=_FORMS, help="nnunet or decathlon")
    parser.add_argument("directory", metavar="DATA", help="folder of the data, a dataset.json, or a CSV of pairs")
    parser.add_argument("out", metavar="OUT", help="folder to make, such as nnUNet_raw/Dataset101_Glands")
    parser.add_argument("--dataset", metavar="NAME", help="what DATA is, where that is not certain")
    parser.add_argument("--split", metavar="S", help="published split, where the data set has several")
    parser.add_argument("--colours", metavar="FILE", help="table colour -> class of masks in colour")
    parser.add_argument("--class-names", metavar="A,B,...", help="names of the classes, background first")
    parser.add_argument("--label-values", metavar="JSON", help="value in the file -> class, nonzero, or threshold")
    parser.add_argument("--ignore-value", type=int, metavar="N", help="value of pixels without a label")
    add_split_options(parser)


def run(args: argparse.Namespace) -> int:
    """Write the folder, and say how the other program takes it."""
    from sa2_monai.data.export import FORMS, ExportOptions

    if args.dataset is not None:
        known_dataset(args.dataset, args.split)
    options = ExportOptions(
        dataset=args.dataset,
        colours=args.colours,
        class_names=None if args.class_names is None else read_class_names(args.class_names),
        label_values=read_label_values(args.label_values),
        ignore_value=args.ignore_value,
        num_folds=args.num_folds,
        split_seed=args.seed,
        test_fraction=args.test_fraction,
        patient_pattern=args.patient_pattern,
        split=args.split,
    )
    counts = FORMS[args.form](args.directory, args.out, options)
    print(
        f"{args.out}: {', '.join(f'{count} {part}' for part, count in counts.items())} cases in the form {args.form!r}"
    )
    if args.form == "nnunet":
        print(
            f"for the same folds: copy {shlex.quote(args.out + '/splits_final.json')} to nnUNet_preprocessed/<the data "
            "set's folder> after nnUNetv2_plan_and_preprocess"
        )
    return 0
