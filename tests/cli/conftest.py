# SPDX-License-Identifier: Apache-2.0
"""Images and volumes with a small model for each."""

from __future__ import annotations

from pathlib import Path

import pytest

from sa2_monai.data import make_sample, make_sample_volumes
from tests.support.small_models import GLANDS, HEART, save_model


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    make_sample(folder / "images", seed=3, num_training=1, num_validation=0, num_test=1, size=(48, 72))
    make_sample_volumes(folder / "volumes", seed=3, num_training=1, num_validation=0, num_test=0, size=(40, 36, 8))
    save_model(folder / "images.pt", GLANDS)
    save_model(folder / "volumes.pt", HEART)
    return folder
