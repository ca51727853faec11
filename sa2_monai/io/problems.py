# SPDX-License-Identifier: Apache-2.0
"""Collect what is wrong with a data set and report it in one error, at most ten cases of a kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from sa2_monai.io.text import printable

__all__ = ["CASE_ERRORS", "FailedCasesError", "Problems", "grouped", "listing"]

#: What ends the work of one case and not that of the others: whatever a damaged file makes a library raise, too, but
#: not Ctrl-C and the end of the program. Their message is that of :func:`sa2_monai.io.causes.case_error`.
CASE_ERRORS = (Exception,)

_LIMIT = 10


def listing(items: Sequence[str], limit: int = _LIMIT, separator: str = ", ") -> str:
    """Join names for a message; what exceeds the limit is counted.

    Args:
        items: what to name.
        limit: how many are named.
        separator: what stands between them.
    """
    text = separator.join(items[:limit])
    return text + (f"{separator}and {len(items) - limit} more" if len(items) > limit else "")


def grouped(remarks: Iterable[tuple[str, str]], limit: int = _LIMIT) -> list[str]:
    """Remarks on many files, those that differ in numbers only said once.

    Args:
        remarks: pairs (remark, name of the case or file).
        limit: how many names are given of each.

    Returns:
        One line per kind: the first remark of it, and the names.
    """
    kinds: dict[str, tuple[str, list[str]]] = {}
    for text, name in remarks:
        kinds.setdefault(re.sub(r"\d[\d.e+-]*", "0", text), (text, []))[1].append(name)
    return [f"{text} ({listing(names, limit)})" for text, names in kinds.values()]


class Problems:
    """Problems by kind, raised together.

    Args:
        where: the folder or list that is checked; the first words of the message.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._found: dict[tuple[str, str], list[str]] = {}

    def add(self, kind: str, case: str, hint: str) -> None:
        """Note one problem.

        Args:
            kind: what is wrong, said once for all cases of the kind.
            case: the file, and what was found in it.
            hint: what the user can do.
        """
        self._found.setdefault((kind, hint), []).append(case)

    def raise_if_any(self) -> None:
        """Raise one ``ValueError`` that names all kinds; return if there are none."""
        for text in self.texts():
            raise ValueError(text)

    def texts(self) -> list[str]:
        """The message that names all kinds, or nothing if there are none."""
        lines = [
            f"{kind} ({len(cases)}):\n    " + listing(cases, separator="\n    ") + f"\n  -> {hint}"
            for (kind, hint), cases in self._found.items()
        ]
        return [f"{self._where}: the data cannot be used as they are\n  " + "\n  ".join(lines)] if lines else []


class FailedCasesError(ValueError):
    """Some cases failed; the others were finished.

    Args:
        failures: message by case.
        total: number of cases.
    """

    def __init__(self, failures: Mapping[str, str], total: int) -> None:
        self.failures = dict(failures)
        lines = "\n".join(f"  {printable(case)}: {message}" for case, message in self.failures.items())
        super().__init__(f"{len(failures)} of {total} cases failed, the others are finished:\n{lines}")
