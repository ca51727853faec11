# SPDX-License-Identifier: Apache-2.0
"""Folders as labs have them, in miniature: images with a gradient, labels with one square, of any file type."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from PIL import Image

from sa2_monai.data.layouts.cases import Parts

SIZE = (12, 10)


def grey(path: Path, array: np.ndarray) -> Path:
    """Write an array as the file type of the name: an image of (H, W[, 3]), or a volume of three slices of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith((".nii", ".nii.gz")):
        nib.save(nib.Nifti1Image(np.stack([array.T] * 3, axis=2), np.diag([1.0, 1.0, 2.0, 1.0])), path)
    elif path.suffix in (".nrrd", ".mha"):
        sitk.WriteImage(sitk.GetImageFromArray(np.stack([array] * 3)), path)
    else:
        Image.fromarray(array).save(path, **({"quality": 90} if path.suffix == ".jpg" else {}))
    return path


def an_image(path: Path) -> Path:
    seed = sum(map(ord, path.name))
    return grey(path, np.random.RandomState(seed).randint(30, 220, SIZE).astype(np.uint8))


def a_label(path: Path, value: int = 1) -> Path:
    array = np.zeros(SIZE, np.uint8)
    array[2:6, 3:8] = value
    return grey(path, array)


def build(folder: Path, pairs: Mapping[str, str]) -> Path:
    """Write images and labels; several images of one label have commas between them, as have several labels."""
    for images, labels in pairs.items():
        for name in images.split(","):
            an_image(folder / name)
        for name in filter(None, labels.split(",")):
            a_label(folder / name)
    return folder


def pairs_of(folder: Path, parts: Parts) -> dict[str, str]:
    """Labels by image, relative to the folder."""
    found = {}
    for cases in parts.values():
        for case in cases:
            images = case["image"] if isinstance(case["image"], list) else [case["image"]]
            label = Path(case["label"]).relative_to(folder) if "label" in case else ""
            found[",".join(str(Path(image).relative_to(folder)) for image in images)] = str(label)
    return found
