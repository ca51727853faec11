# SPDX-License-Identifier: Apache-2.0
"""Planes of volumes: as radiologists see them, where most is wrong, with the image below."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from sa2_monai.evaluation import evaluate, write_overlays
from sa2_monai.evaluation.cases.loading import LoadedCase
from sa2_monai.evaluation.report.overlays import BOTH_COLOUR
from sa2_monai.evaluation.report.planes import plane_of
from sa2_monai.io.label_maps import LabelMap
from sa2_monai.io.palette import class_colour


def case(prediction: np.ndarray | None, reference: np.ndarray, affine: np.ndarray | None) -> LoadedCase:
    spacing = (1.0, 1.0, 3.0) if affine is None else tuple(np.linalg.norm(affine[:3, :3], axis=0))
    return LoadedCase("v", prediction, reference, LabelMap(reference, spacing, "mm", affine, "v"), "", False)


# columns: the array's axes in the patient, and the image's corner that right, anterior, superior must be in
ORIENTATIONS = ["RAS", "LPS", "LAS", "PIR", "SAL", "ILP"]


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_volumes_are_shown_as_radiologists_see_them(codes: str) -> None:
    """A mark at the right, anterior, inferior end of the patient is at the upper left of an axial image."""
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt(codes)
    )
    reference = np.zeros((12, 10, 8), np.uint8)
    reference[9:, 8:, 1] = 1  # right, anterior
    image = np.zeros(reference.shape, np.int16)
    image[9:, 8:, 1] = 500
    shown = [nibabel.orientations.apply_orientation(a, turn) for a in (reference, image)]
    affine = np.eye(4) @ nibabel.orientations.inv_ornt_aff(turn, reference.shape)
    assert "".join(nibabel.aff2axcodes(affine)) == codes
    plane = plane_of(case(None, shown[0], affine), shown[1])
    assert plane.place == "axial 2/8"
    assert plane.reference.shape == (10, 12)
    assert plane.reference[:2, :3].all()
    assert plane.reference.sum() == 6
    assert plane.image is not None
    assert np.array_equal(plane.image > 0, plane.reference > 0)
    assert plane.prediction is None


def test_the_slice_with_most_errors_along_the_widest_spacing() -> None:
    reference = np.zeros((10, 12, 14), np.uint8)
    reference[2:8, 2:10, 2:12] = 1
    prediction = reference.copy()
    prediction[:, 6] = 0
    coronal = np.diag([1.0, 4, 2, 1])
    plane = plane_of(case(prediction, reference, coronal), None)
    assert plane.place == "coronal 6/12"  # counted from anterior
    assert plane.reference.shape == (28, 10)  # pixels are square: slices of 2 mm twice
    assert plane.prediction is not None
    assert plane.prediction.sum() == 0
    raw = plane_of(case(prediction, reference, None), None)
    assert raw.place.startswith("slice ")
    assert raw.reference.shape == (10, 12)


def test_images_of_volumes() -> None:
    reference = np.zeros((6, 6, 4), np.uint8)
    reference[2:4, 2:4, 1] = 1
    ct = np.full((6, 6, 4, 1), -1000, np.int16)
    ct[2:4, 2:4] = 3000
    plane = plane_of(case(reference, reference, np.eye(4)), ct)
    assert plane.image is not None
    assert (plane.image.min(), plane.image.max()) == (-160, 240)
    with pytest.raises(ValueError, match=r"image: has shape \(5, 6, 4\), expected that of the reference, \(6, 6, 4\)"):
        plane_of(case(reference, reference, np.eye(4)), ct[1:])


def test_overlays_of_volume_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    affine = np.diag([-1.0, -1.0, 3.0, 1])
    rng = np.random.default_rng(0)
    for folder in ("p", "r", "i"):
        (tmp_path / folder).mkdir()
    for index in range(3):
        reference = np.zeros((30, 32, 6), np.uint8)
        reference[8:20, 8:20, 1:5] = 1
        prediction = np.roll(reference, index + 1, axis=0)
        image = (rng.normal(0, 5, reference.shape) + 80 * reference).astype(np.float32)
        for folder, array in (("p", prediction), ("r", reference), ("i", image)):
            name = f"c{index}_0000" if folder == "i" else f"c{index}"
            nibabel.save(nibabel.Nifti1Image(array, affine), tmp_path / folder / f"{name}.nii.gz")
    (tmp_path / "i" / "c1_0000.nii.gz").write_bytes(b"no image")
    result = evaluate(tmp_path / "p", tmp_path / "r", ["background", "x"], images=tmp_path / "i")
    paths = write_overlays(result, tmp_path / "o", 1)
    assert [path.name.split("_dice")[0] for path in paths] == ["worst_1_c2", "median_1_c1", "best_1_c0"]
    assert "overlay of case c1 without its image" in caplog.text
    for path in paths:
        pixels = np.asarray(Image.open(path))[:480]
        for colour in (class_colour(1), BOTH_COLOUR):  # of a box that was moved along one axis
            assert (pixels == colour).all(axis=-1).sum() > 100
    plain, drawn = (np.asarray(Image.open(path))[:480].astype(int).std() for path in (paths[1], paths[0]))
    assert drawn > plain  # the image is under the contours


def test_the_slice_of_one_class() -> None:
    """A missed structure is shown where it is, not where another one has more errors."""
    reference = np.zeros((10, 10, 6), np.uint8)
    reference[2:8, 2:8, 1] = 1
    reference[4:6, 4:6, 4] = 2
    prediction = np.zeros_like(reference)
    assert plane_of(case(prediction, reference, np.eye(4)), None).place == "axial 2/6"
    assert plane_of(case(prediction, reference, np.eye(4)), None, focus=2).place == "axial 5/6"
