# SPDX-License-Identifier: Apache-2.0
"""What several commands share."""

from __future__ import annotations

from pathlib import Path

from sa2_monai.cli.main import UsageError

__all__ = ["find_bundle"]


def find_bundle(bundle: str | None, network: str = "sa2net") -> Path:
    """The bundle folder that ``--bundle`` names; ``bundles/<network>`` of the checkout without it.

    Args:
        bundle: value of the option.
        network: name of the network whose bundle is wanted.

    Returns:
        The folder, absolute; whether it holds a bundle is for the command to check.

    Raises:
        UsageError: no value outside a checkout.
    """
    if bundle is not None:
        return Path(bundle).resolve()
    folder = Path(__file__).resolve().parents[2] / "bundles" / network
    if not folder.is_dir():
        raise UsageError("the following argument is required outside a checkout of the repository: --bundle")
    return folder
