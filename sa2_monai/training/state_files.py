# SPDX-License-Identifier: Apache-2.0
"""The states of a training on the disk: the last one, the one before it, and those of earlier trainings."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.io.atomic import remove_leftovers
from sa2_monai.weights.save import sidecar_of
from sa2_monai.weights.sealed import has_checksum, read_sealed, write_sealed

__all__ = ["StateFiles"]

logger = logging.getLogger(__name__)


class StateFiles:
    """``last_state.pt``, ``last_state_before.pt``, and copies of what an earlier training left in the same folder.

    At each moment, also when the process is killed or the disk is full, one of the two is whole: the last state becomes
    the one before only when the new one lies on the disk. A damaged state is never put in the place of a good one.

    Args:
        folder: folder for the files.
        needed: entries that a state must have.
    """

    def __init__(self, folder: Path, needed: Sequence[str]) -> None:
        # Longer names than model.pt: MONAI Label takes the shortest of a models folder, if nobody chooses.
        self.last = folder / "last_state.pt"
        self.before = folder / "last_state_before.pt"
        self.needed = needed
        self._own: set[Path] = set()  # written by this training, so there is no need to keep a copy
        self._last_is_good = False
        self._previous: Path | None = None

    def remove_leftovers(self) -> None:
        """Remove what a killed process has left."""
        for path in (self.last, self.before):
            remove_leftovers(path)

    def exist(self) -> bool:
        """Whether there is anything to resume from."""
        return self.last.is_file() or self.before.is_file()

    def adopt(self, *paths: Path) -> None:
        """Files of an interrupted training that this one continues."""
        self._own.update(paths)

    def save(self, state: Mapping[str, Any]) -> None:
        """Write the last state; the one that was there becomes the one before.

        Raises:
            OSError: when it cannot be written; both files are as before.
        """
        self.keep_previous(self.last, self.before)
        write_sealed(self.last, state, self._rotate if self._last_is_good else None)
        self._last_is_good = True

    def _rotate(self) -> None:
        if not self.last.exists():  # somebody has moved it away
            return
        if self.before.exists() and self.last.samefile(self.before):
            return  # killed between the two renamings; renaming one name to another of the same file does nothing
        name = self.before.with_name(f".{self.before.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
        try:
            os.link(self.last, name)  # a second name: the first one is there all the time
        except OSError:  # a file system without such names; when killed now, the state before is the last one
            os.replace(self.last, self.before)
            return
        os.replace(name, self.before)

    def load(self) -> tuple[dict[str, Any], Path]:
        """Read the last state, or the one before when that is damaged or missing.

        Returns:
            The state and the file it is from.

        Raises:
            ValueError: both are damaged (or the only one), with what is wrong with each.
            OSError: the last state cannot be read.
        """
        problems: list[str] = []
        for path in (self.last, self.before):
            if not path.is_file():
                problems.append(f"{path} does not exist.")
                continue
            try:
                state = self._read(path)
            except (ValueError, OSError) as error:
                if isinstance(error, OSError) and error.errno != errno.EIO:
                    raise
                problems.append(str(error))
                continue
            if problems:
                logger.warning(
                    "%s THE STATE BEFORE IT IS USED: %s, of epoch %s. What was trained since then is trained again.",
                    *(problems[0], path, state["engine"].get("epoch")),
                )
            self._last_is_good = path == self.last
            self.adopt(self.last, self.before)
            return state, path
        raise ValueError(
            f"no state to resume from can be used. {' '.join(problems)} Restore one of the two files, or move them "
            "away and start without resume; to begin with the best weights, set pretrained to "
            f"{self.last.parent}/model.pt."
        )

    def _read(self, path: Path) -> dict[str, Any]:
        state = read_sealed(path)
        if not isinstance(state, dict) or any(key not in state for key in self.needed):
            raise ValueError(
                f"{path} is not the state of a training that can be resumed. Move it away and start without resume."
            )
        if not has_checksum(path):
            logger.info("%s is of an earlier version and has no checksum: it is used unchecked.", path)
        return state

    def keep_previous(self, *paths: Path) -> None:
        """Keep files of an earlier training in ``previous/<number>`` before they are overwritten for the first time.

        The state before is moved: what is resumed must never be one of another training.
        """
        for path in paths:
            if path in self._own:
                continue
            self._own.add(path)
            if not path.is_file():
                continue
            previous = self._folder_of_previous()
            for file in (path, sidecar_of(path)):
                # A second name for the same file, where the file system has that: the first one is there all the time.
                if file.is_file():
                    try:
                        os.link(file, previous / file.name)
                    except OSError:
                        shutil.copy2(file, previous / file.name)
            if path == self.before:
                path.unlink()
            logger.info("%s of an earlier training is kept in %s.", path.name, previous)

    def move_previous(self, folder: Path) -> None:
        """Move a folder of an earlier training to ``previous/<number>``."""
        if folder.is_dir():
            os.replace(folder, self._folder_of_previous() / folder.name)

    def _folder_of_previous(self) -> Path:
        if self._previous is None:
            folder = self.last.parent / "previous"
            taken = [int(child.name) for child in folder.glob("*") if child.name.isdigit()]
            self._previous = folder / str(max(taken, default=0) + 1)
            self._previous.mkdir(parents=True)
        return self._previous
