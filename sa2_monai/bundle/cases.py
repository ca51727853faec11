# SPDX-License-Identifier: Apache-2.0
"""The cases that several sources of images make."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

__all__ = ["case_files", "list_inputs"]


def list_inputs(
    inputs: Sequence[str | os.PathLike[str]], volumes: bool, in_channels: int | None
) -> list[dict[str, Any]]:
    """Cases of files, folders and lists.

    Args:
        inputs: each as :func:`sa2_monai.data.list_cases` takes it.
        volumes: list volumes, not pictures.
        in_channels: of the network, where it is known.

    Returns:
        ``{"image": file or files, "case": name}`` each.

    Raises:
        FileNotFoundError, ValueError: as :func:`sa2_monai.data.list_cases`.
    """
    from sa2_monai.data import list_cases

    kind = "volumes" if volumes else "pictures"
    cases = [case for source in inputs for case in list_cases(source, kind, in_channels)]
    # Once more over all of them: two folders may hold the same name.
    return list_cases(case_files(cases), kind, in_channels) if len(inputs) > 1 else cases


def case_files(cases: Sequence[dict[str, Any]]) -> list[str]:
    """All files of the cases; a picture of several files is found again by their names."""
    return [file for case in cases for file in ([case["image"]] if isinstance(case["image"], str) else case["image"])]
