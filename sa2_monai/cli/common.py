# SPDX-License-Identifier: Apache-2.0
"""What several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sa2_monai.cli.main import UsageError

__all__ = ["find_bundle", "read_override"]


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


def read_override(text: str) -> tuple[str, Any]:
    """Id and value of an argument ``ID=VALUE``; the value is YAML.

    Raises:
        UsageError: when it has another form.
    """
    import yaml

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"expected ID=VALUE, got {text!r}")
    try:
        # MONAI's references and expressions are no YAML unless quoted.
        return name, value if value[:1] in ("@", "$", "%") else yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UsageError(f"{text}: the value is no YAML") from error
