# SPDX-License-Identifier: Apache-2.0
"""Options of ``sa2-monai predict``: averages over several looks at an image, and how far they agree."""

from __future__ import annotations

import argparse
from typing import Any

from sa2_monai.bundle.prediction.run import TrainedModel
from sa2_monai.cli.common import positive
from sa2_monai.cli.main import UsageError

__all__ = ["add_arguments", "overrides"]

# Values of the switch; a copy, since a command imports no PyTorch to print its help.
_UNCERTAINTIES = ("entropy", "variance", "all")
_DROPOUT = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the group of options."""
    group = parser.add_argument_group("accuracy and uncertainty")
    group.add_argument(
        "--tta", action="store_true", help="test-time augmentation: average over flips and quarter turns"
    )
    group.add_argument(
        "--uncertainty",
        choices=_UNCERTAINTIES,
        help="maps beside the label maps, and a table of scores: entropy of the probabilities; variance over --tta, "
        "--dropout-samples or the networks of an ensemble",
    )
    group.add_argument(
        "--dropout-samples", type=positive, metavar="N", help="average over N networks that dropout has thinned"
    )
    group.add_argument(
        "--dropout",
        type=_rate,
        metavar="RATE",
        help=f"share that they lose (default: the rate of the bundle, else {_DROPOUT})",
    )


def overrides(args: argparse.Namespace, model: TrainedModel) -> dict[str, Any]:
    """Switches of ``inference.yaml`` for the options that were given.

    Args:
        args: the parsed arguments of :func:`add_arguments`.
        model: what predicts.

    Raises:
        UsageError: a rate for no samples.
    """
    given: dict[str, Any] = {"tta": True} if args.tta else {}
    if args.uncertainty:
        given["uncertainty"] = args.uncertainty
    if args.dropout_samples:
        rate = args.dropout or model.config.get("dropout") or _DROPOUT
        given |= {"dropout_samples": args.dropout_samples, "dropout": rate}
    elif args.dropout is not None:
        raise UsageError("--dropout: only together with --dropout-samples, since nothing else drops anything")
    return given


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate < 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0 and below 1, got {text}")
    return rate
