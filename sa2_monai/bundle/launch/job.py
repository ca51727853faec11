# SPDX-License-Identifier: Apache-2.0
"""A command that takes long, and what has to be known to run it once and no more."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Job", "JobError"]


class JobError(RuntimeError):
    """A job ended with an exit code other than 0."""


@dataclass(frozen=True)
class Job:
    """A program that is to run once, by whichever machine comes first.

    Attributes:
        name: in words, different for each job of a folder: ``"training of fold 0"``.
        command: its words; or a function of no arguments that gives them, called when the job begins (a training that
            a killed machine has left is gone on with by another command).
        folder: shared by all machines; ``jobs/<name>/`` in it has the lock of the job, and its output when several
            jobs run side by side.
        is_done: whether nothing is left to do, by what lies on the disk; also asked while another machine works.
        after: names of the jobs that have to be done before.
    """

    name: str
    command: Sequence[str] | Callable[[], Sequence[str]]
    folder: Path
    is_done: Callable[[], bool]
    after: Sequence[str] = ()

    @property
    def place(self) -> Path:
        """Folder of its lock and its output."""
        return self.folder / "jobs" / re.sub(r"[^\w.-]+", "_", self.name)

    def words(self) -> list[str]:
        """The command as it is to be run now."""
        return list(self.command() if callable(self.command) else self.command)
