# SPDX-License-Identifier: Apache-2.0
"""Miniatures of volumes of patients as downloaded, and of the preprocessed files that the literature made of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE = (36, 40, 3)  # columns, rows, slices
SYNAPSE_TRAINING, SYNAPSE_TEST = (5, 6, 7, 9, 10), (1,)
# Patients of the three parts of the splits of ACDC that the archives use.
ACDC_PARTS = {"training": (3, 4, 5), "validation": (1, 19), "test": (2,)}


def scan(number: int, values: tuple[int, ...], low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Image and label (x, y, z): a bright block of its own for each value of the label."""
    rng = np.random.RandomState(number)
    label = np.zeros(SHAPE, np.uint8)
    for k, value in enumerate(values):
        label[4 + 8 * (k % 4) : 10 + 8 * (k % 4), 4 + 9 * (k // 4) : 11 + 9 * (k // 4)] = value
    image = rng.normal(low, 10, SHAPE) + (label > 0) * (high - low)
    return image.astype(np.int16), label


def nifti(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)


def volumes(folder: Path) -> None:
    """A raw data set of nnU-Net."""
    for number in range(10):
        image, label = scan(number, (1,), 50, 150)
        nifti(folder / "imagesTr" / f"scan_{number:03d}_0000.nii.gz", image, np.diag([-1, -1, 2, 1]))
        nifti(folder / "labelsTr" / f"scan_{number:03d}.nii.gz", label, np.diag([-1, -1, 2, 1]))
    (folder / "dataset.json").write_text(
        '{"channel_names": {"0": "CT"}, "labels": {"background": 0, "foreground": 1}, "numTraining": 10, '
        '"file_ending": ".nii.gz"}'
    )


def synapse(folder: Path) -> None:
    for number in (*SYNAPSE_TRAINING, *SYNAPSE_TEST):
        image, label = scan(number, tuple(range(1, 14)), -60, 180)
        for kind, array in (("img", image), ("label", label)):
            path = folder / "RawData" / "Training" / kind / f"{kind}{number:04d}.nii.gz"
            nifti(path, array, np.diag([-0.8, 0.8, 3, 1]))


def synapse_archive(folder: Path) -> None:
    import h5py

    (folder / "train_npz").mkdir(parents=True)
    (folder / "test_vol_h5").mkdir()
    for number in (*SYNAPSE_TRAINING, *SYNAPSE_TEST):
        image, label = (array.transpose(2, 0, 1) for array in scan(number, tuple(range(1, 9)), 20, 80))
        arrays = {"image": (image / 100).clip(0, 1).astype(np.float32), "label": label.astype(np.float32)}
        if number in SYNAPSE_TEST:
            with h5py.File(folder / "test_vol_h5" / f"case{number:04d}.npy.h5", "w") as file:
                file.update(arrays)
            continue
        for k in range(len(image)):
            name = f"case{number:04d}_slice{k:03d}.npz"
            np.savez(folder / "train_npz" / name, **{key: array[k] for key, array in arrays.items()})


def acdc(folder: Path) -> None:
    for number in (n for part in ACDC_PARTS.values() for n in part):
        name = f"patient{number:03d}"
        for frame in (1, 12):
            image, label = scan(number + frame, (1, 2, 3), 50, 150)
            base = folder / "training" / name / f"{name}_frame{frame:02d}"
            nifti(base.with_name(f"{base.name}.nii.gz"), image, np.diag([-1.5, -1.5, 10, 1]))
            nifti(base.with_name(f"{base.name}_gt.nii.gz"), label, np.diag([-1.5, -1.5, 10, 1]))
        (folder / "training" / name / "Info.cfg").write_text("ED: 1\nES: 12\nGroup: NOR\nNbFrame: 30\n")


def acdc_archive(folder: Path) -> None:
    for part, name in {"training": "train", "validation": "valid", "test": "test"}.items():
        (folder / name).mkdir(parents=True)
        for number in ACDC_PARTS[part]:
            image, label = (array.transpose(2, 1, 0) for array in scan(number, (1, 2, 3), 50, 150))
            arrays = {"img": (image / 100 - 1).astype(np.float32), "label": label.astype(np.float32)}
            if part == "test":
                np.savez(folder / name / f"case_{number:03d}_volume_ED.npz", **arrays)
                continue
            for k in range(len(image)):
                file = folder / name / f"case_{number:03d}_sliceED_{k}.npz"
                np.savez(file, **{key: array[k] for key, array in arrays.items()})


#: As ``MINI`` of ``mini_datasets``.
MINI_PATIENTS: dict[str, Callable[[Path], None]] = {
    "volumes": volumes,
    "synapse": synapse,
    "synapse_archive": synapse_archive,
    "acdc": acdc,
    "acdc_archive": acdc_archive,
}
