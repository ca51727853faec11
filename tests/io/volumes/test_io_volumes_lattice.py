# SPDX-License-Identifier: Apache-2.0
"""One grid, stored in any order: turned voxel for voxel, and told from grids that lie elsewhere."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from nibabel.orientations import apply_orientation, inv_ornt_aff

from sa2_monai.data import VolumeReader
from sa2_monai.data.checks.volumes import check_volumes
from sa2_monai.evaluation import evaluate
from sa2_monai.io.volumes.geometry import check_affine, scan_axis
from sa2_monai.io.volumes.lattice import fit_grid, relative_turn, voxel_distance
from sa2_monai.slices import CheckSameSized, SliceOrientationd, StrictLoadImaged

ORDERS = [
    np.array([*zip(order, flips, strict=True)])
    for order in permutations(range(3))
    for flips in product((1, -1), repeat=3)
]


def affine_of(angles: tuple[float, float, float], spacing: tuple[float, float, float], lean: float) -> np.ndarray:
    """An oblique affine, sheared by ``lean``."""
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = (a for a in range(3) if a != axis)
        step = np.eye(3)
        step[first, first] = step[second, second] = np.cos(angle)
        step[first, second], step[second, first] = -np.sin(angle), np.sin(angle)
        turn = turn @ step
    shear = np.eye(3)
    shear[1, 2] = lean
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn @ shear @ np.diag(spacing), (-120.5, 80.25, 33)
    return affine


affines = st.builds(
    affine_of,
    st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    st.tuples(*[st.floats(0.2, 6)] * 3),
    st.sampled_from([0.0, 0.002, 0.3]),
)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(affine=affines, order=st.sampled_from(ORDERS), shape=st.tuples(*[st.integers(1, 7)] * 3))
def test_turned_volumes_are_equal(affine: np.ndarray, order: np.ndarray, shape: tuple[int, int, int]) -> None:
    array = np.arange(np.prod(shape)).reshape(shape)
    stored, stored_affine = apply_orientation(array, order), affine @ inv_ornt_aff(order, shape)
    fit = fit_grid(stored.shape, stored_affine.astype(np.float32), shape, affine)
    assert fit.same
    assert fit.shapes_agree
    assert not fit.remark  # single precision
    np.testing.assert_array_equal(fit.turned(stored), array)
    np.testing.assert_allclose(fit.affine, affine, rtol=0, atol=1e-3)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    affine=affines,
    order=st.sampled_from(ORDERS),
    axis=st.integers(0, 2),
    share=st.sampled_from([0.004, 0.009, 0.011, 0.5, 1.0]),
)
def test_one_percent_of_a_voxel(affine: np.ndarray, order: np.ndarray, axis: int, share: float) -> None:
    shape = (5, 6, 4)
    moved = affine.copy()
    moved[:3, 3] += share * affine[:3, axis]
    stored = moved @ inv_ornt_aff(order, shape)
    sizes = tuple(int(shape[int(a)]) for a in np.argsort(order[:, 0]))
    fit = fit_grid(sizes, stored, shape, affine)
    assert fit.voxels == pytest.approx(share)
    assert fit.distance == pytest.approx(share * np.linalg.norm(affine[:3, axis]))
    assert fit.same == (share < 0.01)
    assert bool(fit.remark) == fit.same


def test_what_is_no_grid_in_another_order() -> None:
    affine = affine_of((0.2, -0.1, 0.3), (0.7, 0.8, 3.0), 0)
    for other in (affine_of((0.3, -0.1, 0.3), (0.7, 0.8, 3.0), 0), affine_of((0.2, -0.1, 0.3), (0.7, 0.8, 3.1), 0)):
        assert relative_turn(other, affine) is None
        assert not fit_grid((5, 6, 4), other, (5, 6, 4), affine).same
    fit = fit_grid((5, 6, 4), affine, (5, 6, 3), affine)
    assert (fit.same, fit.shapes_agree, fit.remark) == (False, False, "")
    assert voxel_distance((5, 6, 4), affine, affine) == 0


@pytest.mark.parametrize(("sine", "fits"), [(2e-6, True), (5e-7, False), (0.0, False)])
def test_axes_that_are_nearly_parallel(sine: float, fits: bool) -> None:
    """The limit is a millionth, whatever the spacing is."""
    affine = np.eye(4)
    affine[:3, 2] = np.sqrt(1 - sine**2), 0, sine
    affine[:3, :3] *= 0.01, 1, 100
    if fits:
        check_affine("a.nii", affine)
    else:
        with pytest.raises(ValueError, match=r"a\.nii: the affine cannot be inverted"):
            check_affine("a.nii", affine)


def save(path: Path, array: np.ndarray, affine: np.ndarray, order: np.ndarray | None = None) -> str:
    path.parent.mkdir(exist_ok=True)
    image = nib.Nifti1Image(array, affine)
    nib.save(image if order is None else image.as_reoriented(order), path)
    return str(path)


HALF = affine_of((0.0, 0.0, np.pi / 4), (1.0, 1.0, 2.0), 0)  # the nearest axes of the body are a matter of rounding
GRIDS: dict[str, np.ndarray] = {
    "straight": np.diag([-1.0, -1.0, 3.0, 1.0]),
    "oblique": affine_of((0.4, -0.3, 0.5), (0.7, 0.8, 3.0), 0),
    "half way": HALF,
    "tilted": affine_of((0.0, 0.1, 0.0), (0.7, 0.7, 3.0), 0.27),
}
TURNS = [ORDERS[k] for k in (1, 7, 12, 29, 46)]


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("order", TURNS)
def test_training_check_and_evaluation_agree(tmp_path: Path, name: str, order: np.ndarray) -> None:
    """A label, a prediction and a second channel in another storage order than the image."""
    affine, rng = GRIDS[name], np.random.default_rng(0)
    array = rng.normal(size=(7, 6, 5)).astype(np.float32)
    labels = (array > 0.3).astype(np.uint8)
    image, label = save(tmp_path / "i.nii.gz", array, affine), save(tmp_path / "l.nii.gz", labels, affine, order)
    check_volumes("here", [{"image": image, "label": label, "case": "i"}], {0: 0, 1: 1})

    turn, same = SliceOrientationd(("image", "label")), CheckSameSized()
    data: dict[Any, Any] = {"image": image, "label": label}
    for key in data:
        load = StrictLoadImaged(key, VolumeReader(label=key == "label"), ensure_channel_first=True, image_only=True)
        data = load(data)
    data = same(turn(data))
    np.testing.assert_array_equal(data["label"].numpy(), data["image"].numpy() > 0.3)

    reference = save(tmp_path / "r.nii.gz", labels, affine)
    result = evaluate({"v": label}, {"v": reference}, ["background", "x"], bootstrap_samples=2)
    row = result.per_case[0]
    assert (row["dice"], row["hd"], row["nsd"], row["resampled"]) == (1, 0, 1, False)

    reader = VolumeReader(channels=2)
    channels = [image, save(tmp_path / "c.nii.gz", 2 * array, affine, order)]
    check_volumes("here", [{"image": channels, "case": "i"}], {0: 0}, in_channels=2)
    both, meta = reader.get_data(reader.read(channels))
    np.testing.assert_array_equal(both[1], 2 * both[0])
    np.testing.assert_allclose(meta["affine"], affine, atol=1e-5)


@pytest.mark.parametrize(("share", "fine"), [(0.0, True), (0.005, True), (0.02, False)])
def test_the_same_tolerance_everywhere(
    tmp_path: Path, share: float, fine: bool, caplog: pytest.LogCaptureFixture
) -> None:
    affine = np.diag([-2.0, -2.0, 5.0, 1.0])
    moved = affine.copy()
    moved[2, 3] = share * 5
    array = np.random.default_rng(0).normal(size=(7, 6, 5)).astype(np.float32)
    labels = (array > 0).astype(np.uint8)
    image, label = save(tmp_path / "i.nii.gz", array, affine), save(tmp_path / "l.nii.gz", labels, moved)
    reference, other = save(tmp_path / "r.nii.gz", labels, affine), save(tmp_path / "c.nii.gz", array, moved)
    reader = VolumeReader(channels=2)
    tensors = {
        "image": MetaTensor(array[None], affine=affine),
        "label": MetaTensor(labels[None].astype(np.float32), affine=moved),
    }
    uses: list[tuple[Any, str]] = [
        (lambda: check_volumes("x", [{"image": image, "label": label, "case": "i"}], {0: 0, 1: 1}), "lie elsewhere"),
        (lambda: reader.get_data(reader.read([image, other])), "must lie on one grid"),
        (
            lambda: evaluate({"v": label}, {"v": reference}, ["background", "x"], bootstrap_samples=2),
            "apart, more than",
        ),
        (lambda: CheckSameSized()(tensors), "lies up to 0.1 mm"),
    ]
    for use, message in uses:
        caplog.clear()
        if not fine:
            with pytest.raises(ValueError, match=message):
                use()
            continue
        found = use()
        said = caplog.text + str(
            getattr(found, "summary", {}).get("warnings", "") if message.startswith("apart") else ""
        )
        assert ("0.5% of a voxel" in said) == (share > 0 and not message.startswith("lies"))


#: Spacing -> axis along which the slices follow each other.
SCANS = [((1, 1, 5), 2), ((4, 1, 1), 0), ((1, 1.3, 1), 1), ((1.1, 1, 1), 2), ((1, 1, 1), 2), ((1.2, 1, 1), 2)]


@pytest.mark.parametrize(("spacing", "axis"), SCANS)
def test_the_axis_of_a_scan(spacing: tuple[float, float, float], axis: int) -> None:
    assert scan_axis(spacing) == axis
