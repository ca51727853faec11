# SPDX-License-Identifier: Apache-2.0
"""Files that are made once from those of a data set, and where they are kept."""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sa2_monai.io.atomic import write_atomically
from sa2_monai.io.folders import user_cache

__all__ = ["CACHE", "cache_folder", "cached_label", "is_cached", "write_png"]

logger = logging.getLogger(__name__)

#: Folder in a data set for what is made of its files.
CACHE = ".sa2_monai"

_KEY = "sa2_monai_source"


def cache_folder(directory: Path, cache_dir: Path | None, name: str) -> Path:
    """Folder for files that are made from those of a data set.

    Args:
        directory: the data set's folder.
        cache_dir: the folder asked for, in which the data set gets one of its own. ``None``:
            ``<directory>/.sa2_monai``, or the user's cache folder where that cannot be written.
        name: name of the data set.

    Returns:
        An existing folder, absolute where ``directory`` or ``cache_dir`` is.

    Raises:
        OSError: no folder can be written.
    """
    # Data sets that share a cache must not overwrite each other's files.
    own = f"{name}-{hashlib.sha256(str(directory).encode()).hexdigest()[:12]}"
    if cache_dir is not None:
        cache = Path(os.path.abspath(cache_dir)) / own
        cache.mkdir(parents=True, exist_ok=True)
        return cache
    beside = directory / CACHE
    try:
        beside.mkdir(exist_ok=True)
        if os.access(beside, os.W_OK):
            return beside
    except OSError:
        logger.debug("%s cannot be written, the user's cache folder is used", beside)
    cache = user_cache() / own
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def write_png(path: Path, array: np.ndarray, key: str | None = None) -> None:
    """Write a label map as PNG; the file is there as a whole or not at all.

    Args:
        path: the file; its folder is made if missing.
        array: (H, W), uint8 or uint16.
        key: text that is kept in the file, see :func:`cached_label`.

    Raises:
        OSError: the file cannot be written.
    """
    info = PngInfo()
    if key is not None:
        info.add_text(_KEY, key)
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG", pnginfo=info)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())


def cached_label(source: Path, path: Path, rule: str, convert: Callable[[Path], np.ndarray]) -> bool:
    """Make a label map from a file unless it is there, made from the same content by the same rule.

    Args:
        source: the file that ``convert`` reads.
        path: PNG for the label map; it keeps the checksum of source and rule.
        rule: what ``convert`` does, with which values.
        convert: function of ``source`` that gives the label map (H, W), uint8 or uint16.

    Returns:
        Whether the label map was made.

    Raises:
        OSError: ``source`` cannot be read, or the PNG not written.
        ValueError: ``source`` is damaged.
    """
    key = hashlib.sha256(f"{rule}\n".encode() + source.read_bytes()).hexdigest()
    if is_cached(path, key):
        return False
    write_png(path, convert(source), key)
    return True


def is_cached(path: Path, key: str) -> bool:
    """Whether a label map was made from what the key stands for.

    Args:
        path: PNG that :func:`write_png` may have written.
        key: see there.
    """
    return _key_of(path) == key


def _key_of(path: Path) -> str | None:
    """Key in a PNG; ``None`` if there is no file, none in it, or it is damaged."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return image.info.get(_KEY)
    except (OSError, ValueError, SyntaxError):
        return None
