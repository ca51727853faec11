# SPDX-License-Identifier: Apache-2.0
"""The clinical protocol on volumes: grids, shear, geometry of the files."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from sa2_monai.evaluation import evaluate

MASK = np.zeros((5, 6), np.uint8)
TWO = ["background", "x"]


def volume_pair(tmp_path: Path) -> tuple[np.ndarray, np.ndarray]:
    array = np.zeros((14, 12, 6), np.uint8)
    array[3:9, 4:9, 1:5] = 1
    angle = np.deg2rad(12)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine[:3, :3] *= (0.8, 1.1, 2.5)
    affine[:3, 3] = (-20, 3, 40)
    nibabel.save(nibabel.Nifti1Image(array, affine), tmp_path / "v.nii.gz")
    return array, affine


def test_volume_files_bring_their_geometry(tmp_path: Path) -> None:
    array, affine = volume_pair(tmp_path)
    shifted = np.roll(array, 1, axis=2)
    folder = tmp_path / "p"
    folder.mkdir()
    nibabel.save(nibabel.Nifti1Image(shifted.astype(np.float32), affine), folder / "v.nii")
    result = evaluate(folder, [tmp_path / "v.nii.gz"], ["background", "x"], unit="mm")
    row = result.per_case[0]
    assert (row["spacing_0"], row["spacing_1"], row["spacing_2"]) == pytest.approx((0.8, 1.1, 2.5))
    assert row["hd"] == pytest.approx(2.5)
    assert row["volume_ref_ml"] == pytest.approx(6 * 5 * 4 * 0.8 * 1.1 * 2.5 / 1000)
    assert (row["volume_difference_ml"], row["relative_volume_difference"]) == pytest.approx((0, 0))
    image = SimpleITK.GetImageFromArray(shifted.T)
    direction = affine[:3, :3] / (0.8, 1.1, 2.5)
    image.SetSpacing((0.8, 1.1, 2.5))
    image.SetDirection((np.diag([-1, -1, 1]) @ direction).ravel().tolist())
    image.SetOrigin((20, -3, 40))
    SimpleITK.WriteImage(image, str(tmp_path / "v.mha"))
    other = evaluate([tmp_path / "v.mha"], [tmp_path / "v.nii.gz"], ["background", "x"])
    assert other.per_case[0]["hd"] == row["hd"]
    assert not any("resampled" in w for w in other.summary["warnings"])


def test_another_grid_is_an_error_or_resampled_on_request(tmp_path: Path) -> None:
    array, affine = volume_pair(tmp_path)
    moved = affine.copy()
    moved[:3, 3] += affine[:3, 0] * 2  # two voxels along the first axis
    (tmp_path / "p").mkdir()
    nibabel.save(nibabel.Nifti1Image(array[2:], moved), tmp_path / "p" / "v.nii.gz")
    with pytest.raises(ValueError, match=r"case v: .*\(12, 12, 6\), the reference \(14, 12, 6\).*or allow resampling"):
        evaluate(tmp_path / "p", [tmp_path / "v.nii.gz"], ["background", "x"])
    result = evaluate(tmp_path / "p", [tmp_path / "v.nii.gz"], ["background", "x"], allow_resample=True)
    assert result.per_case[0]["dice"] == 1
    assert result.per_case[0]["resampled"] is True
    assert any(w.startswith("resampled: the prediction of case v") for w in result.summary["warnings"])
    moved = affine.copy()
    moved[2, 3] += 0.5
    nibabel.save(nibabel.Nifti1Image(array, moved), tmp_path / "p" / "v.nii.gz")
    with pytest.raises(
        ValueError,
        match=r"origin in mm: the prediction has \(-20, 3, 40\.5\), the reference \(-20, 3, 40\); .* up to 0\.5 mm",
    ):
        evaluate(tmp_path / "p", [tmp_path / "v.nii.gz"], ["background", "x"])
    moved[2, 3] = affine[2, 3] + 5e-4
    nibabel.save(nibabel.Nifti1Image(array, moved), tmp_path / "p" / "v.nii.gz")
    assert evaluate(tmp_path / "p", [tmp_path / "v.nii.gz"], ["background", "x"]).headline == 1


@pytest.mark.parametrize("lean", [0.0, 0.002, 0.27])
def test_distances_of_a_sheared_volume_follow_its_affine(tmp_path: Path, lean: float) -> None:
    """Gantry tilt: overlap and volumes as ever, distances from point to point."""
    affine = np.diag([1.5, 0.75, 4.0, 1.0])
    affine[1, 2] = lean * 4
    maps = np.zeros((2, 12, 14, 8), np.uint8)
    maps[0, 2:6, 3:9, 1:5], maps[1, 3:8, 4:10, 3:7] = 1, 1
    for name, labels in zip("pr", maps, strict=True):
        nibabel.save(nibabel.Nifti1Image(labels, affine), tmp_path / f"{name}.nii")
    result = evaluate({"v": tmp_path / "p.nii"}, {"v": tmp_path / "r.nii"}, ["background", "x"])
    row = result.per_case[0]
    places = []
    for labels in maps:
        inner = labels & 0
        inner[1:-1, 1:-1, 1:-1] = np.min(
            [np.roll(labels, step, axis)[1:-1, 1:-1, 1:-1] for axis in range(3) for step in (-1, 1)], axis=0
        )
        places.append(np.argwhere((labels == 1) & (inner == 0)) @ affine[:3, :3].T)
    apart = np.linalg.norm(places[0][:, None] - places[1][None], axis=2)
    there, back = apart.min(axis=1), apart.min(axis=0)
    assert row["hd"] == pytest.approx(max(there.max(), back.max()))
    assert row["assd"] == pytest.approx(np.concatenate([there, back]).mean())
    assert row["dice"] == 2 * np.logical_and(*maps).sum() / maps.sum()
    assert row["volume_ref_ml"] == pytest.approx(maps[1].sum() * 4.5 / 1000)
    told = [w for w in result.summary["warnings"] if "by the affine (v)" in w]
    assert len(told) == (lean > 0)


def test_sheared_volumes_with_missing_structures(tmp_path: Path) -> None:
    affine = np.diag([1.0, 1, 2, 1])
    affine[0, 2] = 1
    full, empty = np.ones((3, 4, 5), np.uint8), np.zeros((3, 4, 5), np.uint8)
    for name, labels in (("full", full), ("empty", empty)):
        nibabel.save(nibabel.Nifti1Image(labels, affine), tmp_path / f"{name}.nii")
    for prediction, reference, status in (("full", "empty", "spurious"), ("empty", "full", "missed")):
        row = evaluate({"v": tmp_path / f"{prediction}.nii"}, {"v": tmp_path / f"{reference}.nii"}, TWO).per_case[0]
        assert (row["status"], row["dice"], row["nsd"], np.isnan(row["hd95"])) == (status, 0, 0, True)


def test_image_against_volume_is_refused(tmp_path: Path) -> None:
    volume_pair(tmp_path)
    with pytest.raises(ValueError, match="case v: the prediction has no physical geometry"):
        evaluate({"v": np.zeros((14, 12, 6), int)}, [tmp_path / "v.nii.gz"], ["background", "x"])


def test_four_axes_with_a_single_entry_are_a_volume(tmp_path: Path) -> None:
    array = np.zeros((5, 6, 4, 1), np.uint8)
    array[1:3, 2:4, 1:3] = 1
    nibabel.save(nibabel.Nifti1Image(array, np.diag([1.0, 1, 3, 1])), tmp_path / "v.nii")
    assert evaluate([tmp_path / "v.nii"], [tmp_path / "v.nii"], TWO).headline == 1
    with pytest.raises(ValueError, match=r"case v is measured in mm.*leave unit out"):
        evaluate([tmp_path / "v.nii"], [tmp_path / "v.nii"], TWO, unit="px")


def test_affine_without_extent_is_refused(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape((3, 3, 3))
    image = nibabel.Nifti1Image(np.ones((3, 3, 3), np.uint8), None, header)
    image.set_sform(np.diag([0.0, 1, 1, 1]), code=1)
    nibabel.save(image, tmp_path / "flat.nii")
    with pytest.raises(ValueError, match=r"flat\.nii: has zero spacing \(0, 1, 1 mm\)"):
        evaluate({"flat": np.ones((3, 3, 3), int)}, [tmp_path / "flat.nii"], TWO)


def test_images_and_volumes_do_not_mix(tmp_path: Path) -> None:
    volume_pair(tmp_path)
    references = {"a": MASK, "v": tmp_path / "v.nii.gz"}
    with pytest.raises(ValueError, match=r"different units: px \(a\), mm \(v\)"):
        evaluate({"a": MASK}, references, TWO)
