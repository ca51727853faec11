# SPDX-License-Identifier: Apache-2.0
"""Miniatures of data sets of 2D images in the layouts as downloaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = (40, 48)  # rows, columns


def image(path: Path, number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Write a colour image with a bright ellipse on noise; return where it is."""
    rng = np.random.RandomState(number)
    rows, columns = np.ogrid[: size[0], : size[1]]
    middle, radius = rng.uniform(0.35, 0.65, 2) * size, rng.uniform(0.15, 0.3, 2) * size
    inside = ((rows - middle[0]) / radius[0]) ** 2 + ((columns - middle[1]) / radius[1]) ** 2 < 1
    array = rng.randint(20, 80, (*size, 3)) + 120 * inside[:, :, None]
    save(path, array.astype(np.uint8))
    return np.asarray(inside)


def save(path: Path, array: np.ndarray, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def white(inside: np.ndarray, channels: int = 1) -> np.ndarray:
    """Mask of 0 and 255 in one or three channels."""
    mask = np.where(inside, 255, 0).astype(np.uint8)
    return mask if channels == 1 else np.repeat(mask[:, :, None], channels, axis=2)


def isic2018(folder: Path) -> None:
    for part, numbers in (("Training", range(24306, 24316)), ("Validation", (24316, 24317)), ("Test", (24318, 24319))):
        for number in numbers:
            inside = image(folder / f"ISIC2018_Task1-2_{part}_Input" / f"ISIC_{number:07d}.jpg", number)
            mask = folder / f"ISIC2018_Task1_{part}_GroundTruth" / f"ISIC_{number:07d}_segmentation.png"
            save(mask, white(inside))
        (folder / f"ISIC2018_Task1-2_{part}_Input" / "ATTRIBUTION.txt").write_text("...")
        (folder / f"ISIC2018_Task1_{part}_GroundTruth" / "LICENSE.txt").write_text("...")


def isic2018_arrays(folder: Path) -> None:
    """The preparation of Awesome-U-Net: all training images in one array, scaled to [0, 1] each."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.RandomState(0)
    images = rng.rand(10, 3, 32, 32)
    masks = np.zeros((10, 1, 32, 32), np.float32)
    masks[:, :, 8:20, 10:24] = 1
    np.save(folder / "X_tr_224x224.npy", images.astype(np.float32))
    np.save(folder / "Y_tr_224x224.npy", masks)


def cvc_clinicdb(folder: Path) -> None:
    # Two neighbours of each of the first eight sequences.
    for first in (1, 26, 51, 68, 79, 104, 127, 152):
        for number in (first, first + 1):
            inside = image(folder / "Original" / f"{number}.tif", number)
            save(folder / "Ground Truth" / f"{number}.tif", white(inside, 3 if number % 2 else 1))


def fives(folder: Path) -> None:
    base = folder / "FIVES A Fundus Image Dataset for AI-based Vessel Segmentation"
    for part, count in (("train", 8), ("test", 4)):
        for number in range(1, count + 1):
            name = f"{number}_{'ADGN'[number % 4]}.png"
            inside = image(base / part / "Original" / name, number + 100 * (part == "test"))
            save(base / part / "Ground truth" / name, white(inside))
    (base / "train" / "Quality Assessment.xlsx").write_bytes(b"PK")


def polypgen(folder: Path) -> None:
    base = folder / "PolypGen2021_MultiCenterData_v3"
    number = 0
    for centre in range(1, 7):
        for frame in (1, 2):
            number += 1
            name = f"{centre}00H00{frame:02d}"
            inside = image(base / f"data_C{centre}" / f"images_C{centre}" / f"{name}.jpg", number)
            mask = base / f"data_C{centre}" / f"masks_C{centre}" / f"{name}_mask.jpg"
            save(mask, white(inside, 3), quality=80)
    for sequence in (1, 2, 3):
        for frame in (1, 2):
            number += 1
            inner = base / "sequenceData" / "positive" / f"seq{sequence}"
            name = f"{sequence}_endocv2021_positive_{frame}"
            inside = image(inner / f"images_seq{sequence}" / f"{name}.jpg", number)
            save(inner / f"masks_seq{sequence}" / f"{name}_mask.jpg", white(inside), quality=80)
    image(base / "sequenceData" / "negativeOnly" / "seq1_neg" / "1_endocv2021_negative_1.jpg", 99)
    (base / "dataDetails_PolypGen_SingleFrames").mkdir()


def svanet_folder(folder: Path, classes: int = 2) -> None:
    """Palette masks of class numbers, with a border of 255 that is ignored."""
    number = 0
    for part, count in (("train", 8), ("val", 2), ("test", 2)):
        for _ in range(count):
            number += 1
            inside = image(folder / part / f"im{number}.jpg", number)
            mask = np.where(inside, 1 + number % (classes - 1), 0).astype(np.uint8)
            mask[:2] = 255
            drawn = Image.fromarray(mask, mode="L").convert("P")
            drawn.putdata(mask.ravel().tolist())
            drawn.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0] + [0] * (253 * 3))
            (folder / "mask").mkdir(exist_ok=True)
            drawn.save(folder / "mask" / f"im{number}.png")


def spermhealth(folder: Path) -> None:
    svanet_folder(folder, classes=3)


def own_folder(folder: Path) -> None:
    for number in range(10):
        inside = image(folder / "images" / f"c{number}.png", number)
        save(folder / "labels" / f"c{number}.png", white(inside))


def decathlon(folder: Path) -> None:
    own_folder(folder)
    entries = [{"image": f"images/c{n}.png", "label": f"labels/c{n}.png"} for n in range(10)]
    content = {"training": entries[:6], "validation": entries[6:8], "test": entries[8:]}
    (folder / "dataset.json").write_text(json.dumps(content))


def glas(folder: Path) -> None:
    base = folder / "Warwick QU Dataset (Released 2016_07_08)"
    for number, name in enumerate([*(f"train_{n}" for n in range(1, 9)), "testA_1", "testB_1"]):
        inside = image(base / f"{name}.bmp", number)
        save(base / f"{name}_anno.bmp", np.where(inside, 1 + number, 0).astype(np.uint8))
    (base / "Grade.csv").write_text("name, patient ID, grade (GlaS)\ntrain_1, 4, benign\n")


def monuseg(folder: Path) -> None:
    square = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for y, x in ((10, 12), (10, 36), (30, 36), (30, 12)))
    for number in range(10):
        test = number >= 8
        base = folder / ("MoNuSegTestData" if test else "MoNuSeg 2018 Training Data")
        image(base / ("." if test else "Tissue Images") / f"TCGA-{number}.tif", number)
        xml = base / ("." if test else "Annotations") / f"TCGA-{number}.xml"
        xml.parent.mkdir(parents=True, exist_ok=True)
        xml.write_text(
            "<Annotations><Annotation><Regions><Region><Vertices>"
            f"{square}</Vertices></Region></Regions></Annotation></Annotations>"
        )


#: Functions that write the miniature of a layout into a folder, by name of the layout.
MINI_IMAGES: dict[str, Callable[[Path], None]] = {
    "isic2018": isic2018,
    "cvc_clinicdb": cvc_clinicdb,
    "fives": fives,
    "fives_vessels": fives,
    "polypgen": polypgen,
    "svanet_folder": svanet_folder,
    "spermhealth": spermhealth,
    "folder": own_folder,
    "decathlon": decathlon,
    "glas": glas,
    "monuseg": monuseg,
}
