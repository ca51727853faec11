# SPDX-License-Identifier: Apache-2.0
"""What lies exactly at a limit: one answer for every comparison, whatever a file format keeps of a spacing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import gaussian_filter

from sa2_monai.evaluation import evaluate
from sa2_monai.evaluation.cases.loading import LoadedCase
from sa2_monai.evaluation.report.planes import plane_of
from sa2_monai.evaluation.scores.limits import check_limits, parse_limits
from sa2_monai.io.label_maps import LabelMap
from sa2_monai.metrics import match_instances, nsd, surface_distances

TWO = ["background", "organ"]
FORMATS = (".nii.gz", ".nii", ".mha", ".nrrd")


def save(path: Path, labels: np.ndarray, spacing: tuple[float, ...]) -> Path:
    """Write a label map (x, y, z); NIfTI keeps the spacing in single precision, the others in double."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith((".nii", ".nii.gz")):
        nibabel.save(nibabel.Nifti1Image(labels, np.diag([*spacing, 1.0])), path)
        return path
    image = SimpleITK.GetImageFromArray(labels.T)
    image.SetSpacing(spacing)
    SimpleITK.WriteImage(image, str(path))
    return path


def box() -> tuple[np.ndarray, np.ndarray]:
    """A box and the same moved by five voxels along each axis in turn, as three classes would be: here the first."""
    reference, prediction = np.zeros((2, 30, 24, 20), np.uint8)
    reference[4:16, 4:18, 4:16] = 1
    prediction[9:21, 4:18, 4:16] = 1
    return prediction, reference


def random_shapes() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    field = gaussian_filter(rng.normal(size=(24, 22, 20)), 2.5)
    other = np.roll(field, 3, axis=0)
    return tuple((f > 0.4 * field.std()).astype(np.uint8) for f in (other, field))  # type: ignore[return-value]


#: Name -> masks, spacing, tolerance, step along the axis that reaches the tolerance exactly.
TEST_CASES: dict[str, tuple[Callable[[], tuple[np.ndarray, np.ndarray]], tuple[float, float, float], float]] = {
    "box, 5 x 0.4": (box, (0.4, 0.4, 0.4), 2.0),
    "box, 5 x 0.7": (box, (0.7, 1.1, 3.3), 3.5),
    "box, 5 x 0.3": (box, (0.3, 0.9, 1.7), 1.5),
    "shapes, 3 x 0.4": (random_shapes, (0.4, 0.4, 0.4), 1.2),
    "shapes, 3 x 0.7": (random_shapes, (0.7, 0.7, 1.4), 2.1),
    "shapes, 2 x 1.2": (random_shapes, (1.2, 0.9, 0.8), 2.4),
    "shapes, 1 x 0.6": (random_shapes, (0.6, 0.6, 5.0), 0.6),
    "shapes, hypotenuse of 0.9 and 1.2": (random_shapes, (0.9, 1.2, 2.0), 1.5),
}


@pytest.mark.parametrize("name", TEST_CASES)
def test_all_formats_have_one_normalised_surface_distance(name: str, tmp_path: Path) -> None:
    masks, spacing, tolerance = TEST_CASES[name]
    prediction, reference = masks()
    found = {}
    for suffix in FORMATS:
        files = [
            save(tmp_path / suffix[1:] / f"{kind}{suffix}", labels, spacing)
            for kind, labels in (("p", prediction), ("r", reference))
        ]
        result = evaluate({"a": files[0]}, {"a": files[1]}, TWO, tolerance={"organ": tolerance}, bootstrap_samples=2)
        found[suffix] = result.per_case[0]
    # counted in whole steps of a hundredth, where nothing is rounded
    steps = tuple(round(100 * step) for step in spacing)
    exact = nsd(*surface_distances(prediction, reference, steps), round(100 * tolerance))
    assert {suffix: row["nsd"] for suffix, row in found.items()} == dict.fromkeys(FORMATS, exact)
    for metric in ("hd95", "hd", "assd", "masd", "volume_ref_ml"):
        assert found[".nii"][metric] == pytest.approx(found[".mha"][metric], rel=1e-6)
    # a voxel less is outside: the allowance is for the rounding, and for nothing else
    below = nsd(*surface_distances(prediction, reference, spacing), tolerance * (1 - 1e-5))
    assert below < exact


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_distance_equal_to_the_limit_of_a_pipeline_passes(suffix: str, tmp_path: Path) -> None:
    prediction, reference = (save(tmp_path / k / f"a{suffix}", m, (0.4,) * 3) for k, m in zip("pr", box(), strict=True))
    summary = evaluate({"a": prediction}, {"a": reference}, TWO, empty="worst", bootstrap_samples=2).summary
    limits = parse_limits(["hd95=2", "hd=2,hd95_worst:organ=2"], lowest=False)
    assert [item["passed"] for item in check_limits(summary, limits)] == [True, True, True]
    assert not check_limits(summary, parse_limits(["hd95=1.9999"], lowest=False))[0]["passed"]


def test_a_mean_of_decimals_equal_to_the_limit_passes() -> None:
    """Ten cases of Dice 0.7 or so have a mean that is off by the last digits."""
    masks = {f"{i}": np.zeros((10, 10), np.uint8) for i in range(3)}
    guesses = {case: mask.copy() for case, mask in masks.items()}
    for case, mask in masks.items():
        mask[0] = 1
        guesses[case][0, : 7 + int(case)] = 1
        guesses[case][1, : 3 - int(case)] = 1  # Dice 0.7, 0.8, 0.9
    summary = evaluate(guesses, masks, TWO, bootstrap_samples=2).summary
    assert [item["passed"] for item in check_limits(summary, parse_limits(["dice=0.8"], lowest=True))] == [True]
    assert not check_limits(summary, parse_limits(["dice=0.80001"], lowest=True))[0]["passed"]


def square(pixels: int, size: int) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    mask.reshape(-1)[:pixels] = 1
    return mask


@pytest.mark.parametrize(("pixels", "limit"), [(50, 0.5), (100, 1.0), (300, 3.0), (70, 0.7), (10, 0.1)])
def test_an_object_of_exactly_the_limit_is_not_below_it(pixels: int, limit: float) -> None:
    masks = {"at": square(pixels, 100), "under": square(pixels - 1, 100)}
    strata = evaluate(masks, masks, TWO, size_strata=[limit], bootstrap_samples=2).summary["size_strata"]
    assert strata["below_percent"][f"{limit:g}"]["cases"] == ["under"]
    paper = {"grid": 100, "sizes": [limit]}
    found = evaluate(masks, masks, TWO, "paper", family="size_range", paper=paper, bootstrap_samples=2)
    assert found.summary["paper"]["below_percent"][f"{limit:g}"]["cases"] == ["under"]


@pytest.mark.parametrize(("shared", "union", "threshold"), [(5, 10, 0.5), (7, 10, 0.7), (13, 20, 0.65), (3, 10, 0.3)])
def test_objects_must_exceed_the_threshold(shared: int, union: int, threshold: float) -> None:
    reference, prediction = np.zeros((2, 1, 20), np.uint8)
    reference[0, :union], prediction[0, :shared] = 1, 1
    assert match_instances(prediction, reference, threshold).tp == 0
    assert match_instances(prediction, reference, np.nextafter(threshold, 0)).tp == 1


def test_the_official_threshold_of_isic_is_reached_by_an_equal_overlap() -> None:
    reference, prediction = np.zeros((2, 2, 20), np.uint8)
    reference[0], prediction[0, :13] = 1, 1
    row = evaluate({"a": prediction}, {"a": reference}, TWO, extra_metrics="thresholded_jaccard").per_case[0]
    assert row["thresholded_jaccard"] == 0.65


@pytest.mark.parametrize("fine", [0.4, 0.5, 0.7, 0.9, 1.1])
def test_the_slice_that_is_shown_does_not_depend_on_the_format(fine: float) -> None:
    """Voxels up to 1.2 times as long as wide are taken for cubes, of which axial slices are shown."""
    labels = np.zeros((6, 7, 8), np.uint8)
    labels[2:4, 2:5, 3] = 1
    places = set()
    for kind in (np.float32, np.float64):
        spacing = tuple(float(kind(step)) for step in (1.2 * fine, fine, fine))
        geometry = LabelMap(labels, spacing, "mm", np.diag([*spacing, 1.0]), "")
        places.add(plane_of(LoadedCase("a", None, labels, geometry, "", False), None).place)
    assert places == {"axial 4/8"}
