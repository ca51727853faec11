# SPDX-License-Identifier: Apache-2.0
"""FIVES: five classes by the disease of the eye, vessels alone, and parts that share file names."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sa2_monai.data import dataset_classes, load_datalist, load_parts, read_label
from sa2_monai.data.datasets.fives import FIVES_CLASSES, fives_parts
from tests.support.miniatures.images import fives, save

BASE = "FIVES A Fundus Image Dataset for AI-based Vessel Segmentation"


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    folder = tmp_path / "downloads" / "fives"  # nothing else lies in the folder above it
    folder.mkdir(parents=True)
    fives(folder)
    return folder


@pytest.mark.parametrize("dataset", ["fives", "fives_vessels"])
def test_parts_share_names_and_are_never_mixed(mini: Path, dataset: str, caplog: pytest.LogCaptureFixture) -> None:
    parts = {s: load_datalist(mini, s, dataset, in_channels=3) for s in ("training", "validation", "test")}
    assert "8 training images, the published data set has 600" in caplog.text
    assert "4 test images, the published data set has 200" in caplog.text
    assert [len(part) for part in parts.values()] == [6, 2, 4]
    assert [case["case"] for case in parts["test"]] == ["1_D_test", "2_G_test", "3_N_test", "4_A_test"]
    for part, cases in parts.items():
        folder = "test" if part == "test" else "train"
        for case in cases:
            number = case["case"].removesuffix(f"_{folder}")
            assert case["image"] == str(mini / BASE / folder / "Original" / f"{number}.png")
            mask = np.asarray(Image.open(mini / BASE / folder / "Ground truth" / f"{number}.png"))
            value = 255 if dataset == "fives_vessels" else {"A": 1, "D": 2, "G": 3, "N": 4}[number[-1]]
            np.testing.assert_array_equal(read_label(case["label"]), np.where(mask == 255, value, 0))


def test_the_test_part_alone_is_scored_but_never_trained_on(mini: Path) -> None:
    shutil.rmtree(mini / BASE / "train")
    assert len(load_datalist(mini.parent, "test", "fives")) == 4  # two levels below
    with pytest.raises(
        ValueError, match=r"no training cases \(0 .* 4 test\); unpack the training part of 'fives', too"
    ):
        load_datalist(mini, "training", "fives")


def test_classes(mini: Path) -> None:
    assert dataset_classes(mini, "fives") == (list(FIVES_CLASSES), {k: k for k in range(5)})
    assert dataset_classes(mini, "fives_vessels") == (["background", "vessel"], {0: 0, 1: 1, 255: 1})


def test_a_changed_mask_is_read_again(mini: Path) -> None:
    case = load_parts(mini, "fives")["test"][0]
    label = Path(case["label"])
    assert label == mini / ".sa2_monai" / "groups" / "1_D_test.png"
    made = label.stat().st_mtime_ns
    load_parts(mini, "fives")
    assert label.stat().st_mtime_ns == made
    save(mini / BASE / "test" / "Ground truth" / "1_D.png", np.full((40, 48), 255, np.uint8))
    load_parts(mini, "fives")
    assert (read_label(label) == 2).all()
    label.write_bytes(b"damaged")
    load_parts(mini, "fives")
    assert (read_label(label) == 2).all()
    # Both layouts, and two copies that share a cache, keep their label maps apart.
    assert Path(load_parts(mini, "fives_vessels")["test"][0]["label"]).parent.name == "vessels"
    copy = mini / "copy"
    shutil.copytree(mini / BASE, copy / BASE)
    labels = [load_parts(folder, "fives", cache_dir=mini / "c")["test"][0]["label"] for folder in (mini / BASE, copy)]
    assert labels[0] != labels[1]
    assert all(Path(name).is_relative_to(mini / "c") for name in labels)


def test_one_part_alone(mini: Path) -> None:
    shutil.rmtree(mini / BASE / "train")
    assert len(load_datalist(mini, "test", "fives", in_channels=3)) == 4
    with pytest.raises(ValueError, match="no training cases"):
        load_datalist(mini, "training", "fives")


def test_folder_names_may_differ_in_case(mini: Path) -> None:
    for part in ("train", "test"):
        (mini / BASE / part / "Ground truth").rename(mini / BASE / part / "Ground Truth")
    assert len(load_parts(mini / BASE, "fives")["test"]) == 4


def test_errors(mini: Path, tmp_path: Path) -> None:
    for folder in ("Original", "Ground truth"):
        (mini / BASE / "train" / folder / "1_D.png").rename(mini / BASE / "train" / folder / "1_x.png")
    assert len(load_parts(mini, "fives_vessels")["test"]) == 4
    with pytest.raises(ValueError, match=r"(?s)file names without the letter of a group \(1\).*1_x\.png"):
        fives_parts(mini)
    (mini / BASE / "test" / "Ground truth" / "2_G.png").unlink()
    with pytest.raises(ValueError, match=r"(?s)images without a label \(1\).*2_G\.png"):
        fives_parts(mini)
    shutil.rmtree(mini / BASE / "test" / "Ground truth")
    with pytest.raises(ValueError, match=r"(?s)missing folders \(1\).*test/Ground truth"):
        fives_parts(mini)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="has no folders train/Original and test/Original"):
        fives_parts(tmp_path / "empty")


@pytest.mark.realdata
def test_real_fundus_in_the_original_layout(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "fives_sample"
    files = sorted(path.name for path in (source / "images").iterdir())
    for part, members in (("train", files[:6]), ("test", files[6:])):
        for kind, folder in (("images", "Original"), ("labels", "Ground truth")):
            (tmp_path / part / folder).mkdir(parents=True)
            for name in members:
                (tmp_path / part / folder / name).symlink_to(source / kind / name)
    test = load_datalist(tmp_path, "test", "fives", in_channels=3, cache_dir=tmp_path / "cache")
    assert [case["case"] for case in test] == [f"{Path(name).stem}_test" for name in files[6:]]
    for case in test:
        truth = read_label(source / "labels" / Path(case["image"]).name)
        label = read_label(case["label"])
        assert set(np.unique(label)) == {0, 1}  # all of the sample have age-related macular degeneration
        np.testing.assert_array_equal(label == 1, truth == 255)
