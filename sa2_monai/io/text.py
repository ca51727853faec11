# SPDX-License-Identifier: Apache-2.0
"""Names of files as text: on a terminal, in a table, in a JSON file. A name may hold any byte but ``/`` and NUL."""

from __future__ import annotations

import re
from typing import Any, TextIO

__all__ = ["PrintableStream", "csv_cell", "encodable", "printable"]

# Control characters move the cursor, change colours or the title of a terminal, or write over what stands there; marks
# of the direction of writing show a name backwards; line and paragraph separators are line breaks to some programs.
_CONTROLS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
_NO_CHARACTERS = "\ud800-\udfff"  # Python's way to keep bytes of a name that are no UTF-8
_IN_NAMES = re.compile(f"[{_CONTROLS}{_NO_CHARACTERS}]")
_IN_LINES = re.compile(f"(?![\n\t])[{_CONTROLS}{_NO_CHARACTERS}]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
# How a spreadsheet recognises a formula; tabs and line breaks in front are left out by some of them.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# What a progress bar sends to move the cursor.
_UP = re.compile("(?:\n|\x1b\\[A)+")
_RETURN = re.compile("(?:\r+(?:\x1b\\[K)?)?")


def printable(text: str, lines: bool = False) -> str:
    r"""A text in which nothing acts on a terminal, and that can be written in UTF-8.

    Args:
        text: a name or a message.
        lines: leave line feeds and tabs, which messages of several lines have.

    Returns:
        The text with ``\u001b`` and the like for what is no visible character, as JSON writes it.
    """
    return (_IN_LINES if lines else _IN_NAMES).sub(lambda found: _SHORT.get(found[0], f"\\u{ord(found[0]):04x}"), text)


def encodable(text: str) -> str:
    r"""A text that can be written in UTF-8: bytes of a name that are no characters become ``\udcff``, as in JSON."""
    return re.sub(f"[{_NO_CHARACTERS}]", lambda found: f"\\u{ord(found[0]):04x}", text)


def csv_cell(value: Any) -> Any:
    """A value for a table that people open in a spreadsheet: text is never taken for a formula.

    Args:
        value: of a cell. Numbers, also written ones such as ``"-1.5"``, stay as they are.

    Returns:
        The value; a text that begins like a formula with an apostrophe in front, which spreadsheets do not show.
    """
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


class PrintableStream:
    """An output stream whose texts pass :func:`printable`, so that no name acts on the terminal.

    Progress bars go through: a carriage return and the clearing of the line in front of a text, and cursor movements
    that stand alone.

    Args:
        stream: the stream.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text; returns its length, as streams do."""
        shown = text
        if not _UP.fullmatch(text):
            start = _RETURN.match(text)[0]  # type: ignore[index]  # matches the empty text, too
            shown = start + printable(text[len(start) :], lines=True)
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(shown.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, texts: list[str]) -> None:
        """Write several texts."""
        for text in texts:
            self.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
