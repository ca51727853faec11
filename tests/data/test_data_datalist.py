# SPDX-License-Identifier: Apache-2.0
"""Data lists of folders and dataset.json: layouts, splits, and every error before training starts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sa2_monai.data import kfold, label_table, load_datalist, load_parts


def image(path: Path, value: Any = 0, size: tuple[int, int] = (8, 6)) -> Path:
    """Write an image of (H, W) with one value, or with the given array."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = value if isinstance(value, np.ndarray) else np.full(size, value, np.uint8)
    Image.fromarray(array).save(path)
    return path


def dataset(folder: Path, names: Sequence[str], instances: bool = False) -> Path:
    for name in names:
        image(folder / "images" / f"{name}.png", 100)
        image(folder / "labels" / f"{name}.png", 255)
        if instances:
            image(folder / "instances" / f"{name}.png", 7)
    return folder


def names_of(cases: Sequence[dict[str, Any]]) -> list[str]:
    return [case["case"] for case in cases]


def error_of(*args: Any, **kwargs: Any) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is what is tested
        load_datalist(*args, **kwargs)
    return str(caught.value)


# --- layouts ---


def test_pool_is_split_and_folded(tmp_path: Path) -> None:
    names = [f"c{i:02d}" for i in range(20)]
    dataset(tmp_path, names[::-1], instances=True)
    parts = {s: load_datalist(tmp_path, s) for s in ("training", "validation", "test")}
    assert {s: len(p) for s, p in parts.items()} == {"training": 12, "validation": 4, "test": 4}
    assert sorted(name for p in parts.values() for name in names_of(p)) == names
    pool = sorted(names_of(parts["training"]) + names_of(parts["validation"]))
    assert names_of(parts["validation"]) == [pool[i] for i in kfold(16, 5, 999)[0][1]]
    case = parts["test"][0]
    assert set(case) == {"image", "label", "case", "instances"}
    assert Path(case["image"]).is_absolute()
    assert Path(case["label"]).name == Path(case["instances"]).name == f"{case['case']}.png"
    folds = [load_parts(tmp_path, fold=k) for k in range(5)]
    assert sorted(name for f in folds for name in names_of(f["validation"])) == pool
    assert all(names_of(f["test"]) == names_of(parts["test"]) for f in folds)
    assert names_of(folds[0]["validation"]) == names_of(parts["validation"])
    assert load_parts(tmp_path, split_seed=1) != load_parts(tmp_path)


def test_without_a_validation_all_training_cases_train(tmp_path: Path) -> None:
    dataset(tmp_path, [f"c{i:02d}" for i in range(20)])
    parts = load_parts(tmp_path)
    training, nothing, test = (
        load_datalist(tmp_path, section, validation="none") for section in ("training", "validation", "test")
    )
    assert sorted(names_of(training)) == sorted(names_of(parts["training"] + parts["validation"]))
    assert nothing == []
    assert test == parts["test"]
    assert "with validation: none no part validates" in error_of(tmp_path, "training", fold=0, validation="none")
    assert "validation is 'no', expected one of auto, none" in error_of(tmp_path, "training", validation="no")


@pytest.mark.parametrize("section", ["training", "validation"])
def test_a_listed_validation_part_is_no_training_part(tmp_path: Path, section: str) -> None:
    for part in ("train", "val"):
        dataset(tmp_path / part, [f"{part}{i}" for i in range(3)])
    found = names_of(load_datalist(tmp_path, section, validation="none", test_fraction=0.0))
    assert found == (["train0", "train1", "train2"] if section == "training" else [])


def test_relative_folder_gives_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset(tmp_path / "d", [f"c{i}" for i in range(9)])
    monkeypatch.chdir(tmp_path)
    assert load_datalist("d", "test")[0]["image"].startswith(str(tmp_path / "d" / "images"))


@pytest.mark.parametrize(("train", "val"), [("train", "val"), ("training", "validation")])
def test_part_folders(tmp_path: Path, train: str, val: str) -> None:
    dataset(tmp_path / train, [f"a{i}" for i in range(10)])
    dataset(tmp_path / val, ["b0", "b1"])
    dataset(tmp_path / "test", ["c0"])
    assert names_of(load_datalist(tmp_path, "training")) == [f"a{i}" for i in range(10)]
    assert names_of(load_datalist(tmp_path, "validation")) == ["b0", "b1"]
    assert names_of(load_datalist(tmp_path, "test")) == ["c0"]
    # With a fold the training list is folded and the listed validation part stays out: the published protocol.
    folded = load_parts(tmp_path, fold=2)
    assert names_of(folded["validation"]) == [f"a{i}" for i in kfold(10, 5, 999)[2][1]]
    assert not {"b0", "b1"} & set(names_of(folded["training"] + folded["validation"]))


def test_equal_names_in_two_parts_get_the_part_in_front(tmp_path: Path) -> None:
    dataset(tmp_path / "train", [f"{i}" for i in range(6)])
    dataset(tmp_path / "test", ["0", "1"])
    assert names_of(load_datalist(tmp_path, "test")) == ["test_0", "test_1"]
    assert all(name.startswith("training_") for name in names_of(load_datalist(tmp_path, "training")))


def write_json(folder: Path, **content: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "dataset.json"
    path.write_text(json.dumps(content))
    return path


def listed(names: Sequence[str], **more: str) -> list[dict[str, str]]:
    return [{"image": f"images/{n}.png", "label": f"labels/{n}.png", **more} for n in names]


def test_dataset_json(tmp_path: Path) -> None:
    dataset(tmp_path, ["a", "b", "c"])
    path = write_json(
        tmp_path, training=listed(["b"]), validation=listed(["a"]), test=listed(["c"], case="last"), labels={"0": "x"}
    )
    for source in (tmp_path, path):
        for name in ("folder", "decathlon"):
            assert names_of(load_datalist(source, "training", name)) == ["b"]
            assert names_of(load_datalist(source, "validation", name)) == ["a"]
            assert load_datalist(source, "test", name) == [
                {"image": str(tmp_path / "images/c.png"), "label": str(tmp_path / "labels/c.png"), "case": "last"}
            ]


def test_dataset_json_with_groups_is_split_by_group(tmp_path: Path) -> None:
    names = [f"c{i:02d}" for i in range(30)]
    dataset(tmp_path, names)
    cases = [{**c, "group": f"p{i // 3}"} for i, c in enumerate(listed(names))]
    write_json(tmp_path, training=cases)
    parts = load_parts(tmp_path, fold=3)
    groups = [{c["group"] for c in p} for p in parts.values()]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]
    assert [len(p) for p in parts.values()] == [21, 3, 6]
    # A group in one case only is no group for all: then cases are split singly, and the entry is left out.
    write_json(tmp_path, training=[{**cases[0]}, *listed(names[1:])])
    assert all("group" not in c for c in load_datalist(tmp_path, "training"))


def test_decathlon_test_list_without_labels(tmp_path: Path) -> None:
    dataset(tmp_path, [f"c{i}" for i in range(6)])
    write_json(tmp_path, training=listed([f"c{i}" for i in range(5)]), test=["images/c5.png"])
    assert len(load_datalist(tmp_path, "training")) == 4
    assert "1 of 1 test cases have no label (c5); add 'label' entries" in error_of(tmp_path, "test")


def test_instances_only_where_all_cases_have_them(tmp_path: Path) -> None:
    dataset(tmp_path, [f"c{i}" for i in range(8)], instances=True)
    (tmp_path / "instances" / "c3.png").unlink()
    assert "instances" not in load_datalist(tmp_path, "training")[0]


# --- errors of layout ---


def test_missing_folder_and_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder; give the folder of the data set"):
        load_datalist(tmp_path / "nowhere", "training")
    assert "section is 'train', expected one of training, validation, test" in error_of(tmp_path, "train")
    assert "dataset is 'x', expected one of " in error_of(tmp_path, "training", "x")
    assert "is not a data set of a known layout; expected images/ and labels/" in error_of(tmp_path, "training")
    file = image(tmp_path / "a.png")
    assert "is a file, expected the folder of the data set or its dataset.json" in error_of(file, "training")
    with pytest.raises(FileNotFoundError, match=r"dataset\.json: no such file"):
        load_datalist(tmp_path, "training", "decathlon")


def test_no_cases(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(FileNotFoundError, match="labels: no such folder"):
        load_datalist(tmp_path, "training")
    (tmp_path / "labels").mkdir()
    assert "images: holds no images (.png, .jpg" in error_of(tmp_path, "training")
    dataset(tmp_path, [f"c{i}" for i in range(6)])
    assert "no test cases (6 training, 0 validation, 0 test); list a test part" in error_of(
        tmp_path, "test", test_fraction=0
    )
    write_json(tmp_path, test=listed(["c0"]))
    assert "no training cases (0 training, 0 validation, 1 test); add images and labels" in error_of(
        tmp_path, "training"
    )
    assert len(load_datalist(tmp_path, "test")) == 1


def test_few_cases_are_divided_into_fewer_folds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset(tmp_path, ["a", "b", "c", "d"])
    parts = load_parts(tmp_path)
    assert [len(part) for part in parts.values()] == [2, 1, 1]
    assert "3 training cases (3 independent) are too few for 5 folds; one of 3 folds validates" in caplog.text
    assert parts == load_parts(tmp_path, num_folds=3)
    # A fold by number is one of a cross-validation, which must not change behind its back.
    assert "3 training cases (3 independent) are too few for 5 folds; add images, or lower num_folds" in error_of(
        tmp_path, "training", fold=0
    )


def test_one_training_case_is_too_few(tmp_path: Path) -> None:
    dataset(tmp_path, ["a", "b"])
    text = error_of(tmp_path, "training")
    assert "1 training cases (1 independent) are too few for 5 folds; add images, or list a validation part" in text
    assert len(load_datalist(tmp_path, "test")) == 1


@pytest.mark.parametrize("fold", [-1, 5])
def test_fold_out_of_range(tmp_path: Path, fold: int) -> None:
    dataset(tmp_path, [f"c{i}" for i in range(9)])
    assert f"fold is {fold}, expected 0 to 4" in error_of(tmp_path, "training", fold=fold)


def test_missing_partners_are_all_named(tmp_path: Path) -> None:
    dataset(tmp_path, [f"c{i:02d}" for i in range(20)])
    for i in range(12):
        (tmp_path / "labels" / f"c{i:02d}.png").unlink()
    image(tmp_path / "labels" / "stray.png")
    text = error_of(tmp_path, "training")
    assert "images without a label (12):" in text
    assert "c09.png" in text
    assert "c10.png" not in text
    assert "and 2 more" in text
    assert "labels without an image (1):" in text
    assert "stray.png" in text
    assert "add a label file with the image's stem" in text


def test_two_files_of_one_stem(tmp_path: Path) -> None:
    dataset(tmp_path, ["a", "b"])
    image(tmp_path / "images" / "a.bmp")
    assert "two files of one name (1)" in error_of(tmp_path, "training")


def test_ambiguous_folders(tmp_path: Path) -> None:
    dataset(tmp_path / "train", ["a"])
    dataset(tmp_path / "training", ["b"])
    assert "has the folders train/ and training/, expected one of them" in error_of(tmp_path, "training")
    dataset(tmp_path / "x" / "train", ["a"])
    dataset(tmp_path / "x", ["b"])
    assert "has images/ and a folder with a training part" in error_of(tmp_path / "x", "training")


def test_bad_dataset_json(tmp_path: Path) -> None:
    path = tmp_path / "dataset.json"
    path.write_text("{")
    assert "dataset.json: is not valid JSON" in error_of(tmp_path, "training")
    path.write_text("[]")
    assert "holds a list, expected an object with the list 'training'" in error_of(tmp_path, "training")
    write_json(tmp_path, training={"a": 1})
    assert "'training' is a dict, expected a list" in error_of(tmp_path, "training")
    write_json(tmp_path, training=[{"label": "x"}])
    assert "expected an object with 'image' and 'label'" in error_of(tmp_path, "training")
    write_json(tmp_path, training=[{"image": "x.png", "label": ["a"]}])
    assert "'label' of x.png is ['a'], expected one relative path" in error_of(tmp_path, "training")
    write_json(tmp_path, training=[{"image": "x.png", "label": "a", "case": "a/b"}])
    assert "the case name 'a/b' is no file name" in error_of(tmp_path, "training")


def test_duplicates(tmp_path: Path) -> None:
    dataset(tmp_path, ["a", "b", "c"])
    write_json(tmp_path, training=listed(["a", "b"]), test=listed(["a"]))
    text = error_of(tmp_path, "training")
    assert "images listed twice (1)" in text
    assert "images/a.png (training and test)" in text
    write_json(tmp_path, training=listed(["a", "b"], case="same"), test=listed(["c"]))
    assert "two images of one case name (1)" in error_of(tmp_path, "training")


# --- checks of the files ---


@pytest.fixture
def three_parts(tmp_path: Path) -> Path:
    """Twelve training, one validation and one test case."""
    dataset(tmp_path / "train", [f"a{i:02d}" for i in range(12)])
    dataset(tmp_path / "val", ["b"])
    dataset(tmp_path / "test", ["c"])
    return tmp_path


def test_all_kinds_of_problems_in_one_error(three_parts: Path) -> None:
    train = three_parts / "train"
    image(train / "labels" / "a00.png", 255, (8, 7))
    image(train / "labels" / "a01.png", 128)
    (train / "images" / "a02.png").write_bytes(b"")
    data = (train / "labels" / "a03.png").read_bytes()
    (train / "labels" / "a03.png").write_bytes(data[: len(data) // 2])
    image(train / "images" / "a04.png", np.zeros((8, 6, 4), np.uint8))
    text = error_of(three_parts, "training")
    assert text.startswith(f"{three_parts}: the data cannot be used as they are")
    assert "labels of another size than their image (1)" in text
    assert "a00.png: 7 x 8, image 6 x 8 (width x height)" in text
    assert "label values outside the table {0: 0, 1: 1, 255: 1} (1)" in text
    assert "a01.png: 128" in text
    assert "unreadable image files (2)" in text
    assert "a02.png: is empty" in text
    assert "a04.png: has an alpha channel with transparent pixels" in text
    assert "unreadable label files (1)" in text
    assert text.count("\n  ->") == 4
    assert len(load_datalist(three_parts, "training", check=False)) == 12
    assert len(load_datalist(three_parts, "validation")) == 1


def test_problems_of_one_kind_are_cut_at_ten(three_parts: Path) -> None:
    for i in range(12):
        image(three_parts / "train" / "labels" / f"a{i:02d}.png", 3)
    text = error_of(three_parts, "training")
    assert "(12):" in text
    assert "and 2 more" in text
    assert text.count("labels/a") == 10


def test_listed_files_that_are_missing(tmp_path: Path) -> None:
    dataset(tmp_path, ["a"])
    write_json(tmp_path, training=listed(["a", "gone"]), validation=listed(["a"]))
    write_json(tmp_path, training=listed(["gone"]), validation=listed(["a"]), test=listed(["nor"]))
    text = error_of(tmp_path, "training")
    assert "gone.png: no such file" in text
    assert "unreadable image files (1)" in text
    assert "unreadable label files (1)" in text


@pytest.mark.parametrize("channels", [2, 4])
def test_channels_that_images_cannot_have(three_parts: Path, channels: int) -> None:
    text = error_of(three_parts, "training", in_channels=channels)
    assert f"images without {channels} channels" in text
    assert "set in_channels to 1 (grey) or 3 (RGB)" in text
    assert "in_channels is 0, expected 1 (grey), 3 (RGB)" in error_of(three_parts, "training", in_channels=0)
    assert load_datalist(three_parts, "training", in_channels=1)
    assert load_datalist(three_parts, "training", in_channels=3)


def test_label_values(three_parts: Path) -> None:
    label = three_parts / "val" / "labels" / "b.png"
    image(label, np.array([[0, 1, 2]] * 8, np.uint8).repeat(2, axis=1))
    assert "b.png: 2" in error_of(three_parts, "validation")
    three = ("background", "a", "b")
    assert load_datalist(three_parts, "validation", class_names=three)
    assert load_datalist(three_parts, "validation", label_values="nonzero")
    assert load_datalist(three_parts, "validation", label_values={"0": 0, "1": 1, "2": 1})
    assert "b.png: 1" in error_of(three_parts, "validation", label_values={0: 0, 2: 1})
    Image.fromarray(np.full((8, 6), -3, np.int32)).save(label.with_suffix(".tif"))
    label.unlink()
    assert "negative label values (1)" in error_of(three_parts, "validation", label_values="nonzero")


def test_label_table() -> None:
    two, three = ("background", "x"), ("background", "x", "y")
    assert label_table(None, two) == {0: 0, 1: 1, 255: 1}
    assert label_table(None, three) == {0: 0, 1: 1, 2: 2}
    assert label_table({"0": 0, 128: 1}, two) == {0: 0, 128: 1}
    assert label_table("nonzero", two) == "nonzero"
    for values, names, message in [
        (None, ("one",), "at least two different names"),
        (None, ("a", "A"), "at least two different names"),
        (None, "background", "at least two different names"),
        ("all", two, "expected 'nonzero', 'threshold' or a table"),
        ("nonzero", three, "'nonzero' knows two classes, class_names has 3"),
        ({0: 0, 1: 2}, two, "names classes outside 0 to 1"),
        ({}, two, "names classes outside"),
        ({"x": 1}, two, "expected a table of integers"),
        ([1, 2], two, "expected a table of integers"),
    ]:
        with pytest.raises(ValueError, match=message):
            label_table(values, names)  # type: ignore[arg-type]


def test_names_in_dataset_json(tmp_path: Path) -> None:
    dataset(tmp_path, ["a"])

    def check(labels: Any, names: Sequence[str] = ("background", "foreground"), **options: Any) -> None:
        write_json(tmp_path, training=listed(["a"]), validation=listed(["a"]), labels=labels)
        write_json(tmp_path, test=listed(["a"]), labels=labels)
        load_datalist(tmp_path, "test", class_names=names, **options)

    check({"0": "background", "255": "nucleus"})
    check({"background": 0, "nucleus": 1})
    check(["background", "nucleus"])
    with pytest.raises(ValueError, match=r"contradict .* value 2 \(tumour\) belongs to no class; correct class_names"):
        check({"0": "background", "1": "liver", "2": "tumour"})
    with pytest.raises(ValueError, match=r"value 255 is b, but would become class 1 \(a\)"):
        check({"0": "background", "255": "b"}, ("background", "a", "b"), label_values={0: 0, 255: 1})
    with pytest.raises(ValueError, match="expected a table value -> name"):
        check({"x": "y"})
    check({"0": "background", "9": "anything"}, label_values="nonzero")
