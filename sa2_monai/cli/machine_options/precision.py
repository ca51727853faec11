# SPDX-License-Identifier: Apache-2.0
"""``--precision`` and ``--parity``: in which numbers a network calculates, and what that changes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sa2_monai.bundle.prediction.run import TrainedModel

__all__ = ["add_parity", "add_precision", "overrides"]

# Values of the switch; a copy, since a command imports no PyTorch to print its help.
_PRECISIONS = ("fp32", "bf16", "fp16", "auto")


def add_precision(parser: argparse._ActionsContainer, default: str) -> None:
    """Add ``--precision``.

    Args:
        parser: of the command, or a group of it.
        default: what happens without it, for the help.
    """
    parser.add_argument("--precision", choices=_PRECISIONS, help=f"numbers of the network (default: {default})")


def add_parity(parser: argparse._ActionsContainer) -> None:
    """Add ``--parity``.

    Args:
        parser: of the command, or a group of it.
    """
    parser.add_argument(
        "--parity", action="store_true", help="also predict the first case in fp32, and tell how far both agree"
    )


def overrides(args: argparse.Namespace, model: TrainedModel, runtime: str = "eager") -> dict[str, Any]:
    """The precision in which files are predicted; a result depends on it, so ``auto`` is decided here.

    Args:
        args: the parsed arguments, with ``precision`` and ``device``.
        model: what predicts; its own precision counts where none is asked for.
        runtime: what calculates the network.

    Raises:
        ValueError: a precision that the device does not have.
    """
    wanted = args.precision or model.config.get("precision")
    if wanted not in _PRECISIONS:  # nothing is said, or by an expression
        return {}
    if wanted == "fp32":
        return {"precision": wanted}
    from sa2_monai.bundle.workflow import choose_device
    from sa2_monai.networks import choose_precision

    return {"precision": choose_precision(wanted, choose_device(args.device), runtime=runtime)}
