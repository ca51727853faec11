# SPDX-License-Identifier: Apache-2.0
"""How the slices of TransUNet's archive lie in the patient, found by comparing a file of it with its NIfTI.

The program that made the archive was never published, and a network trained on its slices needs volumes turned the
same way. The orientation is told relative to the canonical order of axes LPS (x to the left, y to the back, z to the
head), so that it applies to files of any storage order.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.data.preparation.synapse_labels import SYNAPSE_TABLES
from sa2_monai.data.preparation.transunet_form import WINDOW, canonical, mapped, orient, scaled
from sa2_monai.io.preprocessed import preprocessed_stem, read_preprocessed
from sa2_monai.io.problems import listing
from sa2_monai.io.volumes.read import read_volume

__all__ = ["calibrate", "orient"]

_TOLERANCE = 1e-5


def calibrate(
    archive_file: str | os.PathLike[str],
    nifti_image: str | os.PathLike[str],
    nifti_label: str | os.PathLike[str] | None = None,
    label_values: Mapping[int, int] | None = None,
) -> dict[str, Any]:
    """Find the orientation of an archive: 8 symmetries of the slice, 2 orders of the slices.

    Args:
        archive_file: ``test_vol_h5/case0008.npy.h5`` (all slices), or one slice ``train_npz/case0005_slice060.npz``
            with enough in it to tell the symmetries apart.
        nifti_image: the same case as downloaded, in HU.
        nifti_label: its labels, compared too; ``None`` compares the images only.
        label_values: table raw value -> class of the archive; ``None`` is ``SYNAPSE_TABLES["raw"]``.

    Returns:
        ``{"transpose": bool, "flip": [axes], "reverse_z": bool, "relative_to": "LPS"}`` as :func:`orient` takes it:
        the axes of ``flip`` (0 is x, 1 is y) are reversed first, then x and y are exchanged.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: files that cannot be read or are of different size, no orientation fits (difference of the clipped
            and scaled images at most 1e-5, labels equal), or several do.
        ImportError: h5py is missing (extra ``archives``).
    """
    stored = read_preprocessed(archive_file, "image")
    image = scaled(canonical(read_volume(nifti_image)))
    labels = None
    if nifti_label is not None:
        raw = read_volume(nifti_label, label=True)
        labels = read_preprocessed(archive_file, "label"), mapped(raw, label_values or SYNAPSE_TABLES["raw"])
        if labels[1].shape != image.shape:
            raise ValueError(
                f"{nifti_label}: has the shape {labels[1].shape} (LPS), its image {image.shape}; give the label of "
                f"{nifti_image}"
            )
    index = None if stored.ndim == 3 else _slice_number(archive_file, image.shape[2])
    fits, best = [], (np.inf, "none of the same shape")
    for transpose, flip, reverse_z in itertools.product((False, True), ([], [0], [1], [0, 1]), (False, True)):
        orientation = {"transpose": transpose, "flip": flip, "reverse_z": reverse_z, "relative_to": "LPS"}
        turned = _part(orient(image, orientation), index)
        if turned.shape != stored.shape:
            continue
        difference = _difference(turned, stored)
        same = labels is None or np.array_equal(_part(orient(labels[1], orientation), index), labels[0])
        if difference <= _TOLERANCE and same:
            fits.append(orientation)
        best = min(best, (difference, f"{orientation}, labels {'equal' if same else 'different'}"))
    if not fits:
        raise ValueError(
            f"{archive_file}: none of 16 orientations of {nifti_image} fits; the nearest differs by {best[0]:.3g} "
            f"({best[1]}). Is it the same case, in HU, clipped to {WINDOW}, with this label table?"
        )
    if len(fits) > 1:
        raise ValueError(
            f"{archive_file}: {len(fits)} orientations fit ({listing([str(fit) for fit in fits], 3)}); give a whole "
            "volume, or a slice with more in it"
        )
    return fits[0]


def _slice_number(path: str | os.PathLike[str], slices: int) -> int:
    match = re.fullmatch(r".*_slice(\d+)", preprocessed_stem(Path(path)))
    if match is None or int(match[1]) >= slices:
        raise ValueError(f"{path}: a single slice must be named case0005_slice000, with a number below {slices}")
    return int(match[1])


def _part(volume: np.ndarray, index: int | None) -> np.ndarray:
    return volume if index is None else volume[:, :, index]


def _difference(first: np.ndarray, second: np.ndarray) -> float:
    """Largest difference, slice by slice: the first slice rules out most orientations, and nothing large is made."""
    largest = 0.0
    for k in range(first.shape[-1]):
        largest = max(largest, float(np.abs(first[..., k] - second[..., k]).max()))
        if largest > 0.1:
            break
    return largest
