# SPDX-License-Identifier: Apache-2.0
"""Train several networks on the same folds of your data and say what can be told of them.

Each network gets the same splits, seed and budget, and a plan of its own from the same facts; every case is scored
once, by the model that has not seen it. OUTPUT/report.html has scores with intervals, paired tests corrected for the
number of comparisons, missed structures, speed, memory, learning curves, the cases in which the networks differ most,
and a recommendation. OUTPUT/<network> is a cross-validation, each of its folds a bundle. After an interruption the same
command goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sa2_monai.cli.common import (
    add_fold_options,
    add_training_options,
    read_overrides,
    stopped,
    training_options,
    wrong_use,
)
from sa2_monai.cli.machine_options.threads import add_threads
from sa2_monai.cli.main import UsageError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai compare``."""
    parser.epilog = (
        "example: sa2-monai compare DATA --networks sa2net,daeformer --folds 3 --time 10 --output OUT batch_size=4 "
        "sa2net.base_channels=16 (NETWORK.ID=VALUE is for one network)"
    )
    parser.add_argument("data", nargs="?", metavar="DATA", help="folder of your data, a dataset.json or a CSV of pairs")
    add_training_options(parser, "time of each fold of each network; the plans fit into it", networks=True)
    add_threads(parser)
    parser.add_argument("--output", "-o", required=True, metavar="DIR", help="folder for report, tables and runs")
    add_fold_options(parser, "of folds and trainings")
    parser.add_argument(
        "--devices", metavar="NAME,NAME", help="devices for as many folds side by side, as cuda:0,cuda:1"
    )
    parser.add_argument("--stress", action="store_true", help="test the networks on corrupted images, too")
    parser.add_argument("--tta", action="store_true", help="average predictions over flips and quarter turns")


def run(args: argparse.Namespace) -> int:
    """Run the comparison and print the table.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0; 130 after Ctrl-C, 143 after SIGTERM. Failures are raised.

    Raises:
        UsageError: unknown ids, values that are no choice, options that do not go together.
        OSError, ValueError, RuntimeError: as :func:`~sa2_monai.bundle.comparison.run.compare_networks`.
    """
    if args.data is None:
        raise UsageError("give DATA, the folder of your images and masks")
    overrides = read_overrides(args.overrides, max_epochs=args.epochs, precision=args.precision)

    from sa2_monai.bundle.comparison.request import CompareRequest
    from sa2_monai.bundle.switches import SwitchError

    with wrong_use(ValueError):
        request = CompareRequest(
            data=args.data,
            output=args.output,
            networks=[name.strip() for name in args.networks.split(",") if name.strip()],
            overrides=overrides,
            folds=args.folds,
            seed=args.seed,
            devices=None if args.devices is None else args.devices.split(","),
            tta=args.tta,
            stress=args.stress,
            **training_options(args),
        )
    from sa2_monai.bundle.comparison.run import REPORT, SCORES, STATE, TABLE, compare_networks
    from sa2_monai.bundle.run.shell import console_command, short_path

    try:
        with wrong_use(SwitchError):
            state = compare_networks(request)
    except (KeyboardInterrupt, SystemExit) as stop:
        return stopped("compare", stop)
    output = Path(args.output).absolute()
    print(f"\n{(output / TABLE).read_text(encoding='utf-8')}\nReport:  {output / REPORT}")
    print(f"Tables:  {output / TABLE}, {output / SCORES}, {output / STATE}")
    if choice := state["recommendation"]["choice"]:
        folder = short_path(Path(state["networks"][choice]["folder"]))
        print(f"Predict: {console_command('predict', 'IMAGES', '--bundle', folder, '--output', 'results')}")
    return 0
