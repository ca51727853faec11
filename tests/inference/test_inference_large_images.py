# SPDX-License-Identifier: Apache-2.0
"""Slices of many megapixels, part by part: the labels and probabilities are those of the whole, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sa2_monai.inference import VolumeInferer, large_images
from tests.inference.slice_networks import make_network, make_volume

WINDOWS = {"view": "windows", "overlap": 0.3, "normalize": (0.4, 0.3)}
# size of the image, classes, options of the inferer
TEST_CASES = [
    ((161, 45), 4, {**WINDOWS, "slice_batch_size": 3}),  # batches that reach into the next row of windows
    ((161, 45), 4, {**WINDOWS, "slice_batch_size": 1, "output": "probabilities"}),
    ((161, 45), 4, {**WINDOWS, "overlap": 0.7, "slice_batch_size": 5, "uncertainty": "entropy"}),
    ((16, 90), 4, {**WINDOWS, "overlap": 0.0}),  # one row of windows
    ((200, 45), 1, {**WINDOWS, "sigmoid": True}),
    ((150, 50), 4, {**WINDOWS, "tta": True, "uncertainty": "all", "output": "probabilities"}),
    ((61, 45), 1, {"view": "whole", "resize": "bilinear", "sigmoid": True}),
    ((61, 45), 4, {"view": "whole", "resize": "antialiased", "stretch": True}),
    ((61, 45), 4, {"view": "whole", "resize": "bicubic", "output": "grid"}),
    ((61, 45), 4, {"view": "whole", "resize": "spline", "normalize": (0.5, 0.5)}),
    ((61, 45), 4, {"view": "paper", "resize": "spline"}),
]


@pytest.mark.parametrize(("size", "classes", "options"), TEST_CASES)
def test_part_by_part_is_the_whole(
    size: tuple[int, int], classes: int, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, image = make_network(3, classes), make_volume((*size, 1), channels=3)
    inferer = VolumeInferer((16, 16), **options)
    expected = inferer(image, network)
    monkeypatch.setattr(large_images, "LARGE", 100)
    found = inferer(image, network)
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)


def test_no_tensor_is_as_large_as_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_images, "LARGE", 100)
    largest: list[int] = []

    class Watched(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.cat([images, 1 - images], dim=1)

    normalised = VolumeInferer._normalised

    def watch(self: VolumeInferer, images: torch.Tensor) -> torch.Tensor:
        largest.append(images.numel())
        return normalised(self, images)

    monkeypatch.setattr(VolumeInferer, "_normalised", watch)
    VolumeInferer((16, 16), view="windows")(make_volume((80, 80, 1)), Watched())
    assert max(largest) == 16 * 16


@pytest.mark.parametrize("size", [(12, 40), (40, 12)])
def test_an_image_smaller_than_a_window_is_padded_as_ever(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, image = make_network(1, 4), make_volume((*size, 1))
    expected = VolumeInferer((16, 16), view="windows")(image, network)
    monkeypatch.setattr(large_images, "LARGE", 100)
    assert torch.equal(VolumeInferer((16, 16), view="windows")(image, network), expected)


def test_values_that_are_not_finite_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_images, "LARGE", 100)
    image = make_volume((40, 40, 1))
    image[..., 30, 30, 0] = torch.nan
    with pytest.raises(ValueError, match=r"slices 0 to 0 along axis 2 has NaN.*its input is not finite, too"):
        VolumeInferer((16, 16), view="windows")(image, make_network(1, 4))
