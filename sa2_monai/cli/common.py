# SPDX-License-Identifier: Apache-2.0
"""What several commands share."""

from __future__ import annotations

from typing import Any

from sa2_monai.cli.main import UsageError

__all__ = ["read_override"]


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
