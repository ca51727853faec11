# SPDX-License-Identifier: Apache-2.0
"""Every layout of the table is found with nothing but the folder's path, and read by load_datalist the same way."""

from __future__ import annotations

from pathlib import Path

import pytest

from sa2_monai.data import find_data, load_datalist
from tests.data.layouts.discovery.lab_folders import build, pairs_of

IDS = ("001", "002", "003", "a7", "b9")
TRAIN, TEST = IDS[:3], IDS[3:]
ONE_POOL = {"training": 5}
PARTS = {"training": 3, "test": 2}


def each(image: str, label: str, ids: tuple[str, ...] = IDS) -> dict[str, str]:
    """Pairs of names with the case in the place of ``{}``."""
    return {image.replace("{}", name): label.replace("{}", name) for name in ids}


# name: (pairs, cases by part, words of the description)
IMAGES = {
    "images, labels": (each("images/{}.png", "labels/{}.png"), ONE_POOL, "images/ and labels/, paired by name"),
    "images, masks": (each("images/{}.jpg", "masks/{}.png"), ONE_POOL, "images/ and masks/"),
    "img, gt": (each("img/{}.tif", "gt/{}.tif"), ONE_POOL, "img/ and gt/"),
    "Images, Annotations": (each("Images/{}.png", "Annotations/{}.png"), ONE_POOL, "Annotations/"),
    "VOC": (each("JPEGImages/{}.jpg", "SegmentationClass/{}.png"), ONE_POOL, "SegmentationClass/"),
    "Original, Ground Truth": (each("Original/{}.tif", "Ground Truth/{}.tif"), ONE_POOL, "Ground Truth/"),
    "x, y": (each("x/{}.bmp", "y/{}.bmp"), ONE_POOL, "x/ and y/"),
    "image, 1st_manual": (each("image/{}_training.png", "1st_manual/{}_manual1.png"), ONE_POOL, "'*manual1'"),
    "wrapped": (each("Data v2/images/{}.png", "Data v2/masks/{}.png"), ONE_POOL, "masks/"),
    "masks beside loose images": (each("{}.jpg", "masks/{}.png"), ONE_POOL, "files and masks/"),
    "frames of any name": (each("endoscopy/{}.jpg", "masks/{}.png"), ONE_POOL, "endoscopy/ and masks/"),
    "parts outside": (
        {**each("train/img/{}.png", "train/mask/{}.png", TRAIN), **each("test/img/{}.png", "test/mask/{}.png", TEST)},
        PARTS,
        "parts test, training",
    ),
    "parts inside": (
        {
            **each("images/train/{}.png", "labels/train/{}.png", TRAIN),
            **each("images/val/{}.png", "labels/val/{}.png", TEST),
        },
        {"training": 3, "validation": 2},
        "parts training, validation",
    ),
    "parts in words": (
        {
            **each("train_images/{}.png", "train_masks/{}.png", TRAIN),
            **each("test_images/{}.png", "test_masks/{}.png", TEST),
        },
        PARTS,
        "train_masks/",
    ),
    "camvid": (
        {**each("train/{}.png", "trainannot/{}.png", TRAIN), **each("test/{}.png", "testannot/{}.png", TEST)},
        PARTS,
        "trainannot/",
    ),
    "imagesTr of images": (
        {
            **each("imagesTr/{}_0000.png", "labelsTr/{}.png", TRAIN),
            **each("imagesTs/{}_0000.png", "labelsTs/{}.png", TEST),
        },
        PARTS,
        "imagesTr/ and labelsTr/",
    ),
    "ISIC": (
        each("ISIC2017_Training_Data/ISIC_{}.jpg", "ISIC2017_Training_Part1_GroundTruth/ISIC_{}_segmentation.png"),
        ONE_POOL,
        "'*_segmentation'",
    ),
    "prefixes": (each("images/img_{}.png", "labels/lbl_{}.png"), ONE_POOL, "'lbl*'"),
    "_mask beside": (each("{}.jpg", "{}_mask.png"), ONE_POOL, "'_mask' in its name"),
    "_seg in one folder": (each("data/{}.png", "data/{}_seg.png"), ONE_POOL, "'_seg'"),
    "-mask": (each("{}.png", "{}-mask.png"), ONE_POOL, "'-mask'"),
    ".gt": (each("{}.png", "{}.gt.png"), ONE_POOL, "'.gt'"),
    "mask_ before": (each("{}.png", "mask_{}.png"), ONE_POOL, "'mask_*'"),
    "both have a word": (each("{}_image.png", "{}_label.png"), ONE_POOL, "'_label'"),
    "beside in parts": (
        {**each("train/{}.jpg", "train/{}_gt.png", TRAIN), **each("test/{}.jpg", "test/{}_gt.png", TEST)},
        PARTS,
        "'_gt'",
    ),
    "classes of images": (
        {**each("benign/{}.png", "benign/{}_mask.png", TRAIN), **each("normal/{}.png", "normal/{}_mask.png", TEST)},
        ONE_POOL,
        "'_mask'",
    ),
    "a folder per case": (each("case_{}/image.png", "case_{}/mask.png"), ONE_POOL, "one folder per case"),
    "a folder per patient": (
        {
            f"patient{p}/images/{s}.png": f"patient{p}/masks/{s}.png"
            for p, s in [("01", "s1"), ("01", "s2"), ("02", "s1"), ("03", "s1"), ("03", "s2")]
        },
        ONE_POOL,
        "patients by folder",
    ),
    "patients below": (each("images/pat_{}/s1.png", "masks/pat_{}/s1.png"), ONE_POOL, "paired by name"),
    "images in several folders": (
        {
            **each("Set_images_part_1/I_{}.jpg", "Set_segmentations/I_{}_segmentation.png", TRAIN),
            **each("Set_images_part_2/I_{}.jpg", "Set_segmentations/I_{}_segmentation.png", TEST),
        },
        ONE_POOL,
        "'*_segmentation'",
    ),
    "numbered folders": (
        {f"Slide_0{s}/{n}.png": f"GT_0{s}/{n}.png" for s, n in [(1, "1"), (1, "2"), (2, "1"), (3, "1"), (3, "2")]},
        ONE_POOL,
        "GT_01/",
    ),
    "mmseg": (
        {
            **each("img_dir/train/{}.png", "ann_dir/train/{}.png", TRAIN),
            **each("img_dir/val/{}.png", "ann_dir/val/{}.png", TEST),
        },
        {"training": 3, "validation": 2},
        "ann_dir/",
    ),
    "kinds of tissue below": (each("tiles/s{}/t1.png", "tile_masks/s{}/t1.png"), ONE_POOL, "tile_masks/"),
    "JPEG masks": (each("images/{}.jpg", "masks/{}.jpg"), ONE_POOL, "masks/"),
    "jpg and png": (each("{}.jpg", "{}.png"), ONE_POOL, ".jpg images and .png labels"),
    "channels": (each("images/{}_0000.png,images/{}_0001.png", "labels/{}.png"), ONE_POOL, "by name"),
}
VOLUMES = {
    "images, labels": (each("images/{}.nii.gz", "labels/{}.nii.gz"), ONE_POOL, "images/ and labels/"),
    "CT, masks": (each("CT/{}.nrrd", "masks/{}.nrrd"), ONE_POOL, "CT/ and masks/"),
    "img, label as BTCV": (each("img/img{}.nii.gz", "label/label{}.nii.gz"), ONE_POOL, "'label*'"),
    "imagesTr": (
        {**each("imagesTr/{}.nii.gz", "labelsTr/{}.nii.gz", TRAIN), **each("imagesTs/{}.nii.gz", "", TEST)},
        PARTS,
        "imagesTr/ and labelsTr/",
    ),
    "_seg beside": (each("{}.mha", "{}_seg.mha"), ONE_POOL, "'_seg'"),
    "dotted": (each("{}.nii.gz", "{}.label.nii.gz"), ONE_POOL, "'.label'"),
    "a folder per patient": (each("patient_{}/t2.nii.gz", "patient_{}/seg.nii.gz"), ONE_POOL, "one folder per case"),
    "BraTS": (
        each(",".join(f"B_{{}}/B_{{}}_{m}.nii.gz" for m in ("flair", "t1", "t1ce")), "B_{}/B_{}_seg.nii.gz"),
        ONE_POOL,
        "channels flair, t1, t1ce",
    ),
    "BIDS": (
        each("sub-{}/anat/sub-{}_T1w.nii.gz", "derivatives/labels/sub-{}/anat/sub-{}_T1w_seg.nii.gz"),
        ONE_POOL,
        "'*_seg'",
    ),
    "imagesVa": (
        {
            **each("imagesTr/{}.nii.gz", "labelsTr/{}.nii.gz", TRAIN),
            **each("imagesVa/{}.nii.gz", "labelsVa/{}.nii.gz", TEST),
        },
        {"training": 3, "validation": 2},
        "imagesTr/",
    ),
    "LiTS": (each("volume-{}.nii", "segmentation-{}.nii"), ONE_POOL, "'segmentation-*'"),
    "label in another folder of the patient": (
        each("P_{}/CT/ct.nii.gz", "P_{}/contours/ct_mask.nii.gz"),
        ONE_POOL,
        "contours/",
    ),
    "KiTS": (each("case_{}/imaging.nii.gz", "case_{}/segmentation.nii.gz"), ONE_POOL, "'segmentation'"),
    "visits of patients": (
        {
            f"sub-{p}/ses-{v}/t1.nii.gz": f"sub-{p}/ses-{v}/mask.nii.gz"
            for p, v in [("01", "a"), ("01", "b"), ("02", "a"), ("03", "a"), ("03", "b")]
        },
        ONE_POOL,
        "patients by folder",
    ),
    "parts": (
        {
            **each("train/volumes/{}.nii.gz", "train/segmentations/{}.nii.gz", TRAIN),
            **each("test/volumes/{}.nii.gz", "test/segmentations/{}.nii.gz", TEST),
        },
        PARTS,
        "segmentations/",
    ),
}
TEST_CASES = [("folder", name, *case) for name, case in IMAGES.items()]
TEST_CASES += [("volumes", name, *case) for name, case in VOLUMES.items()]


@pytest.mark.parametrize(
    ("dataset", "pairs", "parts", "words"),
    [case[:1] + case[2:] for case in TEST_CASES],
    ids=[f"{case[0]}: {case[1]}" for case in TEST_CASES],
)
def test_the_folder_is_enough(
    dataset: str, pairs: dict[str, str], parts: dict[str, int], words: str, tmp_path: Path
) -> None:
    build(tmp_path, pairs)
    for stray in ("._x.png", ".DS_Store", "Thumbs.db"):
        (tmp_path / stray).write_bytes(b"x")
    found = find_data(tmp_path)
    assert (found.dataset, found.path) == (dataset, tmp_path)
    assert pairs_of(tmp_path, found.parts) == pairs
    assert {part: len(cases) for part, cases in found.parts.items()} == parts
    assert words in found.description
    assert not found.left_out
    names = [case["case"] for cases in found.parts.values() for case in cases]
    assert len(set(names)) == len(names)
    for section in ("training", "validation", "test"):
        assert load_datalist(found.path, section, found.dataset, num_folds=2)


def test_results_of_programs_are_left_out(tmp_path: Path) -> None:
    pairs = each("{}.png", "{}_mask.png")
    build(tmp_path, {**pairs, "run/predictions/001.png": "run/overlays/001.png"})
    found = find_data(tmp_path)
    assert pairs_of(tmp_path, found.parts) == pairs
    assert found.left_out == "left out: 2 .png"
