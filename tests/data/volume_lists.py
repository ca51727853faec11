# SPDX-License-Identifier: Apache-2.0
"""Folders of tiny volumes and their lists, for the tests of layouts and of checks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from sa2_monai.data import load_datalist

SHAPE = (6, 5, 4)


def volume(path: Path, array: Any = 0, affine: np.ndarray | None = None, dtype: Any = np.uint8) -> Path:
    """Write a NIfTI of one value, or of the given array, with spacing 1 x 2 x 3 mm unless an affine is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.asarray(array if isinstance(array, np.ndarray) else np.full(SHAPE, array), dtype)
    nib.save(nib.Nifti1Image(voxels, np.diag([1.0, 2.0, 3.0, 1.0]) if affine is None else affine), path)
    return path


def dataset(folder: Path, names: Sequence[str], suffix: str = ".nii.gz") -> Path:
    for name in names:
        volume(folder / "images" / f"{name}{suffix}", 100)
        volume(folder / "labels" / f"{name}{suffix}", 1)
    return folder


def write_json(folder: Path, **content: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "dataset.json"
    path.write_text(json.dumps(content))
    return path


def listed(names: Sequence[str], **more: str) -> list[dict[str, str]]:
    return [{"image": f"images/{n}.nii.gz", "label": f"labels/{n}.nii.gz", **more} for n in names]


def names_of(cases: Sequence[dict[str, Any]]) -> list[str]:
    return [case["case"] for case in cases]


def load(*args: Any, **kwargs: Any) -> list[dict[str, Any]]:
    return load_datalist(*args, dataset="volumes", **kwargs)


def error_of(*args: Any, **kwargs: Any) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is what is tested
        load(*args, **kwargs)
    return str(caught.value)
