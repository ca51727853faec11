# SPDX-License-Identifier: Apache-2.0
"""Measure how a model bears images of worse quality: noise, blur, JPEG, exposure, stain, bias field, resampling, ...

The test cases of a run (or those of --data) are predicted and scored as they are, then with each corruption at five
strengths. OUT gets report.html with robustness curves and the strength at which the model loses 5 points of Dice,
stress.json, and stress.csv with all values by case. References are not touched. The corrupted images depend on --seed
and the names of the cases alone: every model sees the same ones.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sa2_monai.cli.main import INTERRUPTED, UsageError

__all__ = ["add_arguments", "run"]

#: A copy of the table's names, since a command imports no NumPy to print its help.
NAMES = ("noise", "blur", "jpeg", "exposure", "gamma", "stain", "bias_field", "resampling", "missing_slices")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai stress``."""
    parser.epilog = "example: sa2-monai stress --bundle runs/nuclei --output results/stress"
    parser.add_argument("--bundle", required=True, metavar="RUN", help="a run, or another bundle with weights")
    parser.add_argument("--data", metavar="DIR", help="other data than the run's")
    parser.add_argument("--output", "-o", required=True, metavar="OUT", help="folder of the results")
    parser.add_argument(
        "--section",
        choices=("test", "validation", "training", "all"),
        default="test",
        help="part of the data that is scored, or all of it (default: test)",
    )
    parser.add_argument(
        "--corruptions",
        nargs="+",
        choices=NAMES,
        metavar="NAME",
        help=f"some of {', '.join(NAMES)} (default: all that are for such images)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the corruptions (default: 0)")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1; the GPU where there is one by default")
    parser.add_argument("--resume", action="store_true", help="go on with the test that is in OUT")


def run(args: argparse.Namespace) -> int:
    """Test, print the table, and write the report.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0 when the test is complete, 130 after Ctrl-C. Failures are raised.

    Raises:
        UsageError: a seed below 0.
        OSError, ValueError, RuntimeError: as :func:`sa2_monai.bundle.stress.run.stress_run`.
    """
    if args.seed < 0:
        raise UsageError(f"--seed is {args.seed}, expected a whole number from 0")

    from sa2_monai.bundle.stress.run import CSV, STATE, stress_run
    from sa2_monai.bundle.stress.table import stress_table
    from sa2_monai.evaluation.report.html import HTML_NAME

    try:
        document = stress_run(
            args.bundle,
            args.data,
            args.output,
            section=args.section,
            corruptions=args.corruptions,
            seed=args.seed,
            device=args.device,
            resume=args.resume,
        )
    except KeyboardInterrupt:
        print("\nsa2-monai stress: stopped; the same command with --resume goes on", file=sys.stderr)
        return INTERRUPTED
    output = Path(args.output)
    print(f"\n{stress_table(document)}\n\nReport:    {output / HTML_NAME}\nSummary:   {output / STATE}")
    print(f"Per case:  {output / CSV}")
    return 0
