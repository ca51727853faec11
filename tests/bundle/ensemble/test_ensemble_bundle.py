# SPDX-License-Identifier: Apache-2.0
"""Several runs as one bundle: its labels are those of the mean of the probabilities, wherever a bundle can be used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import monai.bundle
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from PIL import Image

from sa2_monai import load_bundle
from sa2_monai.bundle import package_bundle
from sa2_monai.bundle.ensemble.members import find_members
from sa2_monai.bundle.ensemble.open import open_bundles
from sa2_monai.cli.main import main
from sa2_monai.data import make_sample, read_label
from tests.support.small_models import GLANDS, save_model, script_in_process

pytestmark = pytest.mark.filterwarnings("ignore:parsing (config|meta)_file:UserWarning")


@pytest.fixture(scope="module")
def members(glands_bundle: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two bundles of one architecture with different weights, as the folds of a cross-validation."""
    place = tmp_path_factory.mktemp("folds")
    folders = [shutil.copytree(glands_bundle[0], place / f"fold{index}") for index in range(2)]
    weights = torch.load(folders[1] / "models" / "model.pt", weights_only=True)
    generator = torch.Generator().manual_seed(5)
    for name, value in weights.items():
        if name.endswith("weight"):
            weights[name] = value * (1 + 0.2 * torch.randn(value.shape, generator=generator))
    from sa2_monai.weights import save_weights

    save_weights(weights, folders[1] / "models" / "model.pt", {**GLANDS, "epoch": 3})
    return folders


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(3)
    for index in range(2):
        smooth = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((40 + 8 * index, 36))
        smooth.save(folder / f"image{index}.png")
    return folder


def probabilities(bundle: Any, images: Path, out: Path) -> np.ndarray:
    load_bundle(bundle, device="cpu").predict(images, out, save_probabilities=True)
    return np.stack([np.asarray(Image.open(file), float).reshape(-1)[:1000] for file in sorted(out.glob("*_prob*"))])


def test_equal_members_are_one(members: list[Path], images: Path) -> None:
    one, both = (load_bundle(path, device="cpu").predict(images) for path in (members[0], [members[0]] * 3))
    assert all(np.array_equal(first, second) for first, second in zip(one, both, strict=True))
    assert any(0 < label.mean() < 1 for label in one)
