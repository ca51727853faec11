# SPDX-License-Identifier: Apache-2.0
"""CleanLabelsd: pieces, holes and volumes of label maps, class by class."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from scipy import ndimage

from sa2_monai.transforms import CleanLabelsd


def plane(*rows: str) -> np.ndarray:
    """A label map (1, X, Y, 1) from its digits."""
    return np.array([[int(digit) for digit in row] for row in rows], dtype=np.uint8)[None, :, :, None]


def cleaned(labels: np.ndarray | MetaTensor, **options) -> list[str]:
    out = CleanLabelsd("pred", **options)({"pred": labels})["pred"]
    return ["".join(str(value) for value in row) for row in np.asarray(out)[0, :, :, 0].tolist()]


PIECES = plane("11002", "11000", "00100", "10022", "10002")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # 2 x 2 pixels and the one at their corner hang together.
        ({"largest_component": [1]}, ["11002", "11000", "00100", "00022", "00002"]),
        ({"largest_component": 2}, ["11000", "11000", "00100", "10022", "10002"]),
        ({"largest_component": True}, ["11000", "11000", "00100", "00022", "00002"]),
        ({"largest_component": [5]}, ["11002", "11000", "00100", "10022", "10002"]),
    ],
)
def test_largest_component(options: dict, expected: list[str]) -> None:
    assert cleaned(PIECES, **options) == expected


def test_of_equal_pieces_one_stays() -> None:
    assert cleaned(plane("10101"), largest_component=True) == ["10000"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"fill_holes": True}, ["11100", "11122", "11122", "00022"]),
        ({"fill_holes": [2]}, ["11100", "10122", "11122", "00022"]),
        ({"fill_holes": [1]}, ["11100", "11122", "11122", "00022"]),
    ],
)
def test_holes(options: dict, expected: list[str]) -> None:
    volume = np.repeat(plane("11100", "10122", "11122", "00022"), 3, axis=3)
    volume[0, 0:3, 0:3, [0, 2]] = 1  # closed above and below
    out = CleanLabelsd("pred", **options)({"pred": volume})["pred"]
    assert ["".join(map(str, row)) for row in out[0, :, :, 1].tolist()] == expected
    assert volume[0, 1, 1, 1] == 0  # the input is not changed


def test_a_hole_open_at_the_border_of_the_array_is_none() -> None:
    assert cleaned(plane("111", "101", "111"), fill_holes=True) == ["111", "101", "111"]
    image = plane("111", "101", "111")[..., 0]
    out = CleanLabelsd("pred", fill_holes=True)({"pred": image})["pred"]  # in two dimensions it is closed
    assert out[0].tolist() == [[1, 1, 1]] * 3


def test_holes_never_take_another_class_and_belong_to_the_innermost() -> None:
    image = plane("1111111", "1000001", "1022201", "1020201", "1022201", "1000001", "1111111")[..., 0]
    out = CleanLabelsd("pred", fill_holes=True)({"pred": image})["pred"]
    rows = ["".join(map(str, row)) for row in out[0].tolist()]
    assert rows == ["1111111", "1111111", "1122211", "1122211", "1122211", "1111111", "1111111"]


def test_what_is_removed_leaves_a_hole_to_fill() -> None:
    image = plane("11111", "10021", "11111")[..., 0]
    affine = torch.eye(4)
    out = CleanLabelsd("pred", fill_holes=True, largest_component=True)({"pred": image})["pred"]
    assert out[0].tolist() == [[1] * 5, [1, 1, 1, 2, 1], [1] * 5]
    volume = MetaTensor(torch.from_numpy(np.repeat(image[..., None], 3, axis=3)), affine=affine)
    volume[0, :, :, [0, 2]] = 1
    out = CleanLabelsd("pred", fill_holes=True, min_volume={2: 1.5})({"pred": volume})["pred"]
    assert (out == 1).all()


@pytest.mark.parametrize(
    ("min_volume", "expected"),
    [
        (12, ["11000", "11000", "00100", "10022", "10002"]),  # the pair of class 1 has exactly 12 mm³
        (12.1, ["11000", "11000", "00100", "00022", "00002"]),
        ({1: 12.1}, ["11002", "11000", "00100", "00022", "00002"]),
        ({"2": 7}, ["11000", "11000", "00100", "10022", "10002"]),
        ({2: 7, 1: 100}, ["00000", "00000", "00000", "00022", "00002"]),
    ],
)
def test_minimum_volume(min_volume, expected: list[str]) -> None:
    # 2 x 1.5 x 2 mm, turned: 6 mm³ per voxel
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([2, 1.5, 2])
    label = MetaTensor(torch.from_numpy(PIECES), affine=torch.from_numpy(affine))
    assert cleaned(label, min_volume=min_volume) == expected


@pytest.mark.parametrize("step", [0.4, 0.7, 0.9, 1.1])
def test_what_has_exactly_the_minimum_stays_whatever_the_precision_of_the_file(step: float) -> None:
    for kind in (np.float32, np.float64):
        affine = np.eye(4)
        affine[:3, :3] *= kind(step).astype(np.float64)
        label = MetaTensor(torch.from_numpy(PIECES), affine=torch.from_numpy(affine))
        for pixels, rows in ((5, ["11000", "11000", "00100", "00000", "00000"]), (5.01, ["00000"] * 5)):
            assert cleaned(label, min_volume={1: pixels * step**3, 2: 100}) == rows


def test_off_by_default() -> None:
    data = {"pred": "no array at all"}
    assert CleanLabelsd("pred")(data) == data
    assert CleanLabelsd("pred", largest_component=False, fill_holes=[], min_volume=0)(data) == data


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64, torch.float32])
def test_dtype_and_metadata_stay(dtype: torch.dtype) -> None:
    label = MetaTensor(torch.from_numpy(PIECES).to(dtype), affine=torch.eye(4) * 2, meta={"filename_or_obj": "a.nii"})
    out = CleanLabelsd("pred", largest_component=True)({"pred": label})["pred"]
    assert isinstance(out, MetaTensor)
    assert out.dtype == dtype
    assert out.meta["filename_or_obj"] == "a.nii"
    assert torch.equal(out.affine, label.affine)
    assert int((out > 0).sum()) == 8
    assert int((label > 0).sum()) == 11


# Smoothing and share of the foreground: one sponge with holes, pieces far apart, single voxels.
@pytest.mark.parametrize(("sigma", "share"), [(1.5, 0.5), (2.0, 0.03), (0.0, 0.0001), (1.0, 0.2)])
@pytest.mark.parametrize("min_voxels", [0, 3])
def test_agrees_with_scipy_on_the_whole_array(sigma: float, share: float, min_voxels: int) -> None:
    noise = np.random.RandomState(0).randn(60, 77, 50)
    noise = ndimage.gaussian_filter(noise, sigma) if sigma else noise
    labels = np.where(noise > np.quantile(noise, 1 - share), 3, 0).astype(np.uint8)
    labels[noise < np.quantile(noise, 0.1)] = 1
    labels[20:23, 30:33, 12:15] = 3
    labels[50:55, 68:73, 40:45] = 3  # one piece is the largest, and hollow
    labels[52, 70, 42] = 0
    label = MetaTensor(torch.from_numpy(labels[None]), affine=torch.eye(4) * 0.5)
    options = {"min_volume": {3: min_voxels * 0.125}} if min_voxels else {}
    pieces, _ = ndimage.label(labels == 3, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0

    for largest in (True, False):
        keep = sizes >= max(min_voxels, 1)
        if largest:
            keep &= np.arange(len(sizes)) == np.argmax(sizes)
        expected = np.where(labels == 3, 0, labels)
        expected[keep[pieces]] = 3
        expected[ndimage.binary_fill_holes(expected == 3) & (expected == 0)] = 3
        clean = CleanLabelsd("pred", largest_component=[3] if largest else None, fill_holes=[3], **options)
        np.testing.assert_array_equal(clean({"pred": label})["pred"][0].numpy(), expected)


def test_an_empty_map_stays_empty() -> None:
    out = CleanLabelsd("pred", largest_component=True, fill_holes=True)({"pred": np.zeros((1, 4, 4, 4), np.uint8)})
    assert not out["pred"].any()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"largest_component": [0]}, "largest_component must be true, false or a list"),
        ({"largest_component": ["1"]}, r"got \['1'\]"),
        ({"fill_holes": "all"}, "fill_holes must be true"),
        ({"fill_holes": [True]}, "fill_holes must be true"),
        ({"min_volume": -1}, "min_volume must be a number of mm³"),
        ({"min_volume": {"liver": 3}}, "'liver'"),
        ({"min_volume": {0: 3}}, "from 1"),
        ({"min_volume": "big"}, "got 'big'"),
    ],
)
def test_wrong_options(options: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CleanLabelsd("pred", **options)


@pytest.mark.parametrize(
    ("label", "options", "said"),
    [
        (np.zeros((2, 4, 4, 4)), {}, r"expected the shape \(1, X, Y, Z\), got \(2, 4, 4, 4\)"),
        (np.full((1, 4, 4, 4), 0.5), {}, "no whole numbers"),
        (np.full((1, 4, 4, 4), np.nan), {}, "no whole numbers"),
        (np.zeros((1, 4, 4, 4)), {"min_volume": 3}, "which has no affine"),
        (MetaTensor(torch.zeros(1, 4, 4)), {"min_volume": 3}, "needs a volume with a voxel size"),
        (MetaTensor(torch.zeros(1, 4, 4, 4), affine=torch.zeros(4, 4)), {"min_volume": 3}, "got 0 mm³ per voxel"),
    ],
)
def test_wrong_label_maps(label, options: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CleanLabelsd("pred", largest_component=True, **options)({"pred": label})
