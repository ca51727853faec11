# SPDX-License-Identifier: Apache-2.0
"""One writer for an output folder: two programs that write into one would mix their results in silence.

Each writer puts a small file of its own beside the results and then looks for those of others. A file of its own, not
one name for all, so that what a killed program left is removed without a chance to remove the file of a living one.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

__all__ = ["FolderInUseError", "claim_folder", "is_abandoned", "is_claim"]

logger = logging.getLogger(__name__)

_PREFIX, _SUFFIX = ".sa2_monai.", ".lock"
#: Seconds between two renewals of a mark, and without one until another machine's is taken over.
RENEWED, SILENT = 60.0, 3600.0
# Two that come at the same moment see each other and both step back; chance lets one of them be first then.
_ATTEMPTS, _PAUSE = 3, 0.1


class FolderInUseError(RuntimeError):
    """Another program writes into the folder.

    Args:
        message: one line.
        owner: the other program in words: process, machine, start.
        mark: its file in the folder.
    """

    def __init__(self, message: str, owner: str = "", mark: str = "") -> None:
        super().__init__(message)
        self.owner, self.mark = owner, mark


@contextlib.contextmanager
def claim_folder(path: str | os.PathLike[str], purpose: str, shared: str | None = None) -> Iterator[Path]:
    """Be the only writer of a folder for the time of a ``with`` block.

    Claims of one process go together, in whatever order they are given up. Of the processes of one distributed program
    only the first may claim. What a killed program left behind is taken over with a warning: at once on the machine it
    ran on, which knows that it has ended; on another when it has not renewed its mark for :data:`SILENT` seconds, as
    it does every :data:`RENEWED` seconds while it lives.

    Args:
        path: folder, made with its parents when it is not there.
        purpose: what is written, for the message of others: ``"training"``.
        shared: programs that name the same work may write side by side; ``None`` for a single writer.

    Yields:
        The folder as a path.

    Raises:
        FolderInUseError: another program writes there; the message has its process, machine and start.
        OSError: the folder cannot be made or written.
    """
    folder = Path(path)
    about = {"purpose": purpose, "shared": shared, "since": _now(), "renewed": RENEWED}
    own, ended = _claim(folder, {**_process(os.getpid()), **about}), threading.Event()
    threading.Thread(target=_renew, args=(own, ended), name=f"mark in {folder}", daemon=True).start()
    try:
        yield folder
    finally:
        ended.set()
        if own.name.split(".")[2] == str(os.getpid()):  # not a worker that was forked in the meantime
            own.unlink(missing_ok=True)


def is_claim(path: Path) -> bool:
    """Whether a file is the mark of a writer, and no content of its folder.

    Args:
        path: the file.
    """
    return path.name.startswith(_PREFIX) and path.name.endswith((_SUFFIX, f"{_SUFFIX}.tmp"))


def is_abandoned(folder: Path) -> bool:
    """Whether all that have written into a folder have certainly ended, and at least one has.

    Args:
        folder: the folder.
    """
    marks, here = list(folder.glob(f"{_PREFIX}*{_SUFFIX}")), _process(os.getpid())
    return bool(marks) and all(_is_dead(_read(mark) or {}, here) for mark in marks)


def _claim(folder: Path, owner: dict[str, Any]) -> Path:
    attempt = 1
    while True:
        own = _write(folder, owner)
        other = _incompatible(folder, own, owner)
        if other is None:
            return own
        own.unlink(missing_ok=True)
        if attempt == _ATTEMPTS:
            break
        attempt += 1
        time.sleep(_PAUSE * secrets.randbelow(100) / 100)  # `random` has the seed of a training
    file, found = other
    who = _who(found)
    elsewhere = found.get("host") != owner["host"] and "renewed" in found
    later = f", or wait until it has not been renewed for {SILENT / 60:.0f} minutes" if elsewhere else ""
    raise FolderInUseError(
        f"{folder}: another program writes into this folder: {found.get('purpose', 'unknown work')}, {who}. Wait for "
        f"its end or choose another folder. Should it not run any more, remove {file}{later}.",
        who,
        str(file),
    )


def _write(folder: Path, owner: dict[str, Any]) -> Path:
    # Written under another name and renamed: nobody reads half of one.
    name = f"{_PREFIX}{owner['pid']}.{secrets.token_hex(4)}{_SUFFIX}"
    own, half = folder / name, folder / f"{name}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(half, "x", encoding="utf-8") as file:
            json.dump(owner, file)
        os.rename(half, own)
    except OSError as error:
        with contextlib.suppress(OSError):
            half.unlink()
        raise type(error)(
            error.errno,
            f"cannot write to the output folder {folder} ({error.strerror}). Choose another folder, or make this one "
            "writable.",
        ) from error
    return own


def _incompatible(folder: Path, own: Path, owner: dict[str, Any]) -> tuple[Path, dict[str, Any]] | None:
    """A living claim that does not go together with one's own; claims of dead programs are removed."""
    for file in sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}")):
        if file == own:
            continue
        found = _read(file)
        if found is None:  # given up at this moment
            continue
        reason = "which has ended" if _is_dead(found, owner) else _silent(file, found, own, owner)
        if reason:
            file.unlink(missing_ok=True)
            logger.warning("%s: taken over from %s (%s), %s", folder, _who(found), found.get("purpose"), reason)
            continue
        same_process = all(found.get(key) == owner[key] for key in ("host", "pid", "boot", "started"))
        if not same_process and (owner["shared"] is None or found.get("shared") != owner["shared"]):
            return file, found
    return None


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_dead(found: dict[str, Any], owner: dict[str, Any]) -> bool:
    """Whether a program of this machine has certainly ended."""
    if found.get("host") != owner["host"] or not isinstance(found.get("pid"), int):
        return False
    now = _process(found["pid"])
    if now["boot"] != found.get("boot"):
        return True  # the machine was started anew
    if now["started"] is not None or found.get("started") is not None:
        return bool(now["started"] != found.get("started"))
    return not _runs(found["pid"])


def _silent(file: Path, found: dict[str, Any], own: Path, owner: dict[str, Any]) -> str | None:
    """Why a program on another machine counts as ended; ``None`` while it may live."""
    if found.get("host") == owner["host"] or "renewed" not in found:  # earlier versions renewed nothing
        return None
    try:
        # Both times are those of the file system: clocks of machines differ.
        seconds = own.stat().st_mtime - file.stat().st_mtime
    except OSError:
        return None
    return f"which has given no sign for {seconds / 60:.0f} minutes" if seconds > SILENT else None


def _renew(mark: Path, ended: threading.Event) -> None:
    while not ended.wait(RENEWED):
        try:
            os.utime(mark)
        except FileNotFoundError:
            logger.warning("%s: removed, or taken over by another program; two may write here now", mark)
            return
        except OSError:  # a file system that is away for a moment
            continue


def _who(found: dict[str, Any]) -> str:
    return f"process {found.get('pid', '?')} on {found.get('host', '?')}, since {found.get('since', '?')}"


def _process(pid: int) -> dict[str, Any]:
    """Where a process runs and since when; ``started`` is ``None`` where there is none, or the system does not say."""
    boot = started = None
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with contextlib.suppress(OSError, IndexError):
        # Behind the name of the program, which may hold spaces and brackets: 20th field, in ticks since the start.
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return {"host": socket.gethostname(), "pid": pid, "boot": boot, "started": started}


def _runs(pid: int) -> bool:
    if os.name == "nt":  # signal 0 is Ctrl-C there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _now() -> str:
    return datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds")
