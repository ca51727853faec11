# SPDX-License-Identifier: Apache-2.0
"""What was made of a network once is kept in the user's cache folder.

A file holds the SHA-256 of all that follows its first line. It is written as a whole or not at all, so that programs
may fill the folder together; what was damaged since is made again. The folder may be removed at any time.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from sa2_monai.io.atomic import write_atomically
from sa2_monai.io.folders import user_cache

__all__ = ["artefact_key", "cached", "runtimes_cache"]

logger = logging.getLogger(__name__)


def runtimes_cache() -> Path:
    """The folder of all that runtimes keep."""
    return user_cache() / "runtimes"


def artefact_key(network: nn.Module, shape: Sequence[int], versions: Sequence[str]) -> str:
    """What tells one artefact from another.

    Args:
        network: its modules, parameters and buffers count, to the bit.
        shape: of the images.
        versions: of the packages that make the artefact.
    """
    digest = hashlib.sha256(repr((list(shape), list(versions), type(network).__module__, repr(network))).encode())
    for name, tensor in network.state_dict().items():
        plain = tensor.detach().cpu().contiguous()
        digest.update(repr((name, list(plain.shape), str(plain.dtype))).encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().data if plain.numel() else b"")
    return digest.hexdigest()


def cached(name: str, make: Callable[[], bytes], renew: bool = False) -> tuple[bytes, bool]:
    """Content by name, from the cache or made now.

    Args:
        name: of the file in :func:`runtimes_cache`.
        make: makes the content.
        renew: make it also where it is there.

    Returns:
        The content, and whether it was there.
    """
    file = runtimes_cache() / name
    if not renew and (found := _intact(file)) is not None:
        return found, True
    content = make()
    try:
        write_atomically(file, _digest(content) + b"\n" + content)
    except OSError as error:
        logger.warning("%s; the runtime is prepared anew each time.", error)
    return content, False


def _intact(file: Path) -> bytes | None:
    """What a file holds behind its checksum; ``None`` where it is not there or damaged."""
    try:
        first, _, content = file.read_bytes().partition(b"\n")
    except OSError:
        return None
    if first != _digest(content):
        logger.warning("%s: damaged, it is made again.", file)
        return None
    os.utime(file)  # those who clear the folder see what is in use
    return content


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
