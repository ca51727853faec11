# SPDX-License-Identifier: Apache-2.0
"""Values that go through MONAI's configuration parser unchanged.

The parser writes ``::`` for every ``#``, and takes texts that begin with ``$``, ``@`` or ``%`` for expressions,
references and macros. What it evaluates it leaves as it is: a text with such a character is handed over as a Python
literal in which they are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["verbatim"]

_SPECIAL = re.compile("[#$@%]")
_PLAIN = re.compile(r"[A-Za-z0-9_./ -]")


def verbatim(value: Any) -> Any:
    """What to give to MONAI's parser so that it has the value in the end.

    Args:
        value: text, number, ``None``, or lists and dictionaries of them; anything else is returned as it is.
    """
    return f"${_literal(value)}" if _has_special(value) else value


def _has_special(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_special(entry) for pair in value.items() for entry in pair)
    if isinstance(value, (list, tuple)):
        return any(map(_has_special, value))
    return isinstance(value, str) and _SPECIAL.search(value) is not None


def _literal(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(key)}: {_literal(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, str):
        return "'" + "".join(c if _PLAIN.match(c) else f"\\U{ord(c):08x}" for c in value) + "'"
    return repr(value)
