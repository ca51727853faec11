# SPDX-License-Identifier: Apache-2.0
"""Legal windows, and one inferer of MONAI for both ways of seeing an image."""

from __future__ import annotations

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from monai.inferers import SlidingWindowInferer
from monai.utils import set_determinism

from sa2_monai.slices import check_roi_size


@pytest.mark.parametrize(
    ("given", "expected"),
    [((224, 224), (224, 224)), ([160, 192], (160, 192)), (64, (64, 64)), ([16, 16], (16, 16))],
)
def test_legal_windows(given, expected: tuple[int, int]) -> None:
    assert check_roi_size(given) == expected


@pytest.mark.parametrize(
    ("given", "nearest"),
    [((100, 224), r"\[96, 224\]"), ((0, 64), r"\[16, 64\]"), (-32, r"\[16, 16\]"), ([7, 250], r"\[16, 256\]")],
)
def test_illegal_windows_give_the_nearest_legal_one(given, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"illegal window size.*multiple of 16.*{nearest}"):
        check_roi_size(given)


@pytest.mark.parametrize("given", [(64,), (64, 64, 64), (64.0, 64), ("64", "64"), True])
def test_what_is_no_size(given) -> None:
    with pytest.raises(ValueError, match="2 whole numbers"):
        check_roi_size(given)


def test_other_networks_have_other_divisors() -> None:
    assert check_roi_size([32, 32, 32], divisor=32, spatial_dims=3) == (32, 32, 32)
    with pytest.raises(ValueError, match="multiple of 32"):
        check_roi_size([48, 32], divisor=32)


@pytest.fixture
def network() -> nn.Module:
    set_determinism(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 3, padding=1)).eval()
    set_determinism(None)
    return network.requires_grad_(False)


@pytest.mark.parametrize("mode", ["constant", "gaussian"])
def test_one_window_is_the_plain_forward_pass(network: nn.Module, mode: str) -> None:
    images = torch.rand(3, 3, 64, 96)
    out = SlidingWindowInferer((64, 96), sw_batch_size=3, overlap=0.5, mode=mode)(images, network)
    torch.testing.assert_close(out, network(images), rtol=0, atol=2e-7)


def test_one_window_of_a_half_precision_network(network: nn.Module) -> None:
    """Why the ``whole`` view says ``constant``: Gaussian weights cost digits in half precision, equal weights none."""
    half = network.bfloat16()
    images = torch.rand(2, 3, 32, 32)

    def predict(windows: torch.Tensor) -> torch.Tensor:
        return half(windows.bfloat16())

    expected = predict(images).float()
    constant = SlidingWindowInferer((32, 32), sw_batch_size=2, mode="constant")(images, predict)
    gaussian = SlidingWindowInferer((32, 32), sw_batch_size=2, mode="gaussian")(images, predict)
    assert torch.equal(constant, expected)
    assert (gaussian - expected).abs().max() > 1e-4


@pytest.mark.parametrize("size", [(40, 17), (64, 20), (200, 30)])
def test_images_smaller_than_the_window(network: nn.Module, size: tuple[int, int]) -> None:
    image = torch.rand(1, 3, *size)
    out = SlidingWindowInferer((64, 64), sw_batch_size=2, overlap=0.5, mode="gaussian")(image, network)
    assert out.shape == (1, 2, *size)
    if max(size) <= 64:  # one window: the padded image
        margins = [64 - length for length in size]
        before = [margin // 2 for margin in margins]
        padded = F.pad(image, (before[1], margins[1] - before[1], before[0], margins[0] - before[0]))
        expected = network(padded)[..., before[0] : before[0] + size[0], before[1] : before[1] + size[1]]
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-6)


def test_windows_of_a_large_image_blend_to_the_whole(network: nn.Module) -> None:
    """A network that sees only near pixels gives the same inside, whether it looks through windows or not."""
    image = torch.rand(1, 3, 150, 220)
    out = SlidingWindowInferer((64, 64), sw_batch_size=4, overlap=0.5, mode="gaussian")(image, network)
    assert out.shape == (1, 2, 150, 220)
    whole = network(image)
    # Borders of windows see zeros instead of their neighbours; Gaussian weights make them count little.
    assert (out - whole).abs().mean() < 0.01 * whole.abs().mean()
