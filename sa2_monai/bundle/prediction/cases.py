# SPDX-License-Identifier: Apache-2.0
"""The cases that several sources of images make."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sa2_monai.io.kinds import current_word
from sa2_monai.io.names import file_name

__all__ = ["FEW", "case_files", "list_inputs", "numbered_file"]

#: So many images are not worth the start of worker processes.
FEW = 8


def list_inputs(
    inputs: Sequence[str | os.PathLike[str]], volumes: bool, in_channels: int | None, kind: str | None = None
) -> tuple[list[dict[str, Any]], str]:
    """Cases of files, folders and lists.

    Args:
        inputs: each as :func:`sa2_monai.data.list_cases` takes it.
        volumes: list volumes, not images.
        in_channels: of the network, where it is known.
        kind: of the files that the model was trained on; ``None`` says no more than ``volumes``.

    Returns:
        ``{"image": file or files, "case": name}`` each, and a line about what lies in the folders and is not used;
        empty where there is nothing.

    Raises:
        FileNotFoundError, ValueError: as :func:`sa2_monai.data.list_cases`.
    """
    from sa2_monai.data.kinds import find_cases

    kind = "images" if not volumes else "preprocessed" if current_word(kind) == "preprocessed" else "volumes"
    cases, left_out = find_cases(inputs, kind, in_channels)
    return cases, str(left_out)


def case_files(cases: Sequence[dict[str, Any]]) -> list[str]:
    """All files of the cases; an image of several files is found again by their names."""
    return [file for case in cases for file in ([case["image"]] if isinstance(case["image"], str) else case["image"])]


def numbered_file(folder: Path, case: str) -> Path:
    """The file with the numbers of the objects of a case: PNG, or TIFF where there are more than 65535.

    Args:
        folder: of such files.
        case: its name.
    """
    files = [folder / file_name(case, suffix) for suffix in (".png", ".tif")]
    written = [file for file in files if file.is_file()]
    return max(written, key=lambda file: file.stat().st_mtime_ns, default=files[0])
