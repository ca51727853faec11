# SPDX-License-Identifier: Apache-2.0
"""ISIC 2018 task 1: the archives as unpacked, the published cut, and the arrays of Awesome-U-Net."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sa2_monai.data import dataset_classes, load_datalist, load_parts, read_image, read_label
from sa2_monai.data.datasets.isic2018 import isic2018_parts, published_cut
from sa2_monai.data.preparation import image_arrays as array_module
from tests.support.miniatures.images import isic2018, isic2018_arrays

INPUT, TRUTH = "ISIC2018_Task1-2_{}_Input", "ISIC2018_Task1_{}_GroundTruth"


@pytest.fixture
def isic(tmp_path: Path) -> Path:
    isic2018(tmp_path)
    return tmp_path


def names(cases: list[dict[str, Any]]) -> list[str]:
    return [case["case"] for case in cases]


def test_official_parts(isic: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = {s: load_datalist(isic, s, "isic2018", in_channels=3) for s in ("training", "validation", "test")}
    for text in ("10 training", "2 validation", "2 test"):
        assert f"{text} images, the published data set has" in caplog.text
    assert [len(part) for part in parts.values()] == [10, 2, 2]
    assert names(parts["training"]) == [f"ISIC_{n:07d}" for n in range(24306, 24316)]
    case = parts["test"][0]
    assert case == {
        "case": "ISIC_0024318",
        "image": str(isic / INPUT.format("Test") / "ISIC_0024318.jpg"),
        "label": str(isic / TRUTH.format("Test") / "ISIC_0024318_segmentation.png"),
    }
    assert dataset_classes(isic, "isic2018") == (["background", "lesion"], {0: 0, 1: 1, 255: 1})


def test_archives_that_unpack_one_level_deeper(isic: Path) -> None:
    flat = load_parts(isic, "isic2018")
    for folder in sorted(isic.iterdir()):
        # One archive in a folder of its own name, the others beside each other.
        inner = folder.name if "Training_Input" in folder.name else "unpacked"
        moved = folder.rename(isic / "moving")
        (isic / inner).mkdir(exist_ok=True)
        moved.rename(isic / inner / folder.name)
    assert {s: names(p) for s, p in load_parts(isic, "isic2018").items()} == {s: names(p) for s, p in flat.items()}


def test_superpixels_are_no_images(isic: Path) -> None:
    Image.new("RGB", (4, 4)).save(isic / INPUT.format("Training") / "ISIC_0024306_superpixels.png")
    assert len(load_parts(isic, "isic2018")["training"]) == 10


def test_parts_that_are_not_there_are_held_out(isic: Path) -> None:
    shutil.rmtree(isic / INPUT.format("Validation"))
    shutil.rmtree(isic / TRUTH.format("Validation"))
    parts = load_parts(isic, "isic2018")
    assert {s: len(p) for s, p in parts.items()} == {"training": 8, "validation": 2, "test": 2}
    assert names(parts["test"]) == ["ISIC_0024318", "ISIC_0024319"]


@pytest.mark.parametrize(
    ("number", "expected"), [(2594, (1815, 259, 520)), (10, (7, 1, 2)), (11, (7, 1, 3)), (100, (70, 10, 20))]
)
def test_published_cut(number: int, expected: tuple[int, int, int]) -> None:
    cases = [{"case": f"{n:07d}"} for n in range(number)]
    parts = published_cut(cases)
    assert tuple(len(part) for part in parts.values()) == expected
    assert [case for part in parts.values() for case in part] == cases


def test_published_like_cuts_the_sorted_training_images(isic: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = load_parts(isic, "isic2018", split="published-like")
    assert names(parts["validation"]) == ["ISIC_0024313"]
    assert names(parts["test"]) == ["ISIC_0024314", "ISIC_0024315"]
    assert "test images" not in caplog.text


def test_arrays_are_unpacked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    isic2018_arrays(tmp_path)
    with caplog.at_level(logging.INFO):
        parts = load_parts(tmp_path, "isic2018")
    assert "10 images are unpacked" in caplog.text
    assert {s: len(p) for s, p in parts.items()} == {"training": 7, "validation": 1, "test": 2}
    assert names(parts["test"]) == ["isic_0008", "isic_0009"]
    case = load_datalist(tmp_path, "validation", "isic2018", in_channels=3)[0]
    stored = np.load(tmp_path / "X_tr_224x224.npy")[7].transpose(1, 2, 0)
    np.testing.assert_array_equal(read_image(case["image"]), stored)
    label = read_label(case["label"])
    assert label.shape == (32, 32)
    assert set(np.unique(label)) == {0, 255}
    np.testing.assert_array_equal(np.argwhere(label)[[0, -1]], [[8, 10], [19, 23]])
    with monkeypatch.context() as patched:
        patched.setattr(array_module, "write_png", lambda *args: pytest.fail("unpacked again"))
        assert load_parts(tmp_path, "isic2018", split="published-like") == parts
    cache = tmp_path / "cache"
    elsewhere = load_parts(tmp_path, "isic2018", cache_dir=cache)["test"][0]
    assert Path(elsewhere["image"]).is_relative_to(cache)


@pytest.mark.parametrize(
    ("unpacked", "masks", "largest"),
    [
        (np.full((10, 6, 8, 3), 200, np.uint8), np.full((10, 6, 8), 255, np.uint8), 200),
        (np.full((10, 6, 8, 3), 51.0), np.ones((10, 6, 8, 1), bool), np.float32(0.2)),
        (np.full((10, 3, 6, 8), 1.0000001, np.float32), np.full((10, 1, 6, 8), 200.0), np.float32(1)),
    ],
)
def test_forms_of_arrays(tmp_path: Path, unpacked: np.ndarray, masks: np.ndarray, largest: Any) -> None:
    masks[0] = 0 if masks.dtype.kind != "f" else np.nan  # an empty mask that was divided by its own range
    np.save(tmp_path / "X_tr_8x6.npy", unpacked)
    np.save(tmp_path / "Y_tr_8x6.npy", masks)
    cases = load_datalist(tmp_path, "training", "isic2018", in_channels=3)
    image = np.load(cases[1]["image"])
    assert image.shape == (6, 8, 3)
    assert image.dtype == (np.uint8 if unpacked.dtype == np.uint8 else np.float32)
    assert image.max() == largest
    assert not read_label(cases[0]["label"]).any()
    assert (read_label(cases[1]["label"]) == 255).all()


ARRAY_ERRORS = [
    ((10, 6, 8), (10, 6, 8), r"X_tr_1\.npy: has the shape \(10, 6, 8\), expected \(N, 3, H, W\)"),
    ((10, 3, 6, 8), (10, 2, 6, 8), r"Y_tr_1\.npy: has the shape \(10, 2, 6, 8\), expected \(N, H, W\)"),
    ((10, 3, 6, 8), (9, 6, 8), r"Y_tr_1\.npy: has the shape \(9, 6, 8\), expected \(10, 6, 8\) as X_tr_1"),
    ((4, 3, 6, 8), (4, 6, 8), "4 training images cannot be cut 70/10/20"),
]


@pytest.mark.parametrize(("images", "masks", "message"), ARRAY_ERRORS)
def test_arrays_of_wrong_shape(tmp_path: Path, images: tuple[int, ...], masks: tuple[int, ...], message: str) -> None:
    np.save(tmp_path / "X_tr_1.npy", np.zeros(images))
    np.save(tmp_path / "Y_tr_1.npy", np.zeros(masks))
    with pytest.raises(ValueError, match=message):
        load_parts(tmp_path, "isic2018")


def test_array_errors(tmp_path: Path) -> None:
    np.save(tmp_path / "X_tr_1.npy", np.full((10, 3, 4, 4), -3.0))
    with pytest.raises(FileNotFoundError, match=r"Y_tr_1\.npy: no such file; it holds the masks of X_tr_1\.npy"):
        load_parts(tmp_path, "isic2018")
    np.save(tmp_path / "Y_tr_1.npy", np.zeros((10, 4, 4)))
    with pytest.raises(ValueError, match=r"X_tr_1\.npy: has values from -3 to -3, expected \[0, 1\]"):
        load_parts(tmp_path, "isic2018")
    with pytest.raises(ValueError, match="holds the training images only; split 'official' needs the files"):
        load_parts(tmp_path, "isic2018", split="official")
    np.save(tmp_path / "X_tr_1.npy", np.array(["a"]))
    with pytest.raises(ValueError, match=r"X_tr_1\.npy: holds <U1 of shape \(1,\), expected numbers"):
        load_parts(tmp_path, "isic2018")
    (tmp_path / "X_tr_1.npy").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"X_tr_1\.npy: cannot be read as an array"):
        load_parts(tmp_path, "isic2018")
    np.save(tmp_path / "X_tr_2.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"has X_tr_1\.npy, X_tr_2\.npy, expected one of them"):
        load_parts(tmp_path, "isic2018")


def test_errors(isic: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="split is 'random', expected one of official, published-like"):
        load_parts(isic, "isic2018", split="random")
    shutil.rmtree(isic / TRUTH.format("Validation"))
    shutil.rmtree(isic / INPUT.format("Test"))
    with pytest.raises(
        ValueError, match=r"(?s)missing folders \(2\).*Task1_Validation_GroundTruth.*Task1-2_Test_Input"
    ):
        isic2018_parts(isic)
    shutil.rmtree(isic / INPUT.format("Validation"))
    shutil.rmtree(isic / TRUTH.format("Test"))
    (isic / TRUTH.format("Training") / "ISIC_0024307_segmentation.png").unlink()
    with pytest.raises(ValueError, match=r"(?s)images without a label \(1\).*ISIC_0024307\.jpg"):
        isic2018_parts(isic)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="has no folders ISIC2018_Task1-2_Training_Input and"):
        isic2018_parts(tmp_path / "empty")


@pytest.mark.realdata
def test_real_lesions_in_the_original_layout(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "isic2017_skin"
    images, labels = tmp_path / INPUT.format("Training"), tmp_path / TRUTH.format("Training")
    images.symlink_to(source / "images")
    labels.symlink_to(source / "labels")
    parts = {s: load_datalist(tmp_path, s, "isic2018", in_channels=3) for s in ("training", "validation", "test")}
    assert [len(part) for part in parts.values()] == [6, 2, 2]
    like = load_parts(tmp_path, "isic2018", split="published-like")
    assert names(like["test"]) == ["ISIC_0016003", "ISIC_0016064"]
    shares = [float((read_label(case["label"]) == 255).mean()) for part in parts.values() for case in part]
    assert all(0 < share < 1 for share in shares)
