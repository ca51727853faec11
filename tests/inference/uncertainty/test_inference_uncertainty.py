# SPDX-License-Identifier: Apache-2.0
"""Maps of the uncertainty behind the inferer: their formulas, files, scores and table."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
import torch
from monai.data import MetaTensor

from sa2_monai.inference import ScoreUncertaintyd, SplitUncertaintyd, uncertainty_writer
from sa2_monai.inference.uncertainty import (
    entropy_map,
    map_names,
    uncertainty_scores,
    variance_map,
    write_uncertainty_table,
)
from sa2_monai.slices import load_image

# probabilities of the classes (one: of the foreground), entropy in units of log K
ENTROPIES: list[tuple[list[float], float]] = [
    ([0.5], 1.0),
    ([0.0], 0.0),
    ([1.0], 0.0),
    ([0.11], -(0.11 * math.log2(0.11) + 0.89 * math.log2(0.89))),
    ([0.25, 0.75], -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))),
    ([1 / 3, 1 / 3, 1 / 3], 1.0),
    ([0.5, 0.5, 0.0], math.log(2) / math.log(3)),
    ([1.0 + 1e-7, 0.0, -1e-7], 0.0),  # resized
]


@pytest.mark.parametrize(("probabilities", "expected"), ENTROPIES)
def test_entropy(probabilities: list[float], expected: float) -> None:
    planes = [torch.full((1, 1, 2, 2), p) for p in probabilities]
    found = entropy_map(iter(planes), len(planes))
    torch.testing.assert_close(found, torch.full((1, 1, 2, 2), expected), rtol=0, atol=1e-6)


def test_two_classes_have_the_variance_of_the_foreground_with_one_channel_and_with_two() -> None:
    members = torch.rand(5, 1, 1, 3, 3)
    both = torch.cat([1 - members, members], dim=2)
    one, two = (m.var(dim=0, correction=0).sum(dim=1, keepdim=True) for m in (members, both))
    torch.testing.assert_close(variance_map(one, 1), variance_map(two, 2))
    torch.testing.assert_close(variance_map(one, 1), members.var(dim=0, correction=0))


def test_names_of_maps() -> None:
    assert [map_names(u) for u in (None, "entropy", "variance", "all")] == [
        *((), ("entropy",), ("variance",), ("entropy", "variance"))
    ]
    with pytest.raises(ValueError, match="uncertainty is 'both'"):
        map_names("both")


def test_maps_of_an_image_become_files_and_scores(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.zeros(1, 20, 30, 1)
    labels[0, 5:8, 10:12] = 1
    maps = torch.rand(2, 20, 30, 1, generator=generator)
    data = SplitUncertaintyd("pred", "all")({"pred": torch.cat([labels, maps]), "case": "deep/a"})
    assert torch.equal(data["pred"], labels)
    data = uncertainty_writer("images", "all", tmp_path)(data)
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["a_entropy.tif", "a_variance.tif"]
    for index, name in enumerate(("entropy", "variance")):
        found = tifffile.imread(tmp_path / "deep" / f"a_{name}.tif")
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, maps[index, ..., 0])
    scores = ScoreUncertaintyd("pred", "all")(data)["uncertainty_scores"]
    around = maps[:, 2:11, 7:15, 0]  # three pixels
    assert scores["foreground"] == 6
    assert scores["entropy"] == pytest.approx(float(around[0].mean()), rel=1e-5)
    assert scores["variance"] == pytest.approx(float(around[1].mean()), rel=1e-5)


def test_maps_of_a_volume_have_its_geometry(tmp_path: Path) -> None:
    affine = np.array([[0.0, -1.5, 0, 7], [1.0, 0, 0, -3], [0, 0, 8, 0], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(np.zeros((6, 5, 4), np.int16), affine), tmp_path / "case.nii.gz")
    image = load_image("volumes")({"image": str(tmp_path / "case.nii.gz")})["image"]
    values = torch.rand(2, 6, 5, 4)
    pred = MetaTensor(values).copy_meta_from(image)
    data = SplitUncertaintyd("pred", "entropy")({"pred": pred})
    uncertainty_writer("volumes", "entropy", tmp_path / "out")(data)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["case_entropy.nii.gz"]
    written = nibabel.load(tmp_path / "out" / "case_entropy.nii.gz")
    assert written.get_data_dtype() == np.float32
    np.testing.assert_array_equal(written.affine, affine)
    np.testing.assert_array_equal(written.get_fdata(dtype=np.float32), values[1])


def test_the_margin_goes_less_far_between_thick_slices() -> None:
    labels = np.zeros((11, 11, 11), np.uint8)
    labels[5, 5, 5] = 2
    for spacing, reach in (((1, 1, 1), (3, 3, 3)), ((1, 1, 5), (3, 3, 0)), ((0.5, 1, 0.75), (3, 1, 2))):
        near = np.ones(labels.shape, bool)
        for axis, steps in enumerate(reach):
            distance = np.abs(np.arange(11) - 5).reshape([-1 if a == axis else 1 for a in range(3)])
            near &= distance <= steps
        assert uncertainty_scores({"entropy": near.astype(np.float32)}, labels, spacing)["entropy"] == 1.0
        found = uncertainty_scores({"entropy": (~near).astype(np.float32)}, labels, spacing)
        assert found == {"entropy": 0.0, "foreground": 1}


def test_where_nothing_is_found_all_of_the_image_counts() -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
    assert uncertainty_scores({"entropy": values}, np.zeros((3, 4, 1))) == {"entropy": 5.5, "foreground": 0}


def test_the_table(tmp_path: Path) -> None:
    assert write_uncertainty_table(tmp_path, {}) is None
    assert not any(tmp_path.iterdir())
    scores = {"a, b": {"entropy": 0.25, "foreground": 7}, "c": {"entropy": 1e-05, "foreground": 0}}
    file = write_uncertainty_table(tmp_path, scores)
    assert file == tmp_path / "uncertainty.csv"
    with open(file, newline="") as table:
        rows = list(csv.DictReader(table))
    assert rows == [
        {"case": "a, b", "entropy": "0.25", "foreground": "7"},
        {"case": "c", "entropy": "1e-05", "foreground": "0"},
    ]
