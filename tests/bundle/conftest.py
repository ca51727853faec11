# SPDX-License-Identifier: Apache-2.0
"""Small trained models, and the stand-alone bundles that are made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sa2_monai.bundle import find_bundle, package_bundle
from tests.support.small_models import GLANDS, HEART, save_model, script_in_process


@pytest.fixture(scope="session")
def glands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a narrow SA2-Net for images."""
    return save_model(tmp_path_factory.mktemp("glands") / "model.pt", GLANDS)


@pytest.fixture(scope="session")
def heart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a narrow HSA-UNet for volumes."""
    return save_model(tmp_path_factory.mktemp("heart") / "model.pt", HEART)


@pytest.fixture(scope="session")
def glands_bundle(glands: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Packaged bundle of ``glands``, folder and zip file."""
    out = tmp_path_factory.mktemp("packaged")
    with pytest.MonkeyPatch.context() as patch:
        script_in_process(patch)
        folder, archive = package_bundle(find_bundle("sa2net"), glands, out, dataset="glas", make_zip=True)
    return folder, archive


@pytest.fixture(scope="session")
def heart_bundle(heart: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packaged bundle of ``heart``."""
    with pytest.MonkeyPatch.context() as patch:
        script_in_process(patch)
        (folder,) = package_bundle(
            find_bundle("hsaunet"), heart, tmp_path_factory.mktemp("packaged"), dataset="acdc", version="0.2.0"
        )
    return folder
