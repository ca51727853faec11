# SPDX-License-Identifier: Apache-2.0
"""SliceNetwork in training mode, as for epistemic scoring: one image is enough for networks that normalise over two."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sa2_monai.inference import VolumeInferer


@pytest.mark.parametrize("training", [False, True])
def test_single_slice_in_training_mode(training: bool) -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(2), nn.Upsample(size=(8, 8))).train(training)
    with pytest.raises(ValueError, match="more than 1 value per channel") if training else torch.no_grad():
        network(torch.rand(1, 2, 8, 8))
    labels = VolumeInferer(roi_size=8)(torch.rand(1, 2, 8, 8, 1), network)
    assert labels.shape == (1, 1, 8, 8, 1)
