# SPDX-License-Identifier: Apache-2.0
"""Masks of own folders from training to the scores: pixels without a label, and masks in JPEG files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_tools import BUNDLES, Merge, error_chain, read_json, resolved, run
from PIL import Image

# MONAI announces each list of files that it is given as a warning.
pytestmark = pytest.mark.filterwarnings("ignore:parsing (config|meta)_file:UserWarning")
SIZE = (48, 40)


def folder_of(where: Path, suffix: str, void: int | None) -> Path:
    """Six images with a bright object; of the right fifth nothing is known where there is a ``void`` value."""
    for part, count in (("train", 3), ("val", 1), ("test", 2)):
        for name in ("images", "labels"):
            (where / part / name).mkdir(parents=True)
        for number in range(count):
            inside = np.zeros(SIZE, bool)
            inside[8 + number : 30, 5:22] = True
            image = np.where(inside, 200, 40).astype(np.uint8)
            Image.fromarray(np.dstack([image] * 3)).save(where / part / "images" / f"{part}{number}.png")
            label = inside * np.uint8(255 if void is None else 1)
            if void is not None:
                label[:, 32:] = void
            Image.fromarray(label).save(where / part / "labels" / f"{part}{number}.{suffix}", quality=75)
    return where


def rows_of(output: Path) -> list[dict[str, str]]:
    with (output / "metrics_per_case.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def options(root: Path, data: Path, **more: Any) -> dict[str, Any]:
    return {"bundle_root": str(root), "dataset_dir": str(data), "max_epochs": 1, "cache_rate": 0.0, **more}


def test_pixels_without_a_label_count_in_no_loss_and_no_score(tmp_path: Path) -> None:
    data = folder_of(tmp_path / "data", "png", void=255)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - MONAI wraps it in a type of its own
        run("sa2net", "train", "folder", **options(tmp_path, data))
    assert "set ignore_value to 255 where it marks pixels without a label" in error_chain(caught.value)
    known = options(tmp_path, data, ignore_value=255)
    run("sa2net", "train", "folder", **known)
    assert (tmp_path / "models" / "model.pt").is_file()
    run("sa2net", "train", "folder", "evaluate", **known)
    assert read_json(tmp_path / "eval" / "metrics_summary.json")["cases"] == 2
    for number, row in enumerate(rows_of(tmp_path / "eval")):
        assert float(row["voxels_ref"]) == (30 - 8 - number) * 17
        assert float(row["voxels_pred"]) <= SIZE[0] * 32


def test_masks_in_jpeg_files(tmp_path: Path) -> None:
    data = folder_of(tmp_path / "data", "jpg", void=None)
    known = options(tmp_path, data, label_values="threshold")
    run("sa2net", "train", "folder", **known)
    run("sa2net", "train", "folder", "evaluate", **known)
    for number, row in enumerate(rows_of(tmp_path / "eval")):
        assert float(row["voxels_ref"]) == (30 - 8 - number) * 17


@pytest.mark.parametrize("bundle", BUNDLES)
@pytest.mark.parametrize(("void", "index"), [(None, 255), (255, 255), (200, 200), (-1, 255)])
def test_loss_and_score_leave_out_what_the_labels_mark(bundle: str, void: int | None, index: int) -> None:
    config = Merge(bundle, ("train", "folder")).load() | {"ignore_value": void, "device": "cpu"}
    metric, mapping = resolved(
        config, "validate::key_metric::val_mean_dice::metric_fn", "validate::preprocessing::transforms::2"
    )
    assert metric.ignore_value == void
    assert mapping.ignore_value == void
    if bundle == "svanet":  # its augmentation marks with 255 what lies outside of the image
        assert config["losses"]["cross_entropy"]["ignore_index"] == 255
        return
    loss = {"sa2net": "losses::bce_dice"}.get(bundle, "losses::cross_entropy")
    assert resolved(config, loss)[0].ignore_index == index
