# SPDX-License-Identifier: Apache-2.0
"""Make the probabilities of a run what they say: fit one temperature on the validation part of its data.

The temperature is written beside the weights, into models/model.json, where every prediction with them finds it and
'sa2-monai package' takes it along. The test part is then scored before and after: calibration.json, calibration.csv
and calibration.html have the reliability, the likelihood, and whether the uncertainty of a case knows where the model
is wrong. The label maps of a single network hardly change, those of ensembles and test-time augmentation may.
"""

from __future__ import annotations

import argparse

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai calibrate``."""
    parser.epilog = "example: sa2-monai calibrate --bundle runs/nuclei"
    parser.add_argument("--bundle", required=True, metavar="RUN", help="run, or another bundle with weights")
    parser.add_argument("--data", metavar="DIR", help="the validation and test parts of other data than the run's")
    parser.add_argument("--output", "-o", metavar="DIR", help="folder of the results (default: eval in RUN)")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1; the GPU where there is one by default")


def run(args: argparse.Namespace) -> int:
    """Calibrate, and print what it changes.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0. Failures are raised.

    Raises:
        OSError, ValueError: as :func:`~sa2_monai.bundle.calibration.run.calibrate_run`.
    """
    from sa2_monai.bundle.calibration.run import CSV, HTML, calibrate_run
    from sa2_monai.bundle.calibration.table import calibration_table

    document, folder = calibrate_run(args.bundle, args.data, args.output, args.device)
    print(f"\n{calibration_table(document)}\n\nReport:    {folder / HTML}\nPer case:  {folder / CSV}")
    return 0
