# SPDX-License-Identifier: Apache-2.0
"""One training at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack

import torch.distributed as dist
from ignite.engine import Engine, Events

from sa2_monai.io.folders import check_writable
from sa2_monai.io.ownership import claim_folder
from sa2_monai.training.distributed import rank, world_size

__all__ = ["OneWriter", "check_folder"]

_PURPOSE = "training"


def check_folder(directory: str | os.PathLike[str]) -> None:
    """Make a folder and see that it can be written and that no other program trains into it, before anything is read.

    All processes of a training have to ask; the first one looks.

    Args:
        directory: the folder.

    Raises:
        FolderInUseError: another program writes there, with its process and start.
        OSError: the folder cannot be made or written.
    """
    check_writable(directory)
    _claim([directory]).close()


class OneWriter:
    """Keep the folders of a training for it alone while it runs.

    A second one would mix its states with those of the first, and the better weights of one would hide the other's.
    What a killed training left behind stops nobody. Of several processes, all of which have this handler, the first
    holds the folders. It comes first in the list.

    Args:
        folders: folders that the training writes into; made when needed.

    Raises:
        FolderInUseError: when training starts and another program writes into one of them.
        OSError: when a folder cannot be written.
    """

    def __init__(self, folders: Sequence[str | os.PathLike[str]]) -> None:
        self.folders = folders
        self._held = ExitStack()

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.COMPLETED, self._release)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._fail)
        # Ahead of MONAI's StatsHandler, which ends the calls by raising the error again.
        handlers = engine._event_handlers[Events.EXCEPTION_RAISED]
        handlers.insert(0, handlers.pop())

    def _start(self, _: Engine) -> None:
        self._held.close()
        self._held = _claim(self.folders)

    def _release(self, _: Engine) -> None:
        self._held.close()

    def _fail(self, engine: Engine, error: BaseException) -> None:
        self._held.close()
        if engine._event_handlers[Events.EXCEPTION_RAISED][-1][0] == self._fail:  # nobody else raises it again
            raise error


def _claim(folders: Sequence[str | os.PathLike[str]]) -> ExitStack:
    """Claim the folders for the first process; when it cannot, all processes raise its error."""
    held = ExitStack()
    errors: list[Exception | None] = [None]
    if rank() == 0:
        try:
            for folder in folders:
                held.enter_context(claim_folder(folder, _PURPOSE))
        except (RuntimeError, OSError) as error:
            held.close()
            errors = [error]
    if world_size() > 1:
        dist.broadcast_object_list(errors, 0)
    if errors[0] is not None:
        raise errors[0]
    return held
