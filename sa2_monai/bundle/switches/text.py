# SPDX-License-Identifier: Apache-2.0
"""Values of switches as text: in a line of YAML, and as an argument ``ID=VALUE``."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

__all__ = ["NUMBER", "override_word", "value_text"]

#: Numbers that YAML takes for a text.
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")


def value_text(value: Any) -> str:
    """A value as YAML in one line.

    Args:
        value: text, number, boolean, ``None``, or lists and dictionaries of them.
    """
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf"))
    return str(text).removesuffix("...\n").strip()


def override_word(name: str, value: Any) -> str:
    """The argument ``ID=VALUE`` of a command, not yet quoted for the shell.

    Args:
        name: the id.
        value: as :func:`value_text`; a text with an expression or reference of MONAI stays as it is.
    """
    if isinstance(value, str):
        if value[:1] in ("@", "$", "%"):
            return f"{name}={value}"
        if NUMBER.fullmatch(value):
            return f"{name}={json.dumps(value)}"
    return f"{name}={value_text(value)}"
