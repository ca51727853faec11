# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all tests: threads, real data, the generated sample."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first: at the end they would leave the other processes idle."""
    items.sort(key=lambda item: item.path.parent.name != "tools")


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


@pytest.fixture
def untraced() -> Iterator[None]:
    """No measurement of coverage: exporters run much of PyTorch's own Python and would take twice the time."""
    tracer = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(tracer)
