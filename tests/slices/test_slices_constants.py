# SPDX-License-Identifier: Apache-2.0
"""What is calculated once for each device: the values of those who make it, the same tensor for all callers."""

from __future__ import annotations

import torch
from monai.inferers import sliding_window_inference

from sa2_monai.slices.constants import blending_weights, constant_on
from sa2_monai.slices.spline_resize import spline_matrix

CPU = torch.device("cpu")


def test_made_once_for_each_dtype() -> None:
    with torch.inference_mode():
        found = constant_on(CPU, torch.float32, spline_matrix, 13, 7, "mirror")
    assert found is constant_on(CPU, torch.float32, spline_matrix, 13, 7, "mirror")
    assert not found.is_inference()  # a training may use it later
    exact = constant_on(CPU, torch.float64, spline_matrix, 13, 7, "mirror")
    assert exact.dtype == torch.float64
    assert (exact.numpy() == spline_matrix(13, 7)).all()


def test_the_weights_are_those_of_the_sliding_window() -> None:
    images = torch.rand(2, 1, 40, 30)
    arguments = (images, (16, 24), 4, lambda windows: windows.cumsum(-1))
    options = {"overlap": 0.4, "mode": "gaussian"}
    expected = sliding_window_inference(*arguments, **options)
    found = sliding_window_inference(*arguments, **options, roi_weight_map=blending_weights((16, 24), CPU))
    assert torch.equal(found, expected)
    assert blending_weights((16, 24), CPU) is blending_weights((16, 24), CPU)
