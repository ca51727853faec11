# SPDX-License-Identifier: Apache-2.0
"""The prepared folder layout of the published SA2-Net and UCTransNet code.

``Train_Folder|Val_Folder|Test_Folder/{img,labelcol}``; a label is named ``<stem>.png`` (MoNuSeg) or ``<stem>_anno.bmp``
(GlaS), every value but 0 is foreground.
"""

from __future__ import annotations

from pathlib import Path

from sa2_monai.data.layouts.cases import Parts, distinct_cases, images_in, pair_by_stem

__all__ = ["is_prepared", "prepared_parts"]

_FOLDERS = {"training": "Train_Folder", "validation": "Val_Folder", "test": "Test_Folder"}


def is_prepared(directory: Path) -> bool:
    """Whether a folder has the prepared layout.

    Args:
        directory: the data set's folder.
    """
    return any((directory / name).is_dir() for name in _FOLDERS.values())


def prepared_parts(directory: Path) -> Parts:
    """Data lists of the prepared layout.

    Args:
        directory: folder that holds ``Train_Folder`` and others.

    Returns:
        Cases by part; parts without a folder are left out.

    Raises:
        FileNotFoundError: ``img`` or ``labelcol`` is missing.
        ValueError: an image or label without partner.
    """
    parts: Parts = {}
    for part, name in _FOLDERS.items():
        folder = directory / name
        if not folder.is_dir():
            continue
        for inner in ("img", "labelcol"):
            if not (folder / inner).is_dir():
                raise FileNotFoundError(f"{folder / inner}: no such folder; the prepared layout has img/ and labelcol/")
        cases = pair_by_stem(
            images_in(folder / "img"),
            images_in(folder / "labelcol"),
            folder,
            lambda path: path.stem.removesuffix("_anno"),
        )
        if cases:
            parts[part] = cases
    return distinct_cases(parts)
