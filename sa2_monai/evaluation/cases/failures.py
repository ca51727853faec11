# SPDX-License-Identifier: Apache-2.0
"""One bad case does not end a batch: it is noted with its message, and the others go on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from sa2_monai.io.causes import root_cause
from sa2_monai.io.problems import CASE_ERRORS

__all__ = ["Failures", "check_on_error"]

T = TypeVar("T")
_log = logging.getLogger(__name__)


def check_on_error(word: str) -> None:
    """Check the option ``on_error``.

    Raises:
        ValueError: for a word that is neither ``"raise"`` nor ``"continue"``.
    """
    if word not in ("raise", "continue"):
        raise ValueError(f"on_error is {word!r}, expected 'raise' or 'continue'")


class Failures:
    """Runs the work of single cases and keeps the messages of those that fail.

    Args:
        on_error: ``"raise"`` lets the first error through, ``"continue"`` notes it.

    Attributes:
        messages: case -> message, in the order of the failures.

    Raises:
        ValueError: for another word.
    """

    def __init__(self, on_error: str) -> None:
        check_on_error(on_error)
        self.on_error = on_error
        self.messages: dict[str, str] = {}

    def attempt(self, case: str, work: Callable[[], T]) -> T | None:
        """Do the work of a case; ``None`` when it failed and that was noted.

        Raises:
            OSError, ValueError, RuntimeError, MemoryError: those of ``work`` with ``on_error="raise"``.
        """
        try:
            return work()
        except CASE_ERRORS as error:
            if self.on_error == "raise":
                raise
            self.messages[case] = root_cause(error)
            _log.warning("case %s failed: %s", case, self.messages[case])
            return None

    def check_any_left(self, cases: int) -> None:
        """Refuse a batch of which nothing is left.

        Raises:
            ValueError: when all cases failed; with the message of the first.
        """
        if self.messages and len(self.messages) == cases:
            case, message = next(iter(self.messages.items()))
            raise ValueError(f"all {cases} cases failed; the first, {case}: {message}")

    def entries(self, predictions: Mapping[str, Any], references: Mapping[str, Any]) -> list[dict[str, str]]:
        """The failed cases for the summary, with their files."""

        def name(item: Any) -> str:
            return str(item) if isinstance(item, (str, Path)) else ""

        return [
            {
                "case": case,
                "message": self.messages[case],
                "prediction_file": name(predictions.get(case)),
                "reference_file": name(references.get(case)),
            }
            for case in sorted(self.messages)
        ]

    def warnings(self, cases: int) -> list[str]:
        """The warning that a summary of the other cases carries."""
        if not self.messages:
            return []
        names = ", ".join(sorted(self.messages)[:10])
        return [f"failed: {len(self.messages)} of {cases} cases could not be measured and are in no mean: {names}"]
