# SPDX-License-Identifier: Apache-2.0
"""Tiny data sets, the same bytes for ever: images, volumes, and the preprocessed files of the literature.

Not the miniatures of ``tests/data``: those change with the tests, and a frozen value must not change with its data.
Sides differ and axes are turned, so that no transposition and no flip goes unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

IMAGE = (48, 72)  # rows, columns
VOLUME = (48, 40, 4)
# Stored slice by slice from the feet, rows to the left, turned by 10 degrees about the patient's axis.
COS, SIN = np.cos(np.radians(10)), np.sin(np.radians(10))
AFFINE = np.array([[0, 1.5 * SIN, -1.2 * COS, 30], [0, -1.5 * COS, -1.2 * SIN, 40], [3, 0, 0, -9], [0, 0, 0, 1.0]])


def nested(shape: tuple[int, ...], seed: int, classes: int) -> np.ndarray:
    """Ellipses in one another off the middle, each class inside of the one before, as ``uint8``."""
    rng = np.random.RandomState(seed)
    middle, radius = rng.uniform(0.35, 0.65, len(shape)) * shape, rng.uniform(0.35, 0.5, len(shape)) * shape
    grid = np.meshgrid(*map(np.arange, shape), indexing="ij")
    distance = sum(((g - m) / r) ** 2 for g, m, r in zip(grid, middle, radius, strict=True))
    return sum((distance < (1 - k / classes) ** 2).astype(np.uint8) for k in range(classes))


def stains(label: np.ndarray, seed: int, channels: int) -> np.ndarray:
    """Channels of 8 bits that get brighter by class, each at its own pace, with noise."""
    rng = np.random.RandomState(1000 + seed)
    paces = np.linspace(60, 25, channels)
    return (rng.randint(10, 60, (*label.shape, channels)) + label[..., None] * paces).astype(np.uint8)


def save_image(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def images(folder: Path) -> None:
    """Colour images with masks of 0 and 255."""
    for number in range(24):
        label = nested(IMAGE, number, 1)
        save_image(folder / "images" / f"c{number:02d}.png", stains(label, number, 3))
        save_image(folder / "labels" / f"c{number:02d}.png", 255 * label)


def unlabelled(folder: Path) -> None:
    """Grey images of three classes; the first rows have no label, which is 255."""
    for number in range(24):
        label = nested(IMAGE, number, 2)
        save_image(folder / "images" / f"c{number:02d}.png", stains(label, number, 1)[..., 0])
        label[:5] = 255
        save_image(folder / "labels" / f"c{number:02d}.png", label)


def cells(folder: Path) -> None:
    """Four channels, the last one a nucleus: the arrays of SegPC-2021 as the literature prepared them."""
    folder.mkdir(parents=True)
    for part, seeds in (("tr", range(8)), ("vl", range(8, 11)), ("te", range(11, 14))):
        labels = [nested((32, 48), seed, 2) for seed in seeds]
        colours = [stains(label, seed, 3) for label, seed in zip(labels, seeds, strict=True)]
        arrays = [np.dstack([c, 255 * (label == 2)]) for c, label in zip(colours, labels, strict=True)]
        np.save(folder / f"cyts_{part}_224x224_s2.5_X.npy", np.stack(arrays).astype(np.uint8))
        np.save(folder / f"cyts_{part}_224x224_s2.5_Y.npy", np.stack([np.where(label, 255, 0) for label in labels]))


def scan(seed: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Volume in HU and label, axes (x, y, z)."""
    label = nested(VOLUME, seed, classes)
    noise = np.random.RandomState(1000 + seed).normal(-60, 25, VOLUME)
    return (noise + 250 / classes * label).astype(np.int16), label


def volumes(folder: Path) -> None:
    """CT volumes of three classes whose slices come first, oblique."""
    for number in range(9):
        for name, array in zip(("images", "labels"), scan(number, 2), strict=True):
            path = folder / name / f"scan_{number:02d}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(array.transpose(2, 1, 0), AFFINE), path)


def synapse_archive(folder: Path) -> None:
    """Slices of training and a test volume of nine classes, as the TransUNet line prepared Synapse."""
    import h5py

    (folder / "train_npz").mkdir(parents=True)
    (folder / "test_vol_h5").mkdir()
    for number in (5, 6, 7, 9, 10, 1):
        image, label = (array.transpose(2, 0, 1) for array in scan(number, 8))
        label = np.where(label, 9 - label, 0)  # the largest organ outside
        arrays = {"image": ((image + 125) / 400).clip(0, 1).astype(np.float32), "label": label.astype(np.float32)}
        if number == 1:
            with h5py.File(folder / "test_vol_h5" / f"case{number:04d}.npy.h5", "w") as file:
                file.update(arrays)
        else:
            for k in range(len(image)):
                slices = {key: array[k] for key, array in arrays.items()}
                np.savez(folder / "train_npz" / f"case{number:04d}_slice{k:03d}.npz", **slices)


def acdc_archive(folder: Path) -> None:
    """Slices of training and validation and a test volume of four classes, as MT-UNet prepared ACDC."""
    for part, numbers in (("train", (3, 4, 5)), ("valid", (1, 19)), ("test", (2,))):
        (folder / part).mkdir(parents=True)
        for number in numbers:
            image, label = (array.transpose(2, 1, 0) for array in scan(number, 3))
            arrays = {"img": (image / 150).astype(np.float32), "label": label.astype(np.float32)}
            if part == "test":
                np.savez(folder / part / f"case_{number:03d}_volume_ED.npz", **arrays)
            else:
                for k in range(len(image)):
                    slices = {key: array[k] for key, array in arrays.items()}
                    np.savez(folder / part / f"case_{number:03d}_sliceED_{k}.npz", **slices)


#: Functions that write a data set into a folder, by the names that the table of cases uses.
DATA: dict[str, Callable[[Path], None]] = {
    "images": images,
    "unlabelled": unlabelled,
    "cells": cells,
    "volumes": volumes,
    "synapse_archive": synapse_archive,
    "acdc_archive": acdc_archive,
}
