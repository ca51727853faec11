# SPDX-License-Identifier: Apache-2.0
"""The real, freely licensed sets: they are read as they lie, and their known peculiarities come out right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from monai.transforms import LoadImaged

from sa2_monai.data import (
    Image2DReader,
    image_size,
    list_images,
    load_datalist,
    load_parts,
    read_image,
    read_label,
)

pytestmark = pytest.mark.realdata

# (training, validation, test) as in shared/data/README.md
COUNTS = {
    "bbbc038_nuclei": (96, 16, 48),
    "chase_db1": (10, 2, 6),
    "isic2017_skin": (6, 1, 3),
    "kvasir_polyps": (72, 12, 36),
    "fives_sample": (5, 1, 3),
}


@pytest.mark.parametrize("name", list(COUNTS))
def test_real_set_is_read_and_passes_the_checks(real_data: Path, name: str) -> None:
    parts = {s: load_datalist(real_data / name, s, in_channels=3) for s in ("training", "validation", "test")}
    assert tuple(len(p) for p in parts.values()) == COUNTS[name]
    case = parts["test"][0]
    image, label = read_image(case["image"], 3), read_label(case["label"])
    assert image.shape[:2] == label.shape == image_size(case["image"])
    assert set(np.unique(label)) == {0, 255}
    loader = LoadImaged("image", reader=Image2DReader(channels=3), ensure_channel_first=True, image_only=True)
    array = loader(case)["image"].numpy()
    np.testing.assert_array_equal(array, image.transpose(2, 1, 0) / np.float32(255))


def test_nuclei(real_data: Path) -> None:
    folder = real_data / "bbbc038_nuclei"
    cases = load_datalist(folder, "test", class_names=("background", "nucleus"))
    for case in cases[:12]:
        np.testing.assert_array_equal(read_label(case["label"]) > 0, read_label(case["instances"]) > 0)
        assert read_image(case["image"]).shape[2] == (3 if case["case"].startswith("he_") else 1)
    assert len(list_images(folder)) == 160
    folds = [load_parts(folder, fold=k) for k in range(5)]
    assert [len(f["validation"]) for f in folds] == [20, 19, 19, 19, 19]
    assert len({c["case"] for f in folds for c in f["validation"]}) == 96
    assert all(f["test"] == folds[0]["test"] for f in folds)


def test_skin_labels_have_their_own_names(real_data: Path) -> None:
    case = load_datalist(real_data / "isic2017_skin", "test")[0]
    assert Path(case["label"]).name == f"{case['case']}_segmentation.png"
    assert "instances" not in case


def test_volumes_are_refused_clearly(real_data: Path) -> None:
    classes = ("background", "Anterior", "Posterior")
    with pytest.raises(ValueError, match=r"unreadable image files .*\n.*nii\.gz: is a gzip file, expected PNG"):
        load_datalist(real_data / "msd_hippocampus", "validation", class_names=classes)
    with pytest.raises(ValueError, match=r"value 2 \(Posterior\) belongs to no class"):
        load_datalist(real_data / "msd_hippocampus", "validation", class_names=("background", "foreground"))
    with pytest.raises(ValueError, match="'labels' contradict class_names"):
        load_datalist(real_data / "msd_hippocampus", "validation", class_names=("background", "posterior", "anterior"))
