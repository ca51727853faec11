# SPDX-License-Identifier: Apache-2.0
"""The cases that several sources of images make."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

__all__ = ["case_files", "list_inputs"]


def list_inputs(
    inputs: Sequence[str | os.PathLike[str]], volumes: bool, in_channels: int | None, kind: str | None = None
) -> list[dict[str, Any]]:
    """Cases of files, folders and lists.

    Args:
        inputs: each as :func:`sa2_monai.data.list_cases` takes it.
        volumes: list volumes, not pictures.
        in_channels: of the network, where it is known.
        kind: of the files that the model was trained on; ``None`` says no more than ``volumes``.

    Returns:
        ``{"image": file or files, "case": name}`` each.

    Raises:
        FileNotFoundError, ValueError: as :func:`sa2_monai.data.list_cases`.
    """
    from sa2_monai.data import list_cases

    kind = "pictures" if not volumes else "archives" if kind == "archives" else "volumes"
    if len(inputs) == 1:
        return list_cases(inputs[0], kind, in_channels)
    # Once more over all of them: two folders may hold the same name, and several files may be one image.
    files = [
        file
        for source in inputs
        for file in (case_files(list_cases(source, kind, in_channels)) if _holds_several(source) else [str(source)])
    ]
    return list_cases(files, kind, in_channels)


def _holds_several(source: str | os.PathLike[str]) -> bool:
    return os.path.isdir(source) or str(source).lower().endswith(".txt")


def case_files(cases: Sequence[dict[str, Any]]) -> list[str]:
    """All files of the cases; a picture of several files is found again by their names."""
    return [file for case in cases for file in ([case["image"]] if isinstance(case["image"], str) else case["image"])]
