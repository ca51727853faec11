# SPDX-License-Identifier: Apache-2.0
"""A file with the cases of each fold, as nnU-Net writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sa2_monai.data import load_parts
from sa2_monai.data.layouts.fold_list import read_fold_list, write_fold_list


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for part, count in (("train", 4), ("test", 1)):
        for kind in ("images", "labels"):
            (tmp_path / "data" / part / kind).mkdir(parents=True)
            for index in range(count):
                Image.new("L", (4, 4), 255).save(tmp_path / "data" / part / kind / f"{part}{index}.png")
    return tmp_path / "data"


def test_folds_as_listed(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "splits" / "folds.json"
    write_fold_list(file, [["train3", "train0"], ["train1", "train2"]])
    assert read_fold_list(file)[0] == (["train1", "train2"], ["train0", "train3"])
    for fold, held_out in ((0, ["train0", "train3"]), (1, ["train1", "train2"]), (None, ["train0", "train3"])):
        parts = load_parts(data, fold=fold, num_folds=2, split=str(file))
        assert [case["case"] for case in parts["validation"]] == held_out
        assert len(parts["training"]) == 2
        assert [case["case"] for case in parts["test"]] == ["test0"]


FOLD: dict[str, Any] = {"train": ["train0", "train1"], "val": ["train2", "train3"]}
WRONG = [
    ([], "lists no fold"),
    ({"train": []}, "is no list of folds"),
    ("none", "is no list of folds"),
    ([{"train": ["train0"]}], "is no list of folds"),
    ([FOLD], "fold is 1, but .* lists 1 folds"),
    ([FOLD, {**FOLD, "val": ["train1"]}], r"1 case\(s\) of fold 1 are in both parts: train1"),
    ([FOLD, {**FOLD, "val": ["test0"]}], r"1 case\(s\) of fold 1 are not in the data: test0"),
    ([FOLD, {**FOLD, "val": ["train3"]}], "fold 1 lists 3 of 4 training cases; not train2"),
]


@pytest.mark.parametrize(("content", "message"), WRONG, ids=[message[:20] for _, message in WRONG])
def test_wrong_lists(content: Any, message: str, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "folds.json"
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        load_parts(data, fold=1, num_folds=2, split=str(file))


def test_no_list(data: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file; split is a list of folds"):
        load_parts(data, fold=0, num_folds=2, split="nowhere.json")
