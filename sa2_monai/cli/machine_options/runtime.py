# SPDX-License-Identifier: Apache-2.0
"""``--runtime``: what calculates a network."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sa2_monai.bundle.prediction.run import TrainedModel

__all__ = ["RUNTIMES", "add_runtime", "overrides"]

# Values of the switch; a copy, since a command imports no PyTorch to print its help.
RUNTIMES = ("eager", "compile", "openvino", "onnxruntime", "tensorrt")


def add_runtime(parser: argparse._ActionsContainer, default: str) -> None:
    """Add ``--runtime``.

    Args:
        parser: of the command, or a group of it.
        default: what happens without it, for the help.
    """
    parser.add_argument("--runtime", choices=RUNTIMES, help=f"what calculates the network (default: {default})")


def overrides(args: argparse.Namespace, model: TrainedModel) -> dict[str, Any]:
    """The runtime by which files are predicted; what it needs is looked for before anything is read.

    Args:
        args: the parsed arguments, with ``runtime`` and ``dropout_samples``.
        model: what predicts; its own runtime counts where none is asked for.

    Raises:
        ImportError: a package is missing; the message names the extra.
        ValueError: thinned networks, which only eager has.
    """
    wanted = args.runtime or model.config.get("runtime")
    if wanted not in RUNTIMES or (wanted == RUNTIMES[0] and "runtime" not in model.config):
        return {}  # said by an expression, or the only one that a bundle of an earlier version has
    if wanted != RUNTIMES[0]:
        from sa2_monai.inference.runtimes import check_runtime

        check_runtime(wanted, args.dropout_samples or 0)
    return {"runtime": wanted}
