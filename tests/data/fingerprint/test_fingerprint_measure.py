# SPDX-License-Identifier: Apache-2.0
"""Fingerprints of whole data sets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from sa2_monai.data import find_data, measure_fingerprint
from sa2_monai.data.fingerprint.arrays import plane_order


def test_a_generated_set_of_images(sample_dir: Path) -> None:
    fingerprint = measure_fingerprint(find_data(sample_dir), device="cpu")
    assert (fingerprint.counts.training, fingerprint.counts.validation, fingerprint.counts.test) == (8, 4, 4)
    assert (fingerprint.counts.measured, fingerprint.counts.slices) == (8, 8)
    assert fingerprint.geometry.size == (128, 128)
    assert fingerprint.colours is not None
    assert fingerprint.colours.bits == 8
    assert 0 < fingerprint.colours.colour < 1  # stained and grey
    assert fingerprint.colours.violet > 0.03
    nucleus = fingerprint.classes[1]
    assert nucleus.objects is not None
    assert nucleus.objects.touching is not None
    assert 4 < nucleus.objects.thickness < 40
    assert nucleus.frequency + fingerprint.classes[0].frequency == pytest.approx(1)
    assert fingerprint.machine.device == "cpu"
    content = json.loads(fingerprint.to_json())
    assert content["classes"][1]["name"] == "nucleus"


def test_masks_in_colours(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for name in "abcdef":
        classes = np.kron(rng.integers(0, 3, (2, 2)), np.ones((16, 16), int))
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(tmp_path / "images" / f"{name}.png")
        Image.fromarray(colours[classes]).save(tmp_path / "masks" / f"{name}.png")
    (tmp_path / "classes.csv").write_text("name,r,g,b\nbackground,0,0,0\nlesion,255,0,0\nruler,0,0,255\n")
    fingerprint = measure_fingerprint(find_data(tmp_path), device="cpu")
    assert fingerprint.labels.label_values == {"#000000": 0, "#ff0000": 1, "#0000ff": 2}
    assert "#ff0000" in fingerprint.labels.reason
    assert [one.name for one in fingerprint.classes] == ["background", "lesion", "ruler"]
    assert sum(one.frequency for one in fingerprint.classes) == pytest.approx(1)
    assert min(one.frequency for one in fingerprint.classes) > 0


def test_of_many_cases_the_same_ones_are_chosen(sample_dir: Path) -> None:
    found = find_data(sample_dir)
    first, second = (measure_fingerprint(found, device="cpu", cases=3) for _ in range(2))
    assert (first.counts.measured, first.counts.training) == (3, 8)
    assert first.classes == second.classes


def test_of_large_cases_fewer_are_read(sample_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sa2_monai.data.fingerprint.measure._PIXELS", 6 * 128 * 128)
    assert measure_fingerprint(find_data(sample_dir), device="cpu").counts.measured == 6
    monkeypatch.setattr("sa2_monai.data.fingerprint.measure._PIXELS", 100)
    assert measure_fingerprint(find_data(sample_dir), device="cpu").counts.measured == 4


def write_volumes(folder: Path, affine: np.ndarray, shape: tuple[int, int, int], number: int = 6) -> Path:
    rng = np.random.default_rng(0)
    for case in range(number):
        label = np.zeros(shape, np.uint8)
        label[tuple(slice(n // 4, n // 2) for n in shape)] = 1
        image = (rng.normal(0, 20, shape) + 100 * label).astype(np.int16)
        for name, array in (("images", image), ("labels", label)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(array, affine), folder / name / f"case{case}.nii.gz")
    return folder


def tilted(degrees: float, spacing: tuple[float, float, float]) -> np.ndarray:
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[:3, :3] = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    return turn @ np.diag([*spacing, 1.0])


# affine, shape -> axis of the slices, rows and columns, spacing in the order rows, columns, slices
VOLUMES: list[tuple[np.ndarray, tuple[int, int, int], str, tuple[int, int], tuple[float, float, float]]] = [
    (np.diag([1.0, 1.0, 1.2, 1.0]), (20, 24, 16), "axial", (20, 24), (1.0, 1.0, 1.2)),
    (np.diag([-1.0, -1.0, 5.0, 1.0]), (20, 24, 16), "axial", (20, 24), (1.0, 1.0, 5.0)),
    (np.diag([1.0, 4.0, 1.0, 1.0]), (20, 12, 16), "coronal", (20, 16), (1.0, 1.0, 4.0)),
    (np.diag([3.0, 1.0, 1.0, 1.0]), (12, 24, 16), "sagittal", (24, 16), (1.0, 1.0, 3.0)),
    (tilted(35, (1.5, 1.5, 8.0)), (20, 24, 12), "acquisition", (20, 24), (1.5, 1.5, 8.0)),
]


@pytest.mark.parametrize(("affine", "shape", "axis", "size", "spacing"), VOLUMES)
def test_the_axis_of_the_slices(
    affine: np.ndarray, shape: tuple[int, int, int], axis: str, size: Any, spacing: Any, tmp_path: Path
) -> None:
    fingerprint = measure_fingerprint(find_data(write_volumes(tmp_path, affine, shape)), device="cpu")
    assert fingerprint.geometry.slice_axis == axis
    assert fingerprint.geometry.size == size
    assert fingerprint.geometry.spacing == pytest.approx(spacing)
    assert fingerprint.classes[1].objects is not None
    assert fingerprint.classes[1].objects.one_piece == 1.0
    intensities = fingerprint.classes[1].intensities
    assert intensities is not None
    assert intensities.median == pytest.approx(100, abs=10)


def test_a_given_axis_is_kept(tmp_path: Path) -> None:
    folder = write_volumes(tmp_path, np.diag([1.0, 1.0, 5.0, 1.0]), (20, 24, 16))
    fingerprint = measure_fingerprint(find_data(folder), {"slice_axis": "sagittal"}, device="cpu")
    assert (fingerprint.geometry.slice_axis, fingerprint.geometry.size) == ("sagittal", (24, 16))


def test_planes_of_a_volume_whose_axes_are_swapped() -> None:
    affine = np.array([[0, 0, 1.0, 0], [1.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 0, 1]])  # A, S, R
    assert plane_order(affine, "axial") == [2, 0, 1]
    assert plane_order(affine, "sagittal") == [0, 1, 2]
    assert plane_order(affine, "acquisition") == [2, 0, 1]


def test_cases_that_were_found_by_patterns(sample_dir: Path, tmp_path: Path) -> None:
    """Their folder alone does not say which files belong together."""
    for file in sorted((sample_dir / "images").iterdir()):
        target = tmp_path / "odd" / file.stem
        target.mkdir(parents=True)
        shutil.copy(file, target / f"{file.stem}.png")
        shutil.copy(sample_dir / "labels" / file.name, target / f"{file.stem}_truth.png")
    found = find_data(tmp_path, images="odd/*/*[0-9].png", labels="odd/*/*_truth.png")
    counts = measure_fingerprint(found, device="cpu").counts
    assert counts.training + counts.validation + counts.test == 16
    assert not counts.listed_validation
    assert min(counts.training, counts.validation, counts.test) > 0


def test_no_training_cases(tmp_path: Path) -> None:
    folder = write_volumes(tmp_path, np.eye(4), (8, 8, 8), number=2)
    (folder / "test").mkdir()
    for name in ("images", "labels"):
        (folder / name).rename(folder / "test" / name)
    with pytest.raises(ValueError, match="has no training cases with labels; there is nothing to plan for"):
        measure_fingerprint(find_data(folder), device="cpu")


def test_an_unknown_device(sample_dir: Path) -> None:
    with pytest.raises(ValueError, match="device is 'tpu', expected 'cpu', 'cuda' or 'cuda:N'"):
        measure_fingerprint(find_data(sample_dir), device="tpu")
