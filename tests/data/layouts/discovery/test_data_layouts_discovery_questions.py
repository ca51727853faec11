# SPDX-License-Identifier: Apache-2.0
"""Where it is not certain what a folder is, one line asks, and names what was found and the option that answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sa2_monai.data import find_data
from tests.data.layouts.discovery.lab_folders import a_label, an_image, build, grey

IDS = ("001", "002", "003")


def each(image: str, label: str, ids: tuple[str, ...] = IDS) -> dict[str, str]:
    return {image.replace("{}", name): label.replace("{}", name) for name in ids}


# name: (pairs, further images, words of the message)
TEST_CASES = {
    "two folders of labels": (
        each("images/{}.png", "masks/{}.png,labels/{}.png"),
        [],
        ["labels/ and masks/ pair with all images, which are the labels?", "--labels 'labels/*.png' or 'masks/*.png'"],
    ),
    "two observers": (
        each("images/{}.png", "1st_manual/{}.png,2nd_manual/{}.png"),
        [],
        ["1st_manual/ and 2nd_manual/ pair with all images", "--labels '1st_manual/*.png'"],
    ),
    "two folders of images": (
        each("T1/{}.nii.gz,T2/{}.nii.gz", "labels/{}.nii.gz"),
        [],
        ["T1/ and T2/ pair with all labels, which are the images?", "--images 'T1/*.nii.gz' or 'T2/*.nii.gz'"],
    ),
    "two words beside the image": (
        each("{}.png", "{}_mask.png,{}_seg.png"),
        [],
        ["files with '_mask' and '_seg' in their names could be the labels", "--labels '*_mask.png'"],
    ),
    "two masks per patient": (
        each("p{}/t1.nii.gz", "p{}/seg.nii.gz,p{}/mask.nii.gz"),
        [],
        ["could be the labels; which are?", "--labels '**/mask.nii.gz'"],
    ),
    "a label is missing": (
        each("images/{}.png", "masks/{}.png"),
        ["images/004.png"],
        ["images without a label (1)", "004.png"],
    ),
    "an image is missing": (
        {**each("images/{}.png", "masks/{}.png"), "": "masks/009.png"},
        [],
        ["labels without an image (1)", "009.png"],
    ),
    "a label beside is missing": (
        each("{}.jpg", "{}_mask.png"),
        ["004.jpg"],
        ["images without a label (1)", "004.jpg"],
    ),
    "a mask per class": (
        each("{}/image.png", "{}/masks/liver.png,{}/masks/spleen.png"),
        [],
        ["each image has the same 2 label files (liver, spleen), which are classes", "one label map with a value per"],
    ),
    "a mask per class, volumes": (
        each("s{}/ct.nii.gz", "s{}/segmentations/liver.nii.gz,s{}/segmentations/spleen.nii.gz"),
        [],
        ["each image has the same 2 label files (liver, spleen)", "give --images and --labels"],
    ),
    "other modalities in one case": (
        each("p{0}/t1.nii.gz,p{0}/t2.nii.gz".replace("{0}", "{}"), "p{}/seg.nii.gz"),
        ["p001/flair.nii.gz"],
        ["2 with t1, t2; 1 with flair, t1, t2", "which is the image?", "a CSV of pairs"],
    ),
    "three images and one label": (
        {"s_1.png,s_2.png,s_3.png": "s_mask.png"},
        [],
        ["1 with 1, 2, 3", "which is the image?"],
    ),
    "images and volumes": (
        {**each("png/images/{}.png", "png/labels/{}.png"), **each("nii/images/{}.nii.gz", "nii/labels/{}.nii.gz")},
        [],
        ["holds 3 image and 3 volume cases, which are meant? Give --dataset folder or --dataset volumes"],
    ),
    "unknown word for the labels": (
        each("images/{}.png", "heat/{}.png"),
        [],
        [
            "heat/ and images/ hold files of the same names, which are the labels?",
            "--images 'heat/*.png' --labels 'images/*.png', or the other way round",
        ],
    ),
    "unknown word in folders of cases": (
        each("p{}/ct.nii.gz", "p{}/wmh.nii.gz"),
        [],
        ["each of 3 folders has ct.nii.gz, wmh.nii.gz, which is the label?", "--labels '**/wmh.nii.gz'"],
    ),
    "one pool without a word": (
        {"a1.png": "b7.png", "a2.png": "b8.png"},
        ["sub/c.png"],
        ["is not a data set of a known layout", "5 .png; folders sub/", "--images GLOB and --labels GLOB"],
    ),
    "names that share nothing": (
        {"images/ab.png": "masks/q.png", "images/cd.png": "masks/r.png"},
        [],
        ["images without a label (2)", "labels without an image (2)"],
    ),
    "two files of one name": (
        {"images/a.png": "masks/a.png", "images/a.jpg": "", "images/b.png": "masks/b.png"},
        [],
        ["two files of one name (1)"],
    ),
    "no images": ({}, [], ["is not a data set of a known layout", "Found no files"]),
    "two pngs of one name": (
        each("{}.png", "{}.bmp"),
        [],
        ["each image name has a .bmp and a .png file", "--images '*.bmp' --labels '*.png'"],
    ),
    "labels of another part": (
        {**each("train/images/{}.png", "train/masks/{}.png"), "": "val/masks/9.png"},
        [],
        ["has validation labels, but no images of that part"],
    ),
}


@pytest.mark.parametrize("name", TEST_CASES)
def test_one_question(name: str, tmp_path: Path) -> None:
    pairs, more, words = TEST_CASES[name]
    build(tmp_path, {images: labels for images, labels in pairs.items() if images})
    for labels in [labels for images, labels in pairs.items() if not images]:
        a_label(tmp_path / labels)
    for image in more:
        an_image(tmp_path / image)
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        find_data(tmp_path)
    message = str(caught.value)
    for word in words:
        assert word in message
    assert str(tmp_path) in message
    if "?" in message:
        assert "\n" not in message


def test_answers(tmp_path: Path) -> None:
    """The options that the questions name are the answers."""
    build(tmp_path / "a", each("images/{}.png", "masks/{}.png,labels/{}.png"))
    found = find_data(tmp_path / "a", images="images/*.png", labels="masks/*.png")
    assert [Path(case["label"]).parent.name for case in found.parts["training"]] == ["masks"] * 3
    build(tmp_path / "b", each("p{}/t1.nii.gz", "p{}/seg.nii.gz,p{}/mask.nii.gz"))
    found = find_data(tmp_path / "b", images="**/t1.nii.gz", labels="**/seg.nii.gz")
    assert (found.dataset, [Path(case["label"]).name for case in found.parts["training"]]) == (
        "volumes",
        ["seg.nii.gz"] * 3,
    )
    assert [case["case"] for case in found.parts["training"]] == ["p001", "p002", "p003"]


def test_patterns(tmp_path: Path) -> None:
    build(tmp_path, {f"{c}/scans/s{i}_x.png": f"{c}/traced/s{i}.png" for c in "ab" for i in range(3)})
    found = find_data(tmp_path, images="*/scans/*_x.png", labels="*/traced/*.png")
    assert len(found.parts["training"]) == 6
    assert all(Path(c["image"]).stem == f"{Path(c['label']).stem}_x" for c in found.parts["training"])
    for images, labels, message in [
        ("*/scans/*.png", None, "--images needs --labels as well"),
        ("*/scan/*.png", "*/traced/*.png", "no file fits --images '*/scan/*.png'"),
        ("*/scans/*.png", "**/*.png", "fits both --images and --labels"),
        ("a/scans/*.png", "*/traced/*.png", "3 images (a/scans/s0_x.png, a/scans/s1_x.png, and 1 more) and 6 labels"),
    ]:
        with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is what is tested
            find_data(tmp_path, images=images, labels=labels)
        assert message in str(caught.value)


def test_unknown_path_and_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file or folder; give the folder of your data"):
        find_data(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"is one file; give the folder of your data"):
        find_data(an_image(tmp_path / "a.png"))
    with pytest.raises(ValueError, match="dataset is 'x', expected one of"):
        find_data(tmp_path, "x")


def test_published_sets_are_recognised_by_their_own_folders(tmp_path: Path) -> None:
    rows = np.zeros((8, 8), np.uint8)
    for i in (1, 2):
        for name in (f"train_{i}", f"testA_{i}"):
            grey(tmp_path / "glas" / f"{name}.bmp", np.stack([rows + 90] * 3, axis=2))
            grey(tmp_path / "glas" / f"{name}_anno.bmp", rows + 1)
    found = find_data(tmp_path / "glas")
    assert (found.dataset, found.label_values, len(found.parts["test"])) == ("glas", "nonzero", 2)
    for part in ("train", "test"):
        for folder in ("Original", "Ground truth"):
            grey(tmp_path / "fives" / part / folder / "1_A.png", rows)
    with pytest.raises(ValueError, match=r"can be read in 2 ways.*--dataset fives .*--dataset fives_v"):
        find_data(tmp_path / "fives")
    # The same folders with names of one's own are one's own data.
    build(
        tmp_path / "own",
        {f"{p}/Original/{n}.png": f"{p}/Ground truth/{n}.png" for p in ("train", "test") for n in "ab"},
    )
    assert find_data(tmp_path / "own").dataset == "folder"
