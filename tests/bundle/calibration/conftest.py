# SPDX-License-Identifier: Apache-2.0
"""One bundle that is calibrated once."""

from __future__ import annotations

from pathlib import Path

import pytest

from sa2_monai.bundle.calibration.run import calibrate_run
from tests.bundle.calibration.made_data import (
    Calibrated,
    made_data,
    sure,
    write_image,
)


@pytest.fixture(scope="session")
def calibrated(glands_bundle: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Calibrated:
    """Images of another size than the network's, one output channel."""
    place = tmp_path_factory.mktemp("calibrated")
    bundle = sure(glands_bundle[0], place / "bundle")
    made_data(bundle, place / "data", write_image)
    document, folder = calibrate_run(bundle, place / "data", device="cpu")
    assert folder == bundle / "eval"
    return Calibrated(bundle, place / "data", document)
