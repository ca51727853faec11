# SPDX-License-Identifier: Apache-2.0
"""Data list for inference by the kind of its files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from sa2_monai.data.imagelist import list_images
from sa2_monai.data.volumelist import list_volumes
from sa2_monai.io.readers import check_kind

__all__ = ["list_cases"]


def list_cases(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    kind: str = "volumes",
    in_channels: int | None = None,
) -> list[dict[str, Any]]:
    """Data list for inference.

    Args:
        source: file, folder or list, see :func:`~sa2_monai.data.list_images` and :func:`~sa2_monai.data.list_volumes`.
        kind: ``"pictures"``, else volumes: what was trained on the slices of archives is used on volumes.
        in_channels: of the network: images of several files are found by their names, as the two functions say.

    Returns:
        List of ``{"image": path, "case": name}``.

    Raises:
        FileNotFoundError: the source or a listed file is missing.
        ValueError: another kind, or no files of it.
    """
    check_kind(kind)
    return list_images(source, in_channels) if kind == "pictures" else list_volumes(source, in_channels)
