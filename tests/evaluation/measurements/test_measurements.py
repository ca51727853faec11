# SPDX-License-Identifier: Apache-2.0
"""Measurements: shapes whose values are known, units only where somebody says them, tables that agree."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage.measure import regionprops

from sa2_monai.evaluation import evaluate
from sa2_monai.evaluation.measurements import (
    COLUMNS,
    Grid,
    find_grid,
    measure_case,
    measure_result,
    write_measurements,
)

CLASSES = {0: "background", 1: "nucleus", 2: "gland"}


def plane() -> np.ndarray:
    labels = np.zeros((20, 30), np.uint8)
    labels[2:6, 3:11], labels[10:12, 3:5] = 1, 1
    labels[15:18, 20:26] = 2
    return labels


def test_an_image_by_hand() -> None:
    image = np.arange(600, dtype=np.uint16).reshape(20, 30)
    grid = Grid(np.diag([0.5, 0.5]), "spacing")
    rows = measure_case("a", plane(), CLASSES, grid, image=image).rows
    assert [(row["class_name"], row["object"], row["count"], row["area_px"]) for row in rows if row["object"] > 0] == [
        ("nucleus", 1, 1, 32),
        ("nucleus", 2, 1, 4),
        ("gland", 1, 1, 18),
    ]
    nuclei, first = rows[:2]
    assert (nuclei["count"], nuclei["area_px"], nuclei["area_mm2"], nuclei["unit"]) == (2, 36, 9.0, "mm")
    assert nuclei["share_of_image"] == 36 / 600
    assert nuclei["share_of_foreground"] == 36 / 54
    assert first["mean_intensity"] == image[2:6, 3:11].mean()
    assert first["std_intensity"] == pytest.approx(image[2:6, 3:11].std())
    # from the middle of a side to that of the opposite one, a corner pixel away: 8 x 3 or 7 x 4
    assert first["diameter_px"] == pytest.approx(math.hypot(8, 3))
    assert first["diameter_mm"] == pytest.approx(math.hypot(8, 3) / 2)
    assert nuclei["diameter_px"] == first["diameter_px"]
    assert first["perimeter_mm"] == first["perimeter_px"] / 2
    assert math.isnan(first["voxels"])


def test_diameter_and_perimeter_are_those_of_scikit_image() -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:40, :40]
    for _ in range(5):
        a, b, angle = *rng.uniform(4, 16, 2), rng.uniform(0, math.pi)
        u = (rows - 20) * math.cos(angle) + (columns - 20) * math.sin(angle)
        v = (columns - 20) * math.cos(angle) - (rows - 20) * math.sin(angle)
        mask = ((u / a) ** 2 + (v / b) ** 2 <= 1).astype(np.uint8)
        (expected,) = regionprops(mask)
        found = measure_case("a", mask, {0: "", 1: "x"}, Grid()).rows[1]
        assert found["perimeter_px"] == expected.perimeter
        # scikit-image takes the convex hull of the pixels, which may hold a pixel more
        assert 0 <= expected.feret_diameter_max - found["diameter_px"] < 1


def test_without_a_size_there_are_no_millimetres() -> None:
    rows = measure_case("a", plane(), CLASSES, find_grid(None)).rows
    assert {row["unit"] for row in rows} == {"px"}
    assert all(math.isnan(row[name]) for row in rows for name in COLUMNS if name.endswith(("mm", "mm2", "ml")))


def test_pixels_that_are_not_square_have_no_perimeter_in_mm() -> None:
    row = measure_case("a", plane(), CLASSES, find_grid(None, spacing=[1.0, 2.0])).rows[1]
    assert math.isnan(row["perimeter_mm"])
    assert row["area_mm2"] == 64
    assert row["diameter_mm"] == pytest.approx(math.hypot(3, 16))


def test_a_volume_by_hand() -> None:
    labels = np.zeros((12, 10, 8), np.uint8)
    labels[2:6, 3:5, 1:4] = 1
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    affine[0, 1] = 0.5  # sheared: the volume is the determinant
    image = np.full(labels.shape, -100.0, np.float32)
    image[labels == 1] = 40
    whole, one, absent = measure_case("a", labels, CLASSES, find_grid("a.nii", affine, ndim=3), image=image).rows
    assert (whole["voxels"], whole["volume_ml"], whole["count"]) == (24, pytest.approx(24 * 6 / 1000), 1)
    assert (one["mean_intensity"], one["std_intensity"]) == (40, 0)
    assert math.isnan(one["area_px"])
    corners = np.stack([*np.mgrid[2:6, 3:5, 1:4].reshape(3, -1)]).T
    sides = np.concatenate([corners + step for step in (*(np.eye(3) / 2), *(-np.eye(3) / 2))]) @ affine[:3, :3].T
    assert one["diameter_mm"] == pytest.approx(max(np.linalg.norm(sides - point, axis=1).max() for point in sides))
    assert (absent["voxels"], absent["volume_ml"], absent["count"]) == (0, 0, 0)
    assert math.isnan(absent["mean_intensity"])


def test_objects_of_an_instance_image() -> None:
    labels = np.zeros((10, 12), np.uint8)
    labels[2:8, 2:10] = 1
    numbers = labels.astype(np.uint16)
    numbers[2:8, 6:10] = 300
    rows = measure_case("a", labels, {0: "", 1: "x"}, Grid(), numbers=numbers).rows
    assert [(row["object"], row["area_px"]) for row in rows[1:]] == [(1, 24), (300, 24)]
    assert rows[0]["count"] == 2
    with pytest.raises(ValueError, match="case a: its instance image has the shape"):
        measure_case("a", labels, {0: "", 1: "x"}, Grid(), numbers=numbers[1:])


def test_colours_are_measured_by_their_luminance() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    image[..., 1] = 100
    assert measure_case("a", plane(), CLASSES, Grid(), image=image).rows[0]["mean_intensity"] == 59


def test_tables_agree(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", plane(), resolution=(100, 100), resolutionunit="CENTIMETER")
    grids = {"a": find_grid(tmp_path / "a.tif"), "b": Grid()}
    cases = [measure_case(case, plane(), CLASSES, grid) for case, grid in grids.items()]
    paths = write_measurements(tmp_path / "out", cases)
    document = json.loads(paths["json"].read_text())
    assert document["pixel_size_mm"] == {"a": {"mm": [0.1, 0.1], "source": str(tmp_path / "a.tif")}, "b": None}
    with open(paths["csv"], newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS) == list(document["columns"])
    assert [row["area_mm2"] for row in rows if row["case"] == "b"] == [""] * 5
    for row, same in zip(rows, document["rows"], strict=True):
        assert {name: value for name, value in row.items() if value} == {
            name: str(value) for name, value in same.items() if value is not None
        }


def test_a_spacing_that_is_none() -> None:
    with pytest.raises(ValueError, match="expected numbers above 0"):
        find_grid(None, spacing=0)
    with pytest.raises(ValueError, match="its file holds one; leave --spacing out"):
        find_grid("a.nii", np.eye(4), spacing=1.0)


def test_an_evaluation_measures_both_maps_and_reports_areas() -> None:
    reference = plane()
    prediction = np.where(reference == 1, 1, 0)
    classes = ["background", "nucleus", "gland"]
    result = evaluate({"a": prediction}, {"a": reference}, classes, spacing=0.5)
    assert result.per_case[0]["area_ref_mm2"] == 9
    assert result.per_case[1]["area_difference_mm2"] == -4.5
    assert result.summary["per_class"]["gland"]["area_ref_mm2"]["mean"] == 4.5
    assert "area, reference [mm2]" in result.table()
    measured = list(measure_result(result, CLASSES))
    rows = [row for case in measured for row in case.rows if row["count"] != 1]
    areas = [(row["map"], row["class_name"], row["area_mm2"]) for row in rows]
    assert areas == [("prediction", "nucleus", 9.0), ("prediction", "gland", 0.0), ("reference", "nucleus", 9.0)]
    without = evaluate({"a": prediction}, {"a": reference}, classes)
    assert "area_ref_mm2" not in without.per_case[0]
