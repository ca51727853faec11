# SPDX-License-Identifier: Apache-2.0
"""Folders that tests of all kinds read: the checkout, the real data sets, the generated sample.

Why: a test must not know where it stands in the tree, and real data are looked for in one way, skipped with one reason.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; the test is skipped with the reason where there is none."""
    root = Path(os.environ.get("SA2_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (root / "bbbc038_nuclei" / "dataset.json").is_file():
        pytest.skip(f"no real data: {root} has no bbbc038_nuclei/dataset.json (set SA2_DATA to the folder that has it)")
    return root


@pytest.fixture(scope="session")
def sample_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small generated microscopy set, 128x128, with training, validation and test parts."""
    from sa2_monai.data import make_sample

    folder = tmp_path_factory.mktemp("sample") / "nuclei"
    make_sample(folder, seed=0, num_training=8, num_validation=4, num_test=4, size=(128, 128))
    return folder
