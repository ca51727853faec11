# SPDX-License-Identifier: Apache-2.0
"""What the files say of classes: colours, palettes, object numbers, dataset.json of nnU-Net; a CSV of pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sa2_monai.cli.main import main
from sa2_monai.data import find_data, label_table, load_datalist
from sa2_monai.data.layouts.discovery.colour_tables import read_class_table
from sa2_monai.data.layouts.pairs_csv import write_pairs
from sa2_monai.io.images.read import read_label
from sa2_monai.io.label_colours import colour_name, colour_number, label_key
from tests.data.layouts.discovery.lab_folders import SIZE, a_label, an_image, build, grey, pairs_of

RED, BLUE, BLACK, WHITE = (255, 0, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)
NAMES = {f"images/{n}.png": f"masks/{n}.png" for n in "abcdef"}


def in_colours(folder: Path, colours: tuple[tuple[int, int, int], ...] = (BLACK, RED, BLUE)) -> Path:
    build(folder, NAMES)
    array = np.zeros((*SIZE, 3), np.uint8)
    for k, colour in enumerate(colours):
        array[k * 3 :] = colour
    for label in NAMES.values():
        grey(folder / label, array)
    return folder


# --- colours as numbers


@pytest.mark.parametrize("colour", [BLACK, WHITE, RED, BLUE, (0, 0, 1), (0, 200, 0), (1, 1, 2), (7, 7, 7)])
def test_a_colour_has_one_number_that_float32_holds(colour: tuple[int, int, int]) -> None:
    number = colour_number(*colour)
    assert int(np.float32(number)) == number
    name = "#" + bytes(colour).hex()
    assert colour_name(number) == name
    assert label_key(name) == number


def test_colour_numbers_are_distinct() -> None:
    steps = (0, 1, 2, 127, 254, 255)
    numbers = {colour_number(r, g, b) for r in steps for g in steps for b in steps}
    assert len(numbers) == len(steps) ** 3
    assert [colour_number(v, v, v) for v in steps] == list(steps)
    assert label_table({"#000000": 0, "#ff0000": 1, "7": 1}, ["bg", "a"]) == {0: 0, 0xFF0000: 1, 7: 1}
    with pytest.raises(ValueError, match="expected a table of integers value -> class"):
        label_table({"#ff00": 1}, ["bg", "a"])


def test_label_in_colours_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    path = in_colours(tmp_path) / "masks/a.png"
    assert set(np.unique(read_label(path, colours=True))) == {0, colour_number(*RED), colour_number(*BLUE)}
    with pytest.raises(ValueError, match="is a colour image with different channels"):
        read_label(path)


# --- tables of colours

TABLES = {
    "classes.csv": "name,r,g,b\nBackground,0,0,0\ngland,255,0,0\nlumen,0,0,255\n",
    "class_dict.csv": "name;color\nBackground;#000000\ngland;#FF0000\nlumen;#0000ff\n",
    "labelmap.txt": "# label:color_rgb:parts:actions\nBackground:0,0,0::\ngland:255,0,0::\nlumen:0,0,255::\n",
    "label_colors.txt": "0 0 0\tBackground\n255 0 0\tgland\n0 0 255\tlumen\n",
    "colours.json": '{"Background": "#000000", "gland": [255, 0, 0], "lumen": "0,0,255"}',
    "classes.json": '{"#ff0000": "gland", "#0000ff": "lumen", "#000000": "Background"}',
    "palette.json": '[{"name": "Background", "color": "#000000"}, {"name": "gland", "color": "#ff0000"}, '
    '{"name": "lumen", "color": [0, 0, 255]}]',
}


@pytest.mark.parametrize("name", TABLES)
def test_colours_with_a_table(name: str, tmp_path: Path) -> None:
    """A table in the folder is found, one elsewhere is given; both say the same."""
    folder, beside = in_colours(tmp_path / "data"), tmp_path / f"x{name[name.rindex('.') :]}"
    beside.write_text(TABLES[name])
    given = find_data(folder, colours=beside)
    (folder / name).write_text(TABLES[name])
    found = find_data(folder)
    for data in (given, found):
        assert data.class_names == ["Background", "gland", "lumen"]
        assert data.label_values == {"#000000": 0, "#ff0000": 1, "#0000ff": 2}
    assert not found.left_out
    assert f"labels in colours, classes from {name}" in found.description
    # Data list, check and the transform of the training agree.
    cases = load_datalist(folder, "training", class_names=found.class_names, label_values=found.label_values)
    assert load_datalist(folder, "training") == cases
    from sa2_monai.slices.steps import load_label, map_labels

    case = map_labels(found.class_names or [], found.label_values)(load_label("images")(dict(cases[0])))
    assert np.asarray(case["label"])[0, ::3].max(axis=1).tolist() == [0, 1, 2, 2]


def test_colours_without_a_table_are_one_question(tmp_path: Path) -> None:
    in_colours(tmp_path)
    with pytest.raises(ValueError, match=r"the labels hold colours \(#000000, #ff0000, #0000ff\).*--colours FILE") as e:
        find_data(tmp_path)
    assert "\n" not in str(e.value)
    table = tmp_path / "classes.csv"
    table.write_text("name,r,g,b\nBackground,0,0,0\ngland,255,0,0\n")
    with pytest.raises(ValueError, match=r"colours that classes.csv has no class for \(#0000ff\)"):
        find_data(tmp_path)
    table.write_text("nothing here\n")
    with pytest.raises(ValueError, match=r"classes.csv: cannot be read as a table of colours .*name,r,g,b"):
        find_data(tmp_path, colours=table)
    # The check of a training that was told nothing of colours says the same.
    table.unlink()
    with pytest.raises(ValueError, match=r"label files in colours without a class for each(.|\n)*--colours FILE"):
        load_datalist(tmp_path, "training", class_names=["bg", "a", "b"])


def test_photographs_in_the_place_of_labels(tmp_path: Path) -> None:
    build(tmp_path, NAMES)
    for k, label in enumerate(NAMES.values()):
        grey(tmp_path / label, np.random.RandomState(k).randint(0, 255, (*SIZE, 3)).astype(np.uint8))
    with pytest.raises(ValueError, match=r"the labels hold \d+ colours, as photographs and blurred masks do"):
        find_data(tmp_path)


def test_evaluation_takes_colours(tmp_path: Path) -> None:
    folder = in_colours(tmp_path / "d", (BLACK, RED))
    numbers = np.zeros(SIZE, np.uint8)
    numbers[3:] = 1
    for name in "abcdef":
        grey(tmp_path / "predictions" / f"{name}.png", numbers)
    arguments = ["--classes", "background,gland", "--label-values", "#000000:0,#ff0000:1", "--output", tmp_path / "o"]
    code = main(
        [
            "evaluate",
            "--predictions",
            str(tmp_path / "predictions"),
            "--references",
            str(folder / "masks"),
            *map(str, arguments),
        ]
    )
    assert code == 0
    summary = json.loads((tmp_path / "o" / "metrics_summary.json").read_text())
    assert "1.0" in json.dumps(summary)


def palette_label(path: Path, values: dict[int, tuple[int, int, int]]) -> None:
    array = np.zeros(SIZE, np.uint8)
    for k, value in enumerate(values):
        array[k * 3 :] = value
    image = Image.fromarray(array, "P")
    palette = np.zeros((256, 3), np.uint8)
    for value, colour in values.items():
        palette[value] = colour
    image.putpalette(palette.tobytes())
    image.save(path)


def test_palette_with_a_table(tmp_path: Path) -> None:
    """CVAT's masks: the colour of the palette says the class, not its index."""
    build(tmp_path, NAMES)
    for label in NAMES.values():
        palette_label(tmp_path / label, {0: BLACK, 5: BLUE, 9: RED})
    assert find_data(tmp_path).class_names is None
    (tmp_path / "labelmap.txt").write_text(TABLES["labelmap.txt"])
    found = find_data(tmp_path)
    assert found.class_names == ["Background", "gland", "lumen"]
    assert found.label_values == {0: 0, 5: 2, 9: 1}
    assert load_datalist(tmp_path, "training")


def test_label_file_of_itk_snap_names_the_values(tmp_path: Path) -> None:
    build(tmp_path, {f"{n}.nii.gz": f"{n}_seg.nii.gz" for n in "abc"})
    lines = '0 0 0 0 0 0 0 "Clear Label"\n1 255 0 0 1 1 1 "Left ventricle"\n2 0 255 0 1 1 1 "Right ventricle"\n'
    (tmp_path / "labels.txt").write_text(f"################\n# ITK-SnAP Label Description File\n{lines}")
    found = find_data(tmp_path)
    assert found.class_names == ["Clear Label", "Left ventricle", "Right ventricle"]
    assert found.label_values is None
    assert not found.left_out
    assert read_class_table(tmp_path / "labels.txt")[1].value == 1


# --- objects


def object_numbers(count: int, dtype: Any) -> np.ndarray:
    array = np.zeros((20, 30), dtype)
    for k in range(count):
        array[2 * (k // 10) : 2 * (k // 10) + 1, 3 * (k % 10) : 3 * (k % 10) + 2] = k + 1
    return array


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_object_numbers_are_one_class(dtype: Any, tmp_path: Path) -> None:
    for k, (image, label) in enumerate(NAMES.items()):
        grey(tmp_path / image, np.random.RandomState(k).randint(0, 255, (20, 30)).astype(np.uint8))
        grey(tmp_path / label, object_numbers(9 + 3 * k, dtype))
    found = find_data(tmp_path)
    assert found.label_values == "nonzero"
    assert "every value but 0 is foreground" in found.description
    assert load_datalist(tmp_path, "training")


def test_a_mask_per_object(tmp_path: Path) -> None:
    """The data science bowl's form: a folder per image with one mask file per nucleus."""
    for name in ("q1", "q2", "q3", "q4", "q5"):
        an_image(tmp_path / name / "images" / f"{name}.png")
        for k in range(3):
            mask = np.zeros(SIZE, np.uint8)
            mask[4 * k : 4 * k + 3, :5] = 255
            grey(tmp_path / name / "masks" / f"{hash((name, k)) & 0xFFFF:x}{k}.png", mask)
    found = find_data(tmp_path)
    assert "several label files of single objects" in found.description
    assert not found.left_out
    case = found.parts["training"][0]
    assert set(np.unique(read_label(case["label"]))) == {0, 255}
    assert set(np.unique(read_label(case["instances"]))) == {0, 1, 2, 3}
    assert load_datalist(tmp_path, "training")[0]["label"].endswith(".png")


def test_masks_of_further_objects_beside_the_image(tmp_path: Path) -> None:
    """BUSI's form: most images have ``_mask``, some ``_mask_1`` as well."""
    build(tmp_path, {f"benign ({k}).png": f"benign ({k})_mask.png" for k in range(1, 6)})
    second = np.zeros(SIZE, np.uint8)
    second[9:11, :3] = 255
    grey(tmp_path / "benign (2)_mask_1.png", second)
    for k in range(1, 6):
        a_label(tmp_path / f"benign ({k})_mask.png", 255)
    case = find_data(tmp_path).parts["training"][1]
    assert case["case"] == "benign (2)"
    assert np.count_nonzero(read_label(case["label"])) == 4 * 5 + 2 * 3
    assert not find_data(tmp_path).left_out


def test_jpeg_masks_get_a_threshold(tmp_path: Path) -> None:
    names = {f"images/{n}.jpg": f"masks/{n}.jpg" for n in "abc"}
    build(tmp_path, names)
    for label in names.values():
        a_label(tmp_path / label, 255)
    found = find_data(tmp_path)
    assert found.label_values == "threshold"
    assert load_datalist(tmp_path, "training", label_values=found.label_values, class_names=["a", "b"])


def test_classes_by_number(tmp_path: Path) -> None:
    build(tmp_path, NAMES)
    for label in NAMES.values():
        array = np.zeros(SIZE, np.uint8)
        array[2:5, 2:5], array[6:8, 6:8] = 1, 2
        grey(tmp_path / label, array)
    found = find_data(tmp_path)
    assert (found.class_names, found.label_values) == (None, None)  # nothing names them
    assert load_datalist(tmp_path, "training")


# --- dataset.json


def test_nnunet_images(tmp_path: Path) -> None:
    files = {f"imagesTr/{n}_0000.png,imagesTr/{n}_0001.png": f"labelsTr/{n}.png" for n in ("a", "b", "c")}
    build(tmp_path, {**files, "imagesTs/d_0000.png,imagesTs/d_0001.png": "labelsTs/d.png"})
    content: dict[str, Any] = {
        "channel_names": {"0": "nuclei", "1": "membrane"},
        "labels": {"background": 0, "cell": 1, "ignore": 2},
        "numTraining": 3,
        "file_ending": ".png",
    }
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    found = find_data(tmp_path)
    assert (found.dataset, found.kind, found.channels) == ("folder", "images", 2)
    assert found.channel_names == ["nuclei", "membrane"]
    assert (found.class_names, found.label_values, found.ignore_value) == (["background", "cell"], None, 2)
    assert pairs_of(tmp_path, found.parts) == {**files, "imagesTs/d_0000.png,imagesTs/d_0001.png": "labelsTs/d.png"}
    assert len(load_datalist(tmp_path, "training", num_folds=3, in_channels=2)) == 2
    content["labels"] = {"background": 0, "whole tumour": [1, 2], "core": [2]}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"'whole tumour'.*regions of several values are not supported"):
        find_data(tmp_path)


def test_nnunet_colour_image_is_one_file(tmp_path: Path) -> None:
    build(tmp_path, {f"imagesTr/{n}_0000.png": f"labelsTr/{n}.png" for n in ("a", "b", "c")})
    for path in (tmp_path / "imagesTr").iterdir():
        grey(path, np.random.RandomState(1).randint(0, 255, (*SIZE, 3)).astype(np.uint8))
    content = {
        "channel_names": {"0": "R", "1": "G", "2": "B"},
        "labels": {"background": 0, "x": 1},
        "file_ending": ".png",
    }
    (tmp_path / "dataset.json").write_text(json.dumps({**content, "numTraining": 3}))
    found = find_data(tmp_path)
    assert (found.channels, found.channel_names) == (3, ["R", "G", "B"])
    assert [case["case"] for case in found.parts["training"]] == ["a", "b", "c"]


# --- a CSV of pairs

TABLE_FORMS = {
    "commas": ("image,label,part", ","),
    "semicolons, other words": ("img_path;mask_path;split", ";"),
    "tabs": ("Image\tMask\tSet", "\t"),
}


@pytest.mark.parametrize("name", TABLE_FORMS)
def test_pairs_of_a_csv(name: str, tmp_path: Path) -> None:
    header, separator = TABLE_FORMS[name]
    build(tmp_path, {f"raw/p{i}.png": f"drawn/q{9 - i}.png" for i in range(6)})
    parts = ["train"] * 4 + ["val", "test"]
    lines = [separator.join((f"raw/p{i}.png", f"drawn/q{9 - i}.png", parts[i])) for i in range(6)]
    table = tmp_path / "pairs.csv"
    table.write_text("\n".join([header, *lines]))
    for data in (tmp_path, table):
        found = find_data(data)
        assert (found.dataset, found.description) == ("folder", "pairs listed in pairs.csv")
        assert pairs_of(tmp_path, found.parts) == {f"raw/p{i}.png": f"drawn/q{9 - i}.png" for i in range(6)}
        assert [len(load_datalist(found.path, part)) for part in ("training", "validation", "test")] == [4, 1, 1]


def test_written_pairs_are_data(tmp_path: Path) -> None:
    build(
        tmp_path / "d", {f"pat{i % 3}/t{i}.nii.gz,pat{i % 3}/u{i}.nii.gz": f"pat{i % 3}/z{i}.nii.gz" for i in range(6)}
    )
    case = {"image": [f"{tmp_path}/d/pat0/{c}0.nii.gz" for c in "tu"], "label": f"{tmp_path}/d/pat0/z0.nii.gz"}
    parts = {"training": [{**case, "case": "k", "group": "pat0"}]}
    path = write_pairs(tmp_path / "out" / "pairs.csv", parts)
    assert find_data(path).parts == parts
    assert find_data(path).dataset == "volumes"


def test_csv_errors(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for text, message in [
        ("image,disease\na.png,1\n", "expected a CSV of pairs with the columns image and label, found image, disease"),
        ("image,label\na.png,b.png\n", "images that are missing (1)"),
        ("image,label\n,\n", "lines without an image (1)"),
    ]:
        path.write_text(text)
        with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is what is tested
            find_data(path)
        assert message in str(caught.value)
    build(tmp_path, {"a.png": "b.png"})
    path.write_text("image,label,part\na.png,b.png,north\n")
    with pytest.raises(ValueError, match=r"parts that are none \(1\):\n    'north'"):
        find_data(path)


def test_which_csv_is_one_of_pairs(tmp_path: Path) -> None:
    """Tables of patients and of grades are none; two of pairs are a question."""
    build(tmp_path, {f"scans/{n}.nii.gz": f"masks/{n}.nii.gz" for n in "abc"})
    (tmp_path / "patients.csv").write_text("case,patient\na,1\nb,1\nc,2\n")
    (tmp_path / "grades.csv").write_text("image,label\na,benign\nb,malignant\n")
    found = find_data(tmp_path)
    assert found.description == "scans/ and masks/, paired by name"
    assert [case["group"] for case in found.parts["training"]] == ["1", "1", "2"]
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text("image,label\nscans/a.nii.gz,masks/a.nii.gz\n")
    with pytest.raises(ValueError, match=r"has one.csv, two.csv, each a CSV of pairs; give one of them as DATA"):
        find_data(tmp_path)
    assert len(find_data(tmp_path / "one.csv").parts["training"]) == 1


# --- lists of names


@pytest.mark.parametrize("folder", [".", "ImageSets/Segmentation", "splits"])
def test_parts_by_lists_of_names(folder: str, tmp_path: Path) -> None:
    build(tmp_path, NAMES)
    place = tmp_path / folder
    place.mkdir(parents=True, exist_ok=True)
    (place / "train.txt").write_text("a\nimages/b.png\nc.png\n")
    (place / "val.txt").write_text("d\n")
    (place / "test.txt").write_text("e\n\n")
    found = find_data(tmp_path)
    assert {part: [c["case"] for c in cases] for part, cases in found.parts.items()} == {
        "training": ["a", "b", "c"],
        "validation": ["d"],
        "test": ["e"],
    }
    assert "parts by test.txt, train.txt, val.txt (1 cases in none of them are not used)" in found.description
    assert len(load_datalist(tmp_path, "training")) == 3
    (place / "test.txt").write_text("e\nz9\n")
    with pytest.raises(ValueError, match=r"test.txt: names 1 cases that are not in .*z9"):
        find_data(tmp_path)
    (place / "test.txt").write_text("e\nd\n")
    with pytest.raises(ValueError, match="names the case d, as does"):
        find_data(tmp_path)
    (place / "test.txt").write_text("notes on the test\n")
    assert list(find_data(tmp_path).parts) == ["training"]
