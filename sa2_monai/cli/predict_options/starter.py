# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai predict --model NAME``: a starter model instead of weights of one's own."""

from __future__ import annotations

import argparse

from sa2_monai.cli.main import UsageError

__all__ = ["add_arguments", "weights_of"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--model", metavar="NAME", help="a starter model, which comes with the package: nuclei (docs/starter.md)"
    )


def weights_of(args: argparse.Namespace) -> str | None:
    """The weights that are meant: a file, the name of a starter model, or ``None`` for those of the bundle.

    Args:
        args: the parsed arguments.

    Raises:
        UsageError: a model that does not come with the package, or two answers to one question.
    """
    if args.model is None:
        weights: str | None = args.weights
        return weights
    if args.weights is not None or args.bundle is not None:
        raise UsageError("--model has its own weights and bundle: leave --weights and --bundle out")
    from sa2_monai.weights.starters import starter_names

    if args.model not in starter_names():
        raise UsageError(f"--model {args.model}: no such model; the package has {', '.join(starter_names()) or 'none'}")
    return str(args.model)
