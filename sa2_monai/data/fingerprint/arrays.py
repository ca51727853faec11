# SPDX-License-Identifier: Apache-2.0
"""One case as arrays: channels first, slices last, in the patient's directions where the file knows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np

from sa2_monai.io.images.read import read_image, read_label
from sa2_monai.io.preprocessed import read_preprocessed
from sa2_monai.io.volumes.read import load_volume

__all__ = ["SLICE_AXES", "CaseArrays", "plane_order", "read_case", "read_label_of"]

#: Planes and the axis of a volume in right-anterior-superior order that their slices follow along.
SLICE_AXES = {"sagittal": 0, "coronal": 1, "axial": 2}


@dataclass(frozen=True)
class CaseArrays:
    """Image and label map of a case.

    Attributes:
        image: (C, H, W, D); images (D = 1) as parts of the range of their type.
        label: (H, W, D), the values of the file.
        instances: as ``label``, where the case has them.
        bits: of a sample of an image; 0 for volumes.
    """

    image: np.ndarray
    label: np.ndarray
    instances: np.ndarray | None = None
    bits: int = 0


def read_case(case: Mapping[str, Any], kind: str, slice_axis: str = "axial") -> CaseArrays:
    """Read a case.

    Args:
        case: of a data list, with ``image`` and ``label``.
        kind: of its files.
        slice_axis: of volumes: a plane, or ``"acquisition"`` for slices along the axis of the largest spacing.

    Raises:
        OSError, ValueError: a file that cannot be read; image and label of different sizes.
    """
    label = read_label_of(case, kind, slice_axis)
    bits = 0
    if kind == "images":
        samples = read_image(case["image"])
        bits = 8 * samples.itemsize
        largest = np.iinfo(samples.dtype).max if samples.dtype.kind in "ui" else 1
        image = np.moveaxis(samples, -1, 0)[..., None].astype(np.float32) / np.float32(largest)
    elif kind == "volumes":
        image = np.stack([_turned(path, slice_axis) for path in _paths(case["image"])])
    else:
        image = np.atleast_3d(read_preprocessed(case["image"], "image"))[None]
    if image.shape[1:] != label.shape:
        raise ValueError(
            f"{_paths(case['image'])[0]} has the size {image.shape[1:]}, but its label {case['label']} has "
            f"{label.shape}; both must lie on one grid"
        )
    instances = case.get("instances")
    return CaseArrays(image, label, None if instances is None else read_label(instances)[..., None], bits)


def read_label_of(case: Mapping[str, Any], kind: str, slice_axis: str = "axial") -> np.ndarray:
    """The label map (H, W, D) of a case as the file has it; see :func:`read_case`."""
    if kind == "images":
        return read_label(case["label"], colours=True)[..., None]
    if kind == "volumes":
        return _turned(case["label"], slice_axis, label=True)
    return np.atleast_3d(read_preprocessed(case["label"], "label"))


def plane_order(affine: np.ndarray, slice_axis: str) -> list[int]:
    """The axes of a volume in the order rows, columns, slices.

    Args:
        affine: 4x4, from index to millimetres, RAS.
        slice_axis: see :func:`read_case`.
    """
    directions = nib.orientations.io_orientation(affine)[:, 0]
    if slice_axis == "acquisition":
        along = int(np.argmax(np.linalg.norm(affine[:3, :3], axis=0)))
    else:
        along = int(np.flatnonzero(directions == SLICE_AXES[slice_axis])[0])
    rest = sorted((axis for axis in range(3) if axis != along), key=lambda axis: directions[axis])
    return [*rest, along]


def _turned(path: Any, slice_axis: str, label: bool = False) -> np.ndarray:
    volume = load_volume(path, label)
    return volume.array.transpose(plane_order(volume.header.affine, slice_axis))


def _paths(image: Any) -> Sequence[Any]:
    return [image] if isinstance(image, str) else list(image)
