# SPDX-License-Identifier: Apache-2.0
"""The cubic resize: SciPy's numbers from matrices, border defect and all, or without it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from scipy.ndimage import zoom

from sa2_monai.slices import SplineResize, SplineResized, spline_matrix
from sa2_monai.slices.spline_resize import nearest_index

# Size of the slice, size of the result. The pairs 28 -> 14, 30 -> 8, 8 -> 26 and 512 -> 224 have the border defect.
SIZES = [
    ((28, 30), (14, 8)),
    ((8, 17), (26, 17)),
    ((33, 20), (16, 40)),
    ((9, 5), (1, 3)),
    ((1, 6), (4, 12)),
    ((512, 512), (224, 224)),
]


@pytest.mark.parametrize(("size", "wanted"), SIZES)
def test_spline_is_scipys_zoom(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    image = np.random.RandomState(0).rand(1, *size)
    expected = zoom(image[0], (wanted[0] / size[0], wanted[1] / size[1]), order=3)
    double = SplineResize(wanted, border="constant")(image)
    single = SplineResize(wanted, border="constant")(torch.from_numpy(image).float())
    assert isinstance(double, np.ndarray)
    assert double.dtype == np.float64
    np.testing.assert_allclose(double[0], expected, rtol=0, atol=1e-12)
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single[0].numpy(), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("border", ["constant", "mirror"])
@pytest.mark.parametrize(("size", "wanted"), SIZES)
def test_nearest_is_scipys_zoom(size: tuple[int, int], wanted: tuple[int, int], border: str) -> None:
    label = np.random.RandomState(1).randint(1, 9, (1, *size)).astype(np.uint8)
    expected = zoom(label[0], (wanted[0] / size[0], wanted[1] / size[1]), order=0, mode=border)
    out = SplineResize(wanted, mode="nearest", border=border)(torch.from_numpy(label))
    assert out.dtype == torch.uint8
    np.testing.assert_array_equal(out[0].numpy(), expected)


@pytest.mark.parametrize(("n", "m"), [(512, 224), (28, 14), (8, 26)])
def test_mirror_differs_from_the_published_matrix_in_the_lost_row_alone(n: int, m: int) -> None:
    published, proper = spline_matrix(n, m, "constant"), spline_matrix(n, m, "mirror")
    assert not published[-1].any()
    np.testing.assert_array_equal(published[:-1], proper[:-1])
    np.testing.assert_allclose(proper[-1], np.eye(n)[-1], rtol=0, atol=1e-12)  # the last sample keeps its place
    assert nearest_index(n, m, "constant")[-1] == -1
    assert nearest_index(n, m, "mirror")[-1] == n - 1


def test_other_sizes_have_no_defect() -> None:
    np.testing.assert_array_equal(spline_matrix(224, 512, "constant"), spline_matrix(224, 512, "mirror"))


def test_cached_matrices_are_shared_and_cannot_be_changed() -> None:
    assert spline_matrix(12, 7) is spline_matrix(12, 7)
    with pytest.raises(ValueError, match="read-only"):
        spline_matrix(12, 7)[0, 0] = 1


def test_a_batch_is_its_slices() -> None:
    images = torch.rand(3, 2, 20, 24)
    resize = SplineResize((16, 12))
    torch.testing.assert_close(resize(images), torch.stack([resize(image) for image in images]), rtol=0, atol=1e-6)


def test_images_of_that_size_come_back_as_they_are() -> None:
    image = torch.randint(0, 255, (1, 16, 16), dtype=torch.uint8)
    assert SplineResize(16)(image) is image
    assert SplineResize(16, mode="nearest")(image) is image


def test_whole_numbers_become_single_precision() -> None:
    image = torch.randint(-1000, 1000, (1, 20, 30), dtype=torch.int16)
    out = SplineResize((10, 30), border="constant")(image)
    assert out.dtype == torch.float32
    np.testing.assert_allclose(out[0], zoom(image[0].numpy().astype(float), (0.5, 1), order=3), rtol=0, atol=1e-3)


def test_autocast_does_not_reach_the_resize() -> None:
    image = torch.rand(1, 40, 40)
    expected = SplineResize(16)(image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(SplineResize(16)(image), expected)


def test_each_key_has_its_mode() -> None:
    random = np.random.RandomState(0)
    data = {"image": random.rand(1, 28, 30), "label": random.randint(0, 4, (1, 28, 30)), "case": "a"}
    out = SplineResized(["image", "label"], (14, 8), mode=["spline", "nearest"], border="constant")(data)
    np.testing.assert_allclose(out["image"][0], zoom(data["image"][0], (0.5, 8 / 30), order=3), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(out["label"][0], zoom(data["label"][0], (0.5, 8 / 30), order=0))
    assert out["label"].dtype == data["label"].dtype
    assert out["case"] == "a"
    assert data["image"].shape == (1, 28, 30)


def test_the_affine_follows_the_corners() -> None:
    image = MetaTensor(torch.rand(1, 11, 21), affine=torch.diag(torch.tensor([2.0, 3.0, 8.0, 1.0]).double()))
    out = SplineResize((6, 41))(image)
    assert isinstance(out, MetaTensor)
    torch.testing.assert_close(out.affine, torch.diag(torch.tensor([4.0, 1.5, 8.0, 1.0]).double()))
    torch.testing.assert_close(image.affine, torch.diag(torch.tensor([2.0, 3.0, 8.0, 1.0]).double()))


def test_missing_keys() -> None:
    with pytest.raises(KeyError):
        SplineResized(["image", "label"], 16)({"image": torch.rand(1, 8, 8)})
    out = SplineResized(["image", "label"], 16, allow_missing_keys=True)({"image": torch.rand(1, 8, 8)})
    assert out["image"].shape == (1, 16, 16)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"spatial_size": (16,)}, "two whole numbers"),
        ({"spatial_size": (16, 0)}, "two whole numbers"),
        ({"spatial_size": 16.0}, "two whole numbers"),
        ({"spatial_size": True}, "two whole numbers"),
        ({"spatial_size": 16, "mode": "cubic"}, "mode must be one of 'spline', 'nearest', got 'cubic'"),
        ({"spatial_size": 16, "border": "zeros"}, "border must be one of 'mirror', 'constant', got 'zeros'"),
    ],
)
def test_wrong_arguments(arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SplineResize(**arguments)


def test_wrong_arrays_and_sizes() -> None:
    with pytest.raises(ValueError, match=r"expected slices .* got an array of shape \(8, 8\)"):
        SplineResize(16)(torch.rand(8, 8))
    with pytest.raises(ValueError, match="cannot resize 0 samples to 4"):
        spline_matrix(0, 4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same() -> None:
    image = torch.rand(2, 1, 512, 512, dtype=torch.float64)
    expected = SplineResize(224, border="constant")(image)
    out = SplineResize(224, border="constant")(image.cuda())
    assert out.is_cuda
    torch.testing.assert_close(out.cpu(), expected, rtol=0, atol=1e-12)
