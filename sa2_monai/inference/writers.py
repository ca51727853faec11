# SPDX-License-Identifier: Apache-2.0
"""Writers of predictions by the kind of files: PNG for 2D images, NIfTI with the geometry of the input for volumes."""

from __future__ import annotations

import os
from collections.abc import Sequence

from monai.config import KeysCollection

from sa2_monai.inference.saving import CaseSaveImaged, ProbabilitySaveImaged
from sa2_monai.inference.volume_saving import VolumeProbabilitySaveImaged, VolumeSaveImaged
from sa2_monai.io.kinds import kind_of

__all__ = ["case_writer", "probability_writer"]


def case_writer(
    kind: str,
    output_dir: str | os.PathLike[str],
    class_names: Sequence[str],
    output_postfix: str = "",
    dicom_seg: bool = False,
    keys: KeysCollection = "pred",
) -> CaseSaveImaged:
    """Writer of label maps, the twin of :func:`~sa2_monai.data.case_reader`.

    Args:
        kind: of files, ``"images"``, ``"volumes"`` or ``"preprocessed"``.
        output_dir: folder, made when the first file is written.
        class_names: names of the classes, background first.
        output_postfix: added to the name of a case with an underscore, when not empty.
        dicom_seg: for DICOM series, write a DICOM SEG, too.
        keys: class numbers (1, H, W, 1) of 2D images, or (1, x, y, z) on the grid of the file.

    Raises:
        ValueError: another kind.
    """
    kind = kind_of(kind)
    if kind == "images":
        return CaseSaveImaged(keys, output_dir, output_postfix, reverse_indexing=False)
    return VolumeSaveImaged(keys, output_dir, output_postfix, dicom_seg, class_names)


def probability_writer(
    kind: str, output_dir: str | os.PathLike[str], class_names: Sequence[str], keys: KeysCollection = "pred"
) -> CaseSaveImaged:
    """Writer of probabilities.

    Args:
        kind: see :func:`case_writer`, as all that follows.
        output_dir: folder.
        class_names: names of the classes.
        keys: probabilities (C, H, W, 1) or (C, x, y, z).

    Raises:
        ValueError: another kind.
    """
    kind = kind_of(kind)
    if kind == "images":
        return ProbabilitySaveImaged(keys, output_dir, reverse_indexing=False)
    return VolumeProbabilitySaveImaged(keys, output_dir, class_names=class_names)
