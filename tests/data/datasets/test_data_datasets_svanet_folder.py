# SPDX-License-Identifier: Apache-2.0
"""SvANet's folders: one mask folder for all parts, palette masks, 255 ignored."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sa2_monai.data import dataset_classes, load_datalist, load_parts, read_label
from sa2_monai.data.datasets.svanet_folder import svanet_folder_parts
from tests.support.miniatures.images import save, spermhealth, svanet_folder


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    svanet_folder(tmp_path)
    return tmp_path


def test_own_parts(mini: Path) -> None:
    parts = {s: load_datalist(mini, s, "svanet_folder", in_channels=3) for s in ("training", "validation", "test")}
    assert [[case["case"] for case in part] for part in parts.values()] == [
        [f"im{n}" for n in range(1, 9)],
        ["im10", "im9"],
        ["im11", "im12"],
    ]
    case = parts["test"][0]
    assert case["label"] == str(mini / "mask" / "im11.png")
    with Image.open(case["label"]) as image:
        assert image.mode == "P"
    assert set(np.unique(read_label(case["label"]))) == {0, 1, 255}


def test_published_split_and_single_parts(mini: Path) -> None:
    published = load_parts(mini, "svanet_folder", split="published")
    assert {s: len(p) for s, p in published.items()} == {"training": 6, "validation": 2, "test": 2}
    assert [case["case"] for case in published["test"]] == ["im11", "im12"]
    for name in ("im11", "im12"):
        (mini / "mask" / f"{name}.png").unlink()
    shutil.rmtree(mini / "test")
    for split in (None, "published"):
        parts = load_parts(mini, "svanet_folder", split=split)
        assert {s: len(p) for s, p in parts.items()} == {"training": 6, "validation": 2, "test": 2}
        assert [case["case"] for case in parts["test"]] == ["im10", "im9"]
    for name in ("im9", "im10"):
        (mini / "mask" / f"{name}.png").unlink()
    shutil.rmtree(mini / "val")
    assert [len(p) for p in load_parts(mini, "svanet_folder").values()] == [4, 2, 2]


def test_spermhealth_has_three_classes(tmp_path: Path) -> None:
    spermhealth(tmp_path)
    assert dataset_classes(tmp_path, "spermhealth") == (["background", "normal", "abnormal"], {0: 0, 1: 1, 2: 2})
    training = load_datalist(tmp_path, "training", "spermhealth", in_channels=3)
    assert set(np.unique([read_label(case["label"]) for case in training])) == {0, 1, 2, 255}
    with pytest.raises(ValueError, match=r"(?s)label values outside the table \{0: 0, 1: 1\} .*: 2\n"):
        load_datalist(tmp_path, "training", "svanet_folder")
    assert load_datalist(tmp_path, "training", "svanet_folder", class_names=("background", "a", "b")) == training


def test_white_is_ignored_and_no_class(mini: Path) -> None:
    assert dataset_classes(mini, "svanet_folder") == (["background", "foreground"], {0: 0, 1: 1})
    assert dataset_classes(mini, "svanet_folder", ["background", "lesion"])[1] == {0: 0, 1: 1}
    for path in (mini / "mask").iterdir():
        save(path, np.where(read_label(path) == 1, 255, 0).astype(np.uint8))
    with pytest.raises(ValueError, match="labels with the values 0 and 255 only, of which 255 is ignored"):
        load_datalist(mini, "training", "svanet_folder")


def test_images_of_one_name_are_refused(mini: Path) -> None:
    shutil.copy(mini / "test" / "im11.jpg", mini / "train" / "im11.jpg")
    with pytest.raises(ValueError, match=r"(?s)would share one mask \(2\).*train/im11\.jpg.*test/im11\.jpg"):
        svanet_folder_parts(mini)


def test_errors(mini: Path) -> None:
    with pytest.raises(ValueError, match="split is 'x', expected one of own-parts, published"):
        load_parts(mini, "svanet_folder", split="x")
    (mini / "mask" / "im1.png").unlink()
    (mini / "val" / "im9.jpg").unlink()
    with pytest.raises(
        ValueError, match=r"(?s)images without a label \(1\).*im1\.jpg.*without an image \(1\).*im9\.png"
    ):
        load_parts(mini, "svanet_folder")
    shutil.rmtree(mini / "mask")
    with pytest.raises(FileNotFoundError, match="mask: no such folder; expected train/, val/ or test/"):
        load_parts(mini, "svanet_folder")
