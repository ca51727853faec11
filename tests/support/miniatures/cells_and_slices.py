# SPDX-License-Identifier: Apache-2.0
"""Miniatures of cells, volumes and slices in the layouts as downloaded and as prepared: a few tiny files each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
from PIL import Image

from sa2_monai.data.prepare import prepare_dataset

#: Numbers of KiTS23's cases, with the gap that the data set has.
KITS_NUMBERS = (0, 1, 2, 5, 299, 400, 401, 588)
#: Affine of KiTS23's files: slices come first and run to the feet, rows to the back, columns to the left.
KITS_AFFINE = np.array([[0, 0, -0.8, 90], [0, -0.8, 0, 70], [-3, 0, 0, 40], [0, 0, 0, 1]], float)


def segpc_raw(folder: Path) -> None:
    """Five training and three validation images with two cells, one at the border; a test image without masks."""
    base = folder / "TCIA_SegPC_dataset"
    for part, numbers in (("train", (106, 107, 1054, 2001, 9)), ("validation", (1735, 18, 19)), ("test", (4,))):
        for number in numbers:
            rng = np.random.RandomState(number)
            image = rng.randint(150, 220, (90, 120, 3)).astype(np.uint8)
            for k, (row, column, size) in enumerate(((10, 30, 4), (60, 85, 7)), 1):
                cell = _disc((90, 120), (row, column + number % 5), 1.8 * size)
                nucleus = _disc((90, 120), (row, column + number % 5), size)
                image[cell], image[nucleus] = (180, 120, 170), (90, 40, 120)
                mask = np.where(nucleus, 40, np.where(cell, 20, 0)).astype(np.uint8)
                if part != "test":  # some masks have three equal channels
                    _save(base / part / "y" / f"{number}_{k}.bmp", mask if k == 1 else np.dstack([mask] * 3))
            _save(base / part / "x" / f"{number}.bmp", image)


def segpc(folder: Path) -> None:
    _prepared(segpc_raw, "segpc", folder)


def segpc_arrays(folder: Path) -> None:
    """The arrays of Awesome-U-Net, smaller than the 224 of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, number in (("tr", 5), ("vl", 2), ("te", 3)):
        images = np.random.RandomState(number).randint(0, 200, (number, 32, 32, 4)).astype(np.uint8)
        masks = np.zeros((number, 32, 32), np.uint8)
        masks[:, 6:26, 8:24], masks[:, 5, 8:24] = 255, 1  # a border that interpolation made
        images[..., 3] = np.where(_disc((32, 32), (16, 16), 5), 255, 0)
        np.save(folder / f"cyts_{part}_224x224_s2.5_X.npy", images)
        np.save(folder / f"cyts_{part}_224x224_s2.5_Y.npy", masks)


def tissuenet_raw(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part, number, size in (("train", 4, 64), ("val", 2, 32), ("test", 2, 32)):
        rng = np.random.RandomState(size)
        stains, masks = np.zeros((number, size, size, 2), np.float32), np.zeros((number, size, size, 2), np.int32)
        for k in range(number):
            for n, middle in enumerate(((size / 3, size / 3), (size / 1.5, size / 2 + k)), 1):
                cell, nucleus = (_disc((size, size), middle, size / part) for part in (6, 12))
                masks[k, cell, 0], masks[k, nucleus, 1] = n, n
                stains[k, nucleus, 0], stains[k, cell, 1] = 0.5 * n, 300.0
        np.savez_compressed(
            folder / f"tissuenet_v1.0_{part}.npz", X=stains * rng.uniform(0.5, 1, stains.shape), y=masks
        )


def tissuenet(folder: Path) -> None:
    _prepared(tissuenet_raw, "tissuenet", folder)


def kits23(folder: Path) -> None:
    for number in KITS_NUMBERS:
        label = _nested((8, 32, 40), number, 3)
        hounsfield = np.array([-90, 130, 60, 10])[label] + np.random.RandomState(number).randint(-20, 20, label.shape)
        case = folder / "dataset" / f"case_{number:05d}"
        _nifti(case / "imaging.nii.gz", hounsfield.astype(np.float32), KITS_AFFINE)
        _nifti(case / "segmentation.nii.gz", label, KITS_AFFINE)
        (case / "instances").mkdir()
    (folder / "dataset" / "kits23.json").write_text("[]")


def kits23_slices(folder: Path) -> None:
    _prepared(kits23, "kits23", folder)


def atlas(folder: Path) -> None:
    base = folder / "atlas-train-dataset-1.0.1" / "train"
    for number in range(8):
        label = _nested((40, 32, 7), number, 2)
        signal = np.array([40, 400, 700])[label] + np.random.RandomState(number).randint(0, 30, label.shape)
        signal[:, :, 0] = 0  # outside of the coil
        affine = np.diag([-1.2, -1.2, 3, 1])
        _nifti(base / "imagesTr" / f"im{number}.nii.gz", signal.astype(np.int16), affine)
        _nifti(base / "labelsTr" / f"lb{number}.nii.gz", label, affine)


def atlas_slices(folder: Path) -> None:
    _prepared(atlas, "atlas", folder)


def _prepared(raw: Callable[[Path], None], name: str, folder: Path) -> None:
    with TemporaryDirectory() as source:
        raw(Path(source))
        prepare_dataset(name, source, folder, progress=False)


def _disc(shape: tuple[int, ...], middle: tuple[float, ...], radius: float) -> np.ndarray:
    places = np.ogrid[tuple(slice(n) for n in shape)]
    squares = [(place - centre) ** 2 for place, centre in zip(places, middle, strict=True)]
    return np.asarray(sum(squares) < radius**2)


def _nested(shape: tuple[int, ...], number: int, classes: int) -> np.ndarray:
    """Balls in one another, each class inside of the one before, stretched to the shape."""
    middle = tuple(n * (0.45 + 0.02 * (number % 5)) for n in shape)
    places = np.ogrid[tuple(slice(n) for n in shape)]
    distance = sum(
        ((place - centre) / length) ** 2 for place, centre, length in zip(places, middle, shape, strict=True)
    )
    return sum((distance < (0.42 / k) ** 2).astype(np.uint8) for k in range(1, classes + 1))


def _nifti(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)


def _save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


#: Functions that write the miniature of a layout into a folder, by name of the layout; ``segpc_raw`` and
#: ``tissuenet_raw`` are what is prepared.
MINI_CELLS_AND_SLICES: dict[str, Callable[[Path], None]] = {
    "segpc": segpc,
    "segpc_raw": segpc_raw,
    "segpc_arrays": segpc_arrays,
    "tissuenet": tissuenet,
    "tissuenet_raw": tissuenet_raw,
    "kits23": kits23,
    "kits23_slices": kits23_slices,
    "atlas": atlas,
    "atlas_slices": atlas_slices,
}
