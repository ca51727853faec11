# SPDX-License-Identifier: Apache-2.0
"""Small data and small trained bundles that several files of tests use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bundle_tools import run
from monai.utils import set_determinism

from sa2_monai.data import make_sample


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated data set of 4 training, 2 validation and 2 test images, 48 x 40 (H x W)."""
    folder = tmp_path_factory.mktemp("bundle_data") / "nuclei"
    make_sample(folder, seed=0, num_training=4, num_validation=2, num_test=2, size=(48, 40))
    return folder


@pytest.fixture(scope="session")
def bundle() -> str:
    """Name of the bundle that stands for all on images: their texts are held equal (test_bundles_same_text.py)."""
    return "sa2net"


@pytest.fixture(scope="session")
def trained(bundle: str, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Function that trains a bundle on ``images`` once per view and returns its root, with models/ and eval/.

    Long enough that predictions hold both classes: equal masks of nothing would prove nothing.
    """
    roots: dict[str, Path] = {}

    def train(view: str) -> Path:
        if view not in roots:
            roots[view] = tmp_path_factory.mktemp(f"{bundle}_{view}")
            run(
                *(bundle, "train", "sample"),
                bundle_root=str(roots[view]),
                dataset_dir=str(images),
                view=view,
                max_epochs=16,
                learning_rate=2.0e-2,
            )
            set_determinism(None)
        return roots[view]

    return train


@pytest.fixture(autouse=True)
def unchanged_process() -> Iterator[None]:
    """Runs set seeds, determinism and the level of MONAI's loggers; the next test shall not inherit that."""
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)
    set_determinism(None)
