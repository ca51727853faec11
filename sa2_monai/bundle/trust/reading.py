# SPDX-License-Identifier: Apache-2.0
"""Files of a bundle that is only looked at: whatever is wrong with one is one line with its name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sa2_monai.io.limits.aliases import checked_config

__all__ = ["content_of", "named", "read_config"]


@contextlib.contextmanager
def named(file: str | os.PathLike[str]) -> Iterator[None]:
    """In a ``with`` block everything that goes wrong is said of a file.

    Args:
        file: that is read.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds something else than expected; one line with its name.
    """
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:
        if str(error).startswith(os.fspath(file)):
            raise
        message = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{os.fspath(file)} is damaged or no such file of a bundle ({message[:300]}). Correct it, or copy it again."
        ) from error


def content_of(file: str | os.PathLike[str]) -> Any:
    """What a configuration file holds, with its size bounded; see :mod:`sa2_monai.io.limits.aliases`.

    Args:
        file: JSON or YAML.
    """
    from monai.bundle import ConfigParser

    with checked_config(file):
        return ConfigParser.load_config_file(str(file))


def read_config(file: Path) -> dict[str, Any]:
    """Content of a configuration file.

    Args:
        file: JSON or YAML.

    Raises:
        OSError, ValueError: as :func:`named`; also for a file that holds no dictionary.
    """
    with named(file):
        config = content_of(file)
        if not isinstance(config, dict):
            raise ValueError(f"it holds {type(config).__name__}, expected ids with their values")
        return config
