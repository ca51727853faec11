# SPDX-License-Identifier: Apache-2.0
"""SegPC-2021: crops with and without the published defects, splits, the folders that are read."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from sa2_monai.data import DATASETS, Image2DReader, load_datalist, load_parts, read_image, read_label
from sa2_monai.data.dataset import ListOptions
from sa2_monai.data.preparation.segpc_cells import SPLITS, cell_sections, raw_cells
from sa2_monai.data.preparation.segpc_crops import FRAME, SIZE, bilinear, crop_cell, nearest
from sa2_monai.data.prepare import prepare_dataset
from tests.support.miniatures import MINI

RNG = np.random.RandomState(0)
IMAGE = RNG.randint(0, 256, (*FRAME, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segpc")
    MINI["segpc_raw"](folder)
    return folder


@pytest.fixture(scope="module")
def crops(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crops")
    prepare_dataset("segpc", raw, folder, progress=False)
    return folder


def mask_of(nucleus: tuple[int, int, int, int], cytoplasm: tuple[int, int, int, int]) -> np.ndarray:
    """Mask of two boxes (first row, first column, height, width)."""
    mask = np.zeros(FRAME, np.uint8)
    for value, (row, column, height, width) in ((20, cytoplasm), (40, nucleus)):
        mask[row : row + height, column : column + width] = value
    return mask


# --- crops ---

# nucleus (first row, first column, height, width); margins by hand: round(2.5 * 21 / 2) = 26, round(2.5 * 30 / 2) = 38
TEST_CASE_SMALL = [
    ((500, 700, 21, 30), (26, 38)),
    ((5, 700, 21, 30), (26, 38)),
    ((1050, 1405, 21, 30), (26, 38)),
    ((0, 0, 22, 46), (28, 58)),  # 27.5 and 57.5 become the even number
    ((300, 2, 18, 26), (22, 32)),  # 22.5 and 32.5, too
]


@pytest.mark.parametrize(("nucleus", "margins"), TEST_CASE_SMALL)
def test_small_cells_stay_where_they_are(nucleus: tuple[int, int, int, int], margins: tuple[int, int]) -> None:
    row, column, height, width = nucleus
    mask = mask_of(nucleus, (max(row - 10, 0), max(column - 12, 0), height + 15, width + 15))
    crop = crop_cell(IMAGE, mask)
    assert crop is not None
    # Independently: on an endless black canvas.
    around = 200
    canvas = np.pad(IMAGE, ((around, around), (around, around), (0, 0)))
    labels = np.pad(mask, around)
    rows = slice(around + row - margins[0], around + row + height + margins[0])
    columns = slice(around + column - margins[1], around + column + width + margins[1])
    sides = (height + 2 * margins[0], width + 2 * margins[1])
    top, left = (round((SIZE - side) / 2) for side in sides)
    inside = (slice(top, top + sides[0]), slice(left, left + sides[1]))
    np.testing.assert_array_equal(crop.rgb[inside], canvas[rows, columns])
    np.testing.assert_array_equal(crop.nucleus[inside], np.where(labels[rows, columns] >= 40, 255, 0))
    np.testing.assert_array_equal(crop.label[inside], labels[rows, columns] >= 20)
    for array in crop:
        assert array.dtype == np.uint8
        assert array.shape[:2] == (SIZE, SIZE)
        assert np.count_nonzero(array) == np.count_nonzero(array[inside])  # nothing outside of it
    # The nucleus lies in the middle of the crop, also at the border of the image.
    middle = [(places.min() + places.max()) / 2 for places in np.nonzero(crop.nucleus)]
    np.testing.assert_allclose(middle, (SIZE - 1) / 2, atol=1)


def test_published_crops_are_displaced_at_the_border() -> None:
    mask = mask_of((5, 700, 21, 30), (0, 690, 40, 50))
    ours, published = crop_cell(IMAGE, mask), crop_cell(IMAGE, mask, published=True)
    assert ours is not None
    assert published is not None
    # 21 rows of the margin of 26 lie outside: pasted centred, the cell moves up by round(21 / 2).
    places = [np.nonzero(crop.nucleus)[0].min() for crop in (ours, published)]
    assert places[0] - places[1] == 21 - round(21 / 2)
    inner = mask_of((500, 700, 21, 30), (490, 690, 40, 50))
    for one, other in zip(crop_cell(IMAGE, inner), crop_cell(IMAGE, inner, published=True), strict=True):
        np.testing.assert_array_equal(one, other)


def test_large_cells_are_resized_and_the_published_sum_wraps() -> None:
    # Sides 128 + 2 * 160 = 448, twice the size: every new pixel is the mean of four.
    mask = mask_of((300, 400, 128, 128), (300, 400, 128, 128))
    mask[341:360, 441:460] = 20  # a hole with odd borders, so that both masks are half there: 128 + 128
    ours, published = crop_cell(IMAGE, mask), crop_cell(IMAGE, mask, published=True)
    assert ours is not None
    assert published is not None
    window = IMAGE[140:588, 240:688].astype(float)
    mean = window.reshape(SIZE, 2, SIZE, 2, 3).mean(axis=(1, 3))
    assert np.abs(ours.rgb - mean).max() <= 0.5
    expected = np.zeros((SIZE, SIZE), np.uint8)
    expected[80:144, 80:144] = 1
    np.testing.assert_array_equal(ours.label, expected)
    # The hole is 201 to 219 in the crop: its first row and column are half covered, the last ones fully.
    expected[100, 101:110] = expected[101:110, 100] = 0
    np.testing.assert_array_equal(published.label, expected)
    assert set(np.unique(ours.nucleus)) == {0, 128, 191, 255}


def test_aspect_is_not_kept() -> None:
    mask = mask_of((500, 300, 10, 128), (500, 300, 10, 128))
    crop = crop_cell(IMAGE, mask)
    assert crop is not None
    rows, columns = np.nonzero(crop.nucleus > 127)
    # 10 of 10 + 2 * round(12.5) = 34 rows, 128 of 448 columns.
    assert np.ptp(rows) + 1 == pytest.approx(224 * 10 / 34, abs=1)
    assert np.ptp(columns) + 1 == 64


def test_a_mask_without_nucleus_gives_nothing() -> None:
    assert crop_cell(IMAGE, mask_of((0, 0, 0, 0), (10, 10, 5, 5))) is None


@pytest.mark.parametrize("shape", [(96, 128), (1536, 2040)])
def test_resizing(shape: tuple[int, int]) -> None:
    array = RNG.randint(0, 256, shape).astype(np.uint8)
    factors = [new / old for new, old in zip(FRAME, shape, strict=True)]
    theirs = ndimage.zoom(array.astype(np.float64), factors, order=1, mode="nearest", grid_mode=True)
    ours = bilinear(array, FRAME)
    assert np.abs(ours - theirs).max() < 0.501
    window = (slice(7, 90), slice(1400, 1440))
    np.testing.assert_array_equal(bilinear(array, FRAME, window), ours[window])
    rows = nearest(np.repeat(np.arange(shape[0])[:, None], 2, axis=1), (FRAME[0], 2))[:, 0]
    distance = (rows + 0.5) / shape[0] - (np.arange(FRAME[0]) + 0.5) / FRAME[0]  # of the centres
    assert np.abs(distance).max() <= 0.5 / shape[0] + 1e-12
    published = nearest(array, FRAME, published=True)
    assert published[5, 9] == array[int(5 * shape[0] / 1080), int(9 * shape[1] / 1440)]


# --- splits ---


def names(train: int, validation: int, cells: int) -> list[str]:
    return sorted(
        f"{part}_{image}_{k}"
        for part, images in (("train", train), ("validation", validation))
        for image in range(images)
        for k in range(cells)
    )


def test_published_sizes() -> None:
    cells = [f"train_{i // 6}_{i % 6}" for i in range(2633)]
    sections = cell_sections(cells, "published-like")
    assert [sections.count(part) for part in ("training", "validation", "test")] == [1316, 527, 790]
    assert sections == sorted(sections, key=["training", "validation", "test"].index)


def test_images_are_kept_together() -> None:
    cells = names(30, 20, 7)
    sections = cell_sections(cells, "by-image")
    images: dict[str, set[str]] = {}
    for cell, section in zip(cells, sections, strict=True):
        images.setdefault(cell.rpartition("_")[0], set()).add(section)
    assert all(len(found) == 1 for found in images.values())
    counts = [sections.count(part) for part in ("training", "validation", "test")]
    np.testing.assert_allclose(counts, np.array([0.5, 0.2, 0.3]) * 350, atol=7)
    official = cell_sections(cells, "official")
    assert official.count("training") == 210
    assert official.count("test") == 140


# --- the preparation ---


def test_prepared_folder(crops: Path, raw: Path) -> None:
    parts = {part: load_datalist(crops, part, "segpc", in_channels=4) for part in ("training", "validation", "test")}
    assert [len(cases) for cases in parts.values()] == [8, 4, 4]
    case = parts["training"][0]
    assert case["group"] == "train_1054"
    array, _ = (reader := Image2DReader(channels=4, reverse_indexing=False)).get_data(reader.read(case["image"]))
    assert array.shape == (SIZE, SIZE, 4)
    assert set(np.unique(read_label(case["label"]))) == {0, 1}
    nucleus = array[..., 3] > 0.5
    assert nucleus.any()
    assert (read_label(case["label"])[nucleus] == 1).all()
    # The same crop, made of the files themselves.
    name = case["case"].removeprefix("train_")
    base = raw / "TCIA_SegPC_dataset" / "train"
    image, mask = read_image(base / "x" / f"{name[:-2]}.bmp"), read_image(base / "y" / f"{name}.bmp")[:, :, 0]
    crop = crop_cell(image, mask)
    assert crop is not None
    np.testing.assert_array_equal(array[..., :3], crop.rgb / np.float32(255))
    manifest = json.loads((crops / "manifest.json").read_text())
    assert manifest["jobs"]["train_9"]["options"] == {
        "published": False,
        "split": "by-image",
        "sections": {"train_9_1": "validation", "train_9_2": "validation"},
    }


def test_other_splits_of_a_prepared_folder(crops: Path, caplog: pytest.LogCaptureFixture) -> None:
    official = load_parts(crops, "segpc", split="official", num_folds=3)
    assert {len({c["group"] for c in cases}) for cases in official.values()} == {3, 2}
    assert {c["case"].split("_")[0] for c in official["test"]} == {"validation"}
    assert caplog.text == ""
    published = load_parts(crops, "segpc", split="published-like")
    assert [len(cases) for cases in published.values()] == [8, 3, 5]
    assert "group" not in published["training"][0]
    assert "cells of 1 images stand in two parts, as in the published split" in caplog.text
    with pytest.raises(ValueError, match="split is 'random', expected one of by-image, official, published-like"):
        load_parts(crops, "segpc", split="random")


def test_published_form(raw: Path, crops: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    prepare_dataset("segpc", raw, tmp_path, form="published", progress=False)
    parts = load_parts(tmp_path, "segpc")
    assert [len(cases) for cases in parts.values()] == [8, 3, 5]
    assert "stand in two parts" in caplog.text
    assert all("group" not in case for cases in parts.values() for case in cases)
    for case in parts["training"]:
        assert read_label(case["label"]).mean() > 0.05
        assert (tmp_path / "images" / f"{case['case']}_0001.png").is_file()
        same = Path(case["label"]).read_bytes() == (crops / f"labels/{case['case']}.png").read_bytes()
        assert same == case["case"].endswith("_2")  # the first cell lies at the border
    assert json.loads((tmp_path / "manifest.json").read_text())["jobs"]["train_9"]["options"]["published"] is True


def test_same_bytes_again(raw: Path, crops: Path, tmp_path: Path) -> None:
    job = DATASETS["segpc"].preparations["crops"].jobs(raw, ListOptions())[2]
    cases = job.run(job, tmp_path)
    assert [case["case"] for case in cases] == [f"{job.name}_1", f"{job.name}_2"]
    for path in tmp_path.rglob("*.png"):
        assert path.read_bytes() == (crops / path.relative_to(tmp_path)).read_bytes()


def test_cells_without_nucleus_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    MINI["segpc_raw"](tmp_path / "raw")
    mask = tmp_path / "raw/TCIA_SegPC_dataset/train/y/9_1.bmp"
    Image.fromarray(np.full((90, 120), 20, np.uint8)).save(mask)
    job = next(
        j for j in DATASETS["segpc"].preparations["crops"].jobs(tmp_path / "raw", ListOptions()) if "_9" in j.name
    )
    assert [case["case"] for case in job.run(job, tmp_path / "out")] == ["train_9_2"]
    assert "9_1.bmp: holds no nucleus (no value from 40), the cell is left out" in caplog.text
    Image.fromarray(np.full((90, 121), 20, np.uint8)).save(mask)
    with pytest.raises(ValueError, match=r"9_1\.bmp: has 90 rows and 121 columns, its image 9\.bmp 90 and 120"):
        job.run(job, tmp_path / "out")


# --- folders ---


def test_folders_that_are_not_prepared(raw: Path, tmp_path: Path) -> None:
    for folder in (raw, raw / "TCIA_SegPC_dataset"):
        with pytest.raises(ValueError, match="make them once with: sa2-monai datasets prepare segpc"):
            DATASETS["segpc"].parts(folder, ListOptions())
    with pytest.raises(ValueError, match="is no folder that 'sa2-monai datasets prepare segpc DIR OUT' wrote"):
        load_parts(tmp_path, "segpc")
    jobs = DATASETS["segpc"].preparations["crops"].jobs
    with pytest.raises(ValueError, match="has no train/x/, expected TCIA_SegPC_dataset"):
        jobs(tmp_path, ListOptions())
    with pytest.raises(ValueError, match="split is 'x', expected one of"):
        jobs(raw, ListOptions(split="x"))


def test_raw_folders(raw: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = raw_cells(raw)
    assert len(found) == 8
    assert found["train_9"][0].name == "9.bmp"
    assert list(found["train_9"][1]) == ["train_9_1", "train_9_2"]
    assert "5 train images, the published data set has 298" in caplog.text
    MINI["segpc_raw"](tmp_path)
    base = tmp_path / "TCIA_SegPC_dataset"
    (base / "train/x/9.bmp").unlink()
    for k in (1, 2):
        (base / f"train/y/106_{k}.bmp").unlink()
    for path in (base / "validation/x").iterdir():
        path.unlink()
    (base / "validation/x").rmdir()
    with pytest.raises(ValueError, match="the data cannot be used") as caught:
        raw_cells(tmp_path)
    for text in ("masks without an image (2)", "images without masks (1)", "missing folders (1)"):
        assert text in str(caught.value)


def test_arrays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    MINI["segpc_arrays"](tmp_path)
    caplog.set_level(logging.INFO)
    parts = {part: load_datalist(tmp_path, part, "segpc", in_channels=4) for part in ("training", "validation", "test")}
    assert [len(cases) for cases in parts.values()] == [5, 2, 3]
    images, masks = (np.load(tmp_path / f"cyts_te_224x224_s2.5_{key}.npy") for key in "XY")
    for case, image, mask in zip(parts["test"], images, masks, strict=True):
        np.testing.assert_array_equal(read_image(case["image"], 4), image)
        # Awesome-U-Net's loader takes every value but 0.
        np.testing.assert_array_equal(read_label(case["label"]), np.where(mask > 0, 255, 0))
    assert caplog.text.count("are unpacked to") == 3
    with pytest.raises(ValueError, match="the arrays are split already"):
        load_parts(tmp_path, "segpc", split=SPLITS[1])
    (tmp_path / "cyts_te_224x224_s2.5_Y.npy").unlink()
    with pytest.raises(ValueError, match="arrays of images without those of the masks"):
        load_parts(tmp_path, "segpc")
    (tmp_path / "cyts_te_224x224_s2.5_X.npy").rename(tmp_path / "cyts_te_224x224_s4_X.npy")
    with pytest.raises(ValueError, match=r"holds arrays of the preparations 224x224_s2\.5, 224x224_s4, expected one"):
        load_parts(tmp_path, "segpc")
