# SPDX-License-Identifier: Apache-2.0
"""The switch ``colour_jitter``: nothing by default, and the channels of an image one by one where it is set."""

from __future__ import annotations

import pytest
import torch
from bundle_tools import BUNDLES, config_files, resolved
from monai.bundle import ConfigParser
from monai.transforms import RandScaleIntensityd


@pytest.mark.parametrize("bundle", BUNDLES)
def test_colour_jitter(bundle: str) -> None:
    config = ConfigParser.load_config_files(config_files(bundle, "train"))
    (without,) = resolved(config, "train#random_transforms")
    (steps,) = resolved({**config, "colour_jitter": 0.2}, "train#random_transforms")
    (jitter,) = [step for step in steps if isinstance(step, RandScaleIntensityd)]
    assert not any(isinstance(step, RandScaleIntensityd) for step in without)
    assert len(steps) == len(without) + 1  # nothing else draws other numbers

    jitter.set_random_state(0)
    sample = {"image": torch.full((3, 4, 4), 0.5), "label": torch.ones(1, 4, 4)}
    found = jitter(dict(sample))
    channels = torch.as_tensor(found["image"]).unique(dim=1)[:, 0, 0]
    assert len(set(channels.tolist())) == 3
    assert ((channels >= 0.4) & (channels <= 0.6)).all()
    assert torch.equal(found["label"], sample["label"])
