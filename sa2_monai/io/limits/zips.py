# SPDX-License-Identifier: Apache-2.0
"""What zip files unpack to: bounded by the sizes that they declare, and by what their bytes can hold.

:mod:`zipfile` gives no more bytes of an entry than its header declares, a piece at a time where it is deflated; of the
other compressions a few bytes may become gigabytes at once.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

__all__ = ["LARGEST_RATIO", "check_expansion", "check_method", "read_entry"]

#: Deflate makes at most so many bytes of one.
LARGEST_RATIO = 1032
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Weights and configurations shrink to a tenth at best; what is small may shrink as it likes.
_USUAL_RATIO, _SMALL = 100, 2**28
_TEXT = 2**24  # bytes of a configuration


def check_method(path: str | os.PathLike[str], entry: zipfile.ZipInfo) -> None:
    """Refuse an entry of another compression than deflate, whose pieces have no bound.

    Args:
        path: the archive, for the message.
        entry: of it.

    Raises:
        ValueError: another compression.
    """
    if entry.compress_type not in _METHODS:
        method = zipfile.compressor_names.get(entry.compress_type, str(entry.compress_type))  # type: ignore[attr-defined]
        raise ValueError(
            f"{path}: the entry {entry.filename!r} is compressed by {method}, expected deflate or none; pack it again"
        )


def check_expansion(path: str | os.PathLike[str], archive: zipfile.ZipFile) -> None:
    """Refuse an archive that unpacks to far more than it is; nothing is unpacked.

    Args:
        path: the archive.
        archive: the same, open.

    Raises:
        ValueError: another compression than deflate; or more than 256 MiB from less than a hundredth of it, entries
            that share their bytes included.
    """
    for entry in archive.infolist():
        check_method(path, entry)
    size, packed = sum(entry.file_size for entry in archive.infolist()), Path(path).stat().st_size
    if size > max(_SMALL, _USUAL_RATIO * packed):
        raise ValueError(
            f"{path}: {packed:,} bytes would unpack to {size:,}, allowed are {max(_SMALL, _USUAL_RATIO * packed):,}: "
            "refused, nothing was extracted. If you know what is in it, unpack it yourself and give the folder."
        )


def read_entry(path: str | os.PathLike[str], archive: zipfile.ZipFile, name: str, most: int = _TEXT) -> bytes:
    """One small entry of an archive.

    Args:
        path: the archive, for messages.
        archive: the same, open.
        name: of the entry.
        most: bytes that it may have.

    Raises:
        ValueError: another compression than deflate, or more bytes.
        KeyError: there is no such entry.
    """
    entry = archive.getinfo(name)
    check_method(path, entry)
    if entry.file_size > most:
        raise ValueError(
            f"{path}: the entry {name!r} has {entry.file_size:,} bytes, expected at most {most:,}: refused."
        )
    return archive.read(entry)
