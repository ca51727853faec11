# SPDX-License-Identifier: Apache-2.0
"""Check of volumes before training: headers of images and labels agree, label values are known.

Headers are read without the voxels; of the voxels only those of the labels are read, and only if asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.data.check import LabelTable
from sa2_monai.data.label_counts import Found, KindCheck, count_values, report_values, scan
from sa2_monai.io.geometry import VolumeHeader, corner_distance
from sa2_monai.io.nifti import nifti_voxels
from sa2_monai.io.problems import Problems
from sa2_monai.io.volumes import read_volume, volume_header

__all__ = ["check_volumes"]

# Corners of image and label may lie this far apart, in mm: what rounding to float32 does to an affine, not more.
_TOLERANCE = 1e-3


def check_volumes(
    where: str,
    cases: Sequence[Mapping[str, Any]],
    table: LabelTable,
    in_channels: int | None = None,
    read_labels: bool = True,
    kind_check: KindCheck | None = None,
) -> None:
    """Look at all cases in a thread pool and report every problem in one error.

    Args:
        where: folder named in the message.
        cases: data list; ``image`` is a path, or a list of paths with one file per channel.
        table: see :func:`~sa2_monai.data.label_table`.
        in_channels: channels of the network; cases of several files must have as many. ``None`` does not check.
        read_labels: also read the labels and check their values.
        kind_check: further check of the label values of all cases.

    Raises:
        ValueError: unreadable or missing files, no volume (2D, 4D), zero spacing, an affine that cannot be inverted,
            files of a case with another shape or place than the first, unknown label values.
    """

    def look(case: Mapping[str, Any]) -> Found:
        return _look(case, in_channels, read_labels)

    problems = Problems(where)
    report_values(problems, scan(look, cases), table, kind_check)
    problems.raise_if_any()


def _look(case: Mapping[str, Any], in_channels: int | None, read_labels: bool) -> Found:
    images = [case["image"]] if isinstance(case["image"], str) else list(case["image"])
    files = [("image", path) for path in images] + ([("label", case["label"])] if "label" in case else [])
    found: list[tuple[str, str, str]] = []
    counts: Counter[float] = Counter()
    first: VolumeHeader | None = None
    if len(images) > 1 and in_channels is not None and len(images) != in_channels:
        cure = f"set in_channels to the number of files, or list {in_channels} of them"
        found.append((f"cases of another number of files than in_channels {in_channels}", str(case["case"]), cure))
    for key, path in files:
        try:
            header = volume_header(path)
            if key == "label" and read_labels:
                counts = count_values(_voxels(header))
        except (OSError, ValueError, ImportError) as error:
            found.append((f"{key} files that cannot be used", str(error), "replace, repair or remove these files"))
            continue
        if first is None:
            first = header
            continue
        # Channels are put together as they are stored, labels are turned like their image.
        shape, affine = _stored_like(header, first) if key == "label" else (header.shape, header.affine)
        if shape != first.shape:
            found.append(
                (
                    f"{key}s of another shape than their image",
                    f"{path}: {_times(shape)}, {first.source} {_times(first.shape)}",
                    f"make each {key} on the grid of its own image",
                )
            )
        elif (distance := corner_distance(shape, affine, first.affine)) > _TOLERANCE:
            found.append(
                (
                    f"{key}s that lie elsewhere than their image",
                    f"{path}: corners up to {distance:.4g} mm away from {first.source}",
                    "if the voxels do belong together, copy the image's affine into the file; else resample the file "
                    "to the image's grid",
                )
            )
    return found, str(case.get("label", images[0])), counts


def _stored_like(header: VolumeHeader, first: VolumeHeader) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and affine of a volume if its axes were stored in the order and direction of another one.

    A label whose rows run the other way than those of its DICOM image lies on the same grid: training and evaluation
    bring both into one order of axes by their affines.
    """
    import nibabel as nib

    turn = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(header.affine), nib.orientations.io_orientation(first.affine)
    )
    shape = [0, 0, 0]
    for length, axis in zip(header.shape, turn[:, 0].astype(int), strict=True):
        shape[axis] = length
    return tuple(shape), header.affine @ nib.orientations.inv_ornt_aff(turn, header.shape)


def _times(lengths: Sequence[Any]) -> str:
    return " x ".join(map(str, lengths))


def _voxels(header: VolumeHeader) -> np.ndarray:
    """Voxels of a label file as they are; the remarks on its geometry are those of the image, and logged with that."""
    if header.kind == "nifti":
        return nifti_voxels(Path(header.source), header)
    return read_volume(header.source).array
