# SPDX-License-Identifier: Apache-2.0
"""The orientation of preprocessed arrays, found again from the CT that they were made of."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from sa2_monai.data import SYNAPSE_TABLES, calibrate, orient
from tests.support.preprocessed_files import hdf5, npz

ORIENTATIONS = [
    {"transpose": t, "flip": f, "reverse_z": z, "relative_to": "LPS"}
    for t, f, z in itertools.product((False, True), ([], [0], [1], [0, 1]), (False, True))
]


def case(tmp_path: Path, axcodes: str = "LAS", shape: tuple[int, int, int] = (8, 8, 5)) -> tuple[Path, Path, Any, Any]:
    """A CT stored in some order of axes; its archive arrays (x, y, z) in LPS, by the definition of the archive."""
    rng = np.random.RandomState(1)
    hu = rng.randint(-1000, 1000, shape).astype(np.int16)
    raw = rng.randint(0, 14, shape).astype(np.uint8)
    lps = nib.orientations.axcodes2ornt("LPS")
    turn = nib.orientations.ornt_transform(lps, nib.orientations.axcodes2ornt(axcodes))
    affine = np.diag([-0.8, -0.8, 3.0, 1.0])
    for name, array in (("img0005.nii.gz", hu), ("label0005.nii.gz", raw)):
        nib.save(nib.Nifti1Image(array, affine).as_reoriented(turn), tmp_path / name)
    scaled = (np.clip(hu, -125, 275).astype(np.float32) + 125) / 400
    mapped = np.vectorize(SYNAPSE_TABLES["raw"].get)(raw).astype(np.float32)
    return tmp_path / "img0005.nii.gz", tmp_path / "label0005.nii.gz", scaled, mapped


def by_hand(volume: np.ndarray, orientation: dict[str, Any]) -> np.ndarray:
    """The archive's arrays (D, a, b), voxel by voxel."""
    nx, ny, nz = volume.shape
    out = np.zeros((nz, ny, nx) if orientation["transpose"] else (nz, nx, ny), np.float32)
    for x, y, z in np.ndindex(volume.shape):
        i = nx - 1 - x if 0 in orientation["flip"] else x
        j = ny - 1 - y if 1 in orientation["flip"] else y
        k = nz - 1 - z if orientation["reverse_z"] else z
        out[(k, j, i) if orientation["transpose"] else (k, i, j)] = volume[x, y, z]
    return out


@pytest.mark.parametrize("number", range(16))
def test_every_orientation_is_found(tmp_path: Path, number: int) -> None:
    orientation = ORIENTATIONS[number]
    image, label, scaled, mapped = case(tmp_path, ("LAS", "RPI", "SLA", "LPS")[number % 4])
    arrays = {"image": by_hand(scaled, orientation), "label": by_hand(mapped, orientation)}
    whole = hdf5(tmp_path / "case0005.npy.h5", **arrays)
    assert calibrate(whole, image, label) == calibrate(whole, image) == orientation
    np.testing.assert_array_equal(orient(scaled, orientation).transpose(2, 0, 1), arrays["image"])
    one = npz(tmp_path / "case0005_slice001.npz", **{key: array[1] for key, array in arrays.items()})
    assert calibrate(one, image, label) == orientation


def test_calibration_errors(tmp_path: Path) -> None:
    image, label, scaled, mapped = case(tmp_path)
    good = {"image": by_hand(scaled, ORIENTATIONS[0]), "label": by_hand(mapped, ORIENTATIONS[0])}
    whole = hdf5(tmp_path / "a.h5", **good)
    with pytest.raises(ValueError, match=r"none of 16 orientations .* labels different"):
        calibrate(whole, image, label, SYNAPSE_TABLES["raw"] | {1: 1})
    with pytest.raises(ValueError, match="which is not in the label table"):
        calibrate(whole, image, label, {0: 0})
    with pytest.raises(ValueError, match=r"none of 16 orientations .* differs by 0\.0"):
        calibrate(hdf5(tmp_path / "b.h5", image=good["image"] + np.float32(0.02)), image)
    with pytest.raises(ValueError, match="none of the same shape"):
        calibrate(hdf5(tmp_path / "c.h5", image=good["image"][:, 1:]), image)
    with pytest.raises(ValueError, match="must be named case0005_slice000, with a number below 5"):
        calibrate(npz(tmp_path / "case0005_slice005.npz", image=good["image"][0]), image)
    flat = tmp_path / "flat.nii.gz"
    nib.save(nib.Nifti1Image(np.full((8, 8, 5), -1000, np.int16), np.eye(4)), flat)
    with pytest.raises(ValueError, match=r"16 orientations fit .*; give a whole volume, or a slice with more in it"):
        calibrate(hdf5(tmp_path / "d.h5", image=np.zeros((5, 8, 8))), flat)
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 4), np.uint8), np.eye(4)), flat)
    with pytest.raises(ValueError, match="give the label of"):
        calibrate(whole, image, flat)
    with pytest.raises(ValueError, match="relative to 'RAS', expected 'LPS'"):
        orient(scaled, {"relative_to": "RAS"})
