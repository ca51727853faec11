# SPDX-License-Identifier: Apache-2.0
"""Download of one file: resumed after a cut, verified by SHA-256, renamed only when it is whole and right."""

from __future__ import annotations

import errno
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from sa2_monai.io.digest import sha256_of

__all__ = ["transfer"]

_CHUNK = 1 << 20

#: Called with (bytes on disk, bytes in all or 0 where the server does not say).
Progress = Callable[[int, int], None]


class _WrongChecksumError(ValueError):
    """The whole file is there and is not the expected one."""


def transfer(
    url: str,
    path: str | os.PathLike[str],
    sha256: str,
    *,
    attempts: int = 5,
    timeout: float = 60.0,
    pause: float = 2.0,
    progress: Progress | None = None,
) -> Path:
    """Download a file, or reuse it if it is there with the right checksum.

    Bytes are collected in ``<path>.part``; after a cut, the same call goes on where it stopped (HTTP ranges).

    Args:
        url: address, ``https``, or ``http`` of this machine.
        path: target file; its folder must exist.
        sha256: expected checksum, hexadecimal.
        attempts: tries before giving up; every one goes on with what is there.
        timeout: seconds without an answer that count as a cut.
        pause: seconds between two tries.
        progress: called after every megabyte.

    Returns:
        The target file.

    Raises:
        ValueError: the file has another checksum, also after a fresh start. A file that was at ``path`` stays.
        OSError: no connection, refused by the server, or no room on the disk; ``<path>.part`` stays for the next try.
    """
    target = Path(path)
    part = target.with_name(target.name + ".part")
    if target.is_file() and sha256_of(target) == sha256.lower():
        return target
    resumed = part.is_file() and part.stat().st_size > 0
    last: Exception | None = None
    for attempt in range(max(1, attempts)):
        if attempt and last is not None:
            time.sleep(pause)
        try:
            _append(url, part, timeout, progress)
            _verify(part, sha256, url)
            os.replace(part, target)
            return target
        except _WrongChecksumError as error:
            part.unlink(missing_ok=True)
            if not resumed:  # nothing of it came from an earlier run: the source itself has changed
                raise ValueError(str(error)) from None
            resumed, last = False, None
        except urllib.error.HTTPError as error:
            error.close()
            last = error
            if error.code >= 500:  # overloaded; may pass
                continue
            raise OSError(f"{url}: the server answers {error.code} {error.reason}; {_by_hand(url, target)}") from None
        except (http.client.HTTPException, ConnectionError, TimeoutError, urllib.error.URLError, _CutError) as error:
            last = error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise OSError(
                    error.errno, f"{part}: no room left on the disk; free some and run again, the download will go on"
                ) from error
            raise
    raise OSError(
        f"{url}: the connection failed {attempts} times (last: {last}); run again to go on, or {_by_hand(url, target)}"
    )


class _CutError(Exception):
    """The body ended before the length that the server announced."""


def _append(url: str, part: Path, timeout: float, progress: Progress | None) -> None:
    """Fetch what is missing in the partial file; return when the server has sent all of it."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "sa2_monai"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing after what is there: complete, or not the same file; verified next
            error.close()
            return
        raise
    with response:
        if response.status != 206:  # the server knows no ranges and sends everything again
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else 0
        free = shutil.disk_usage(part.parent).free
        if total - have > free:
            raise OSError(errno.ENOSPC, f"{total - have} bytes to come, {free} bytes free")
        with open(part, "ab" if have else "wb") as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                if progress is not None:
                    progress(have, total)
            file.flush()
            os.fsync(file.fileno())
    if total and have < total:
        raise _CutError(f"{have} of {total} bytes arrived")


def _verify(part: Path, sha256: str, url: str) -> None:
    found = sha256_of(part)
    if found != sha256.lower():
        raise _WrongChecksumError(
            f"{url}: has SHA-256 {found} ({part.stat().st_size} bytes), expected {sha256}; the file was not kept. "
            "A proxy or login page may stand in between, or the file has changed at its source"
        )


def _by_hand(url: str, target: Path) -> str:
    return f"download it with another program and put it at {target}"
