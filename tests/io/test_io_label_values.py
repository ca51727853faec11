# SPDX-License-Identifier: Apache-2.0
"""What is said of label values: one table for training, check and evaluation."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sa2_monai.data import label_table, load_datalist
from sa2_monai.data.examine import examine_dataset
from sa2_monai.evaluation import evaluate
from sa2_monai.slices import MapLabelsd

TWO, THREE = ("background", "a"), ("background", "a", "b")
BOTH = {0: 0, 1: 1, 255: 1}

# values in the file, as JPEG, classes, label_values, ignore_value, classes of the values or words of the refusal
TEST_CASES: dict[str, tuple[list[int], bool, tuple[str, ...], Any, int | None, Any]] = {
    "class numbers": ([0, 1], False, TWO, None, None, [0, 1]),
    "white on black": ([0, 255], False, TWO, None, None, [0, 1]),
    "void beside both": ([0, 1, 255], False, TWO, None, None, "set ignore_value to 255"),
    "void without background": ([1, 255], False, TWO, None, None, "set ignore_value to 255"),
    "void that is ignored": ([0, 1, 255], False, TWO, None, 255, [0, 1, None]),
    "both by a table": ([0, 1, 255], False, TWO, BOTH, None, [0, 1, 1]),
    "nonzero": ([0, 1, 255], False, TWO, "nonzero", None, [0, 1, 1]),
    "nonzero and void": ([0, 7, 255], False, TWO, "nonzero", 255, [0, 1, None]),
    "negative": ([-1, 0, 1], False, TWO, None, None, "set ignore_value to -1"),
    "negative and nonzero": ([-1, 0, 1], False, TWO, "nonzero", None, "set ignore_value to -1"),
    "negative that is ignored": ([-1, 0, 1], False, TWO, None, -1, [None, 0, 1]),
    "negative by a table": ([-1, 0, 1], False, TWO, {-1: 0, 0: 0, 1: 1}, None, [0, 0, 1]),
    "void of three classes": ([0, 1, 2, 255], False, THREE, None, None, "set ignore_value to 255"),
    "void of three classes that is ignored": ([0, 1, 2, 255], False, THREE, None, 255, [0, 1, 2, None]),
    "unknown": ([0, 7], False, TWO, None, None, "label values outside the table"),
    "threshold": ([0, 127, 128, 255], False, TWO, "threshold", None, [0, 0, 1, 1]),
    "threshold of class numbers": ([0, 1], False, TWO, "threshold", None, [0, 1]),
    "threshold of 16 bits": ([0, 65535], False, TWO, "threshold", None, "threshold is for masks of 8 bits"),
    "JPEG": ([0, 60, 200, 255], True, TWO, None, None, "set label_values to threshold"),
    "JPEG and nonzero": ([0, 60, 200, 255], True, TWO, "nonzero", None, "set label_values to threshold"),
    "JPEG of classes": ([0, 60, 200, 255], True, THREE, None, None, "save the label maps as PNG"),
    "JPEG and threshold": ([0, 60, 200, 255], True, TWO, "threshold", None, [0, 0, 1, 1]),
}


def written(folder: Path, values: list[int], lossy: bool) -> Path:
    """A data set of two images with one label map, in which every value fills blocks that JPEG keeps apart."""
    array = np.repeat(np.repeat(np.array([values]), 8, axis=0), 8, axis=1)
    for name in ("images", "labels"):
        (folder / name).mkdir()
    path = folder / "labels" / f"a.{'npy' if min(values) < 0 else 'jpg' if lossy else 'png'}"
    if min(values) < 0:
        np.save(path, array.astype(np.int8))
    else:
        Image.fromarray(array.astype(np.uint8 if max(values) < 256 else np.uint16)).save(path, quality=100)
    for case in "ab":
        Image.fromarray(np.arange(array.size, dtype=np.uint8).reshape(array.shape)).save(folder / f"images/{case}.png")
    shutil.copy(path, path.with_stem("b"))
    return path


@pytest.mark.parametrize("kind", TEST_CASES)
def test_training_check_and_evaluation_agree(tmp_path: Path, kind: str) -> None:
    values, lossy, classes, label_values, ignore_value, expected = TEST_CASES[kind]
    path = written(tmp_path, values, lossy)
    options = {"label_values": label_values, "ignore_value": ignore_value}
    checked = {"class_names": classes, "test_fraction": 0.5, **options}
    refused = expected if isinstance(expected, str) else None

    if refused is not None:
        with pytest.raises(ValueError, match=refused):
            load_datalist(tmp_path, "test", **checked)
        report = examine_dataset("folder", tmp_path, class_names=classes, **options)
        assert refused in report["problems"][0]
    else:
        assert len(load_datalist(tmp_path, "test", **checked)) == 1
        assert examine_dataset("folder", tmp_path, class_names=classes, **options)["problems"] == []

    chain = MapLabelsd("label", len(classes), **options)
    from monai.transforms import LoadImaged

    from sa2_monai.data import Image2DReader

    load = LoadImaged("label", reader=Image2DReader(label=True, reverse_indexing=False), ensure_channel_first=True)
    loaded = load({"label": str(path)})
    if refused is not None:
        with pytest.raises(ValueError, match=refused):
            chain(loaded)
    else:
        mapped = chain(loaded)["label"].numpy()[0, 0, 4::8].tolist()
        assert mapped == [255 if value is None else value for value in expected]

    prediction = np.zeros((8, 8 * len(values)), np.uint8)
    if refused is not None:
        with pytest.raises(ValueError, match=refused):
            evaluate({"a": prediction}, {"a": path}, classes, **options)
    else:
        row = evaluate({"a": prediction}, {"a": path}, classes, **options).per_case[0]
        assert row["voxels_ref"] == 64 * sum(value == 1 for value in expected)


@pytest.mark.parametrize("suffix", ["jpg", "webp", "tif"])
def test_predictions_in_lossy_files(tmp_path: Path, suffix: str) -> None:
    square = np.zeros((40, 48), np.uint8)
    square[11:30, 13:37] = 255
    (tmp_path / "p").mkdir()
    options: Mapping[str, Any] = {"compression": "jpeg"} if suffix == "tif" else {}
    Image.fromarray(np.dstack([square] * 3)).save(tmp_path / f"p/a.{suffix}", quality=70, **options)
    reference = {"a": square // 255}
    for label_values in (None, BOTH):
        with pytest.raises(ValueError, match=rf"a\.{suffix}: holds the values .*set label_values to threshold"):
            evaluate({"a": tmp_path / f"p/a.{suffix}"}, reference, TWO, label_values=label_values)
    result = evaluate({"a": tmp_path / f"p/a.{suffix}"}, reference, TWO, label_values="threshold")
    assert result.per_case[0]["dice"] == 1
    counted = evaluate(
        {"a": tmp_path / f"p/a.{suffix}"}, reference, TWO, label_values="threshold", instances="auto"
    ).summary["instances"]
    assert "1.0" in str(counted)


def test_words_that_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="'threshold' knows two classes"):
        label_table("threshold", THREE)
    with pytest.raises(ValueError, match="'threshold' needs exactly one class"):
        evaluate({}, {}, THREE, label_values="threshold")
    with pytest.raises(ValueError, match="'threshold' gives every pixel a class; leave ignore_value out"):
        evaluate({"a": np.zeros((2, 2))}, {"a": np.zeros((2, 2))}, TWO, label_values="threshold", ignore_value=255)


def test_an_ignored_value_that_is_a_class(tmp_path: Path) -> None:
    written(tmp_path, [0, 1], lossy=False)
    for label_values, ignore_value in (({0: 0, 1: 1}, 1), ("threshold", 255)):
        with pytest.raises(ValueError, match="set ignore_value to null"):
            load_datalist(tmp_path, "test", test_fraction=0.5, label_values=label_values, ignore_value=ignore_value)
