# SPDX-License-Identifier: Apache-2.0
"""Data list for inference by the kind of its files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from sa2_monai.data.imagelist import list_images
from sa2_monai.data.preprocessed_inputs import list_preprocessed, only_preprocessed
from sa2_monai.data.volumelist import list_volumes
from sa2_monai.io.readers import check_kind

__all__ = ["input_kind", "list_cases"]


def list_cases(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    kind: str = "volumes",
    in_channels: int | None = None,
) -> list[dict[str, Any]]:
    """Data list for inference.

    Args:
        source: file, folder or list, see :func:`~sa2_monai.data.list_images`, :func:`~sa2_monai.data.list_volumes` and
            :func:`~sa2_monai.data.preprocessed_inputs.list_preprocessed`.
        kind: of the files that the model was trained on: ``"pictures"``, ``"volumes"``, or ``"archives"``
            (preprocessed slices and volumes), which is used on such files and on volumes.
        in_channels: of the network: images of several files are found by their names, as the functions say.

    Returns:
        List of ``{"image": path, "case": name}``.

    Raises:
        FileNotFoundError: the source or a listed file is missing.
        ValueError: another kind, or no files of it.
    """
    check_kind(kind)
    if kind == "pictures":
        return list_images(source, in_channels)
    if input_kind(source, kind) == "archives":
        return list_preprocessed(source)
    return list_volumes(source, in_channels)


def input_kind(source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], kind: str) -> str:
    """Kind of the files to predict with a model.

    Args:
        source: see :func:`list_cases`; it need not exist.
        kind: kind of the files that the model was trained on.

    Returns:
        ``kind``, but ``"volumes"`` for a model of preprocessed files where the source holds anything else than those.

    Raises:
        ValueError: another kind.
    """
    check_kind(kind)
    return "volumes" if kind == "archives" and not only_preprocessed(source) else kind
