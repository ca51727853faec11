# SPDX-License-Identifier: Apache-2.0
"""MapLabelsd and CheckSameSized: tables, kinds of arrays, messages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Flipd
from PIL import Image

from sa2_monai.slices import CheckSameSized, MapLabelsd


def label_of(values: list[float], name: str = "/data/labels/a.png") -> MetaTensor:
    return MetaTensor(torch.tensor(values, dtype=torch.float32).reshape(1, 1, -1), meta={"filename_or_obj": name})


def mapped(transform: MapLabelsd, values: list[float]) -> list[int]:
    return transform({"label": label_of(values)})["label"].flatten().tolist()


def mapped_of(transform: MapLabelsd, values: list[float], name: str) -> list[int]:
    return transform({"label": label_of(values, name)})["label"].flatten().tolist()


def test_two_classes_take_both_ways_of_writing_a_mask() -> None:
    assert mapped(MapLabelsd("label", 2), [0, 1, 1, 0]) == [0, 1, 1, 0]
    assert mapped(MapLabelsd("label", 2), [0, 255, 0]) == [0, 1, 0]


def test_both_ways_in_one_file_need_to_be_explained() -> None:
    for options in ({}, {"table_key": "case"}):
        with pytest.raises(
            ValueError, match=r"a\.png has the values 0, 1, 255: .*set ignore_value to 255 .*\{0: 0, 1: 1, 255: 1\}"
        ):
            MapLabelsd("label", 2, **options)({"label": label_of([0, 1, 255])})
    assert mapped(MapLabelsd("label", 2, {0: 0, 1: 1, 255: 1}), [0, 1, 255]) == [0, 1, 1]
    assert mapped(MapLabelsd("label", 2, "nonzero"), [0, 1, 255]) == [0, 1, 1]


def test_more_classes_are_indices_already() -> None:
    assert mapped(MapLabelsd("label", 4), [3, 0, 2, 1]) == [3, 0, 2, 1]


@pytest.mark.parametrize("table", [{0: 0, 85: 1, 170: 2, 200: 2}, {"0": 0, "85": 1, "170": 2, "200": 2}])
def test_a_table_maps_raw_values(table: dict) -> None:
    assert mapped(MapLabelsd("label", 3, table), [170, 85, 0, 200]) == [2, 1, 0, 2]


def test_a_table_may_send_zero_to_an_object() -> None:
    assert mapped(MapLabelsd("label", 2, {0: 1, 255: 0}), [0, 255]) == [1, 0]


def test_nonzero_takes_instances_and_smoothed_masks() -> None:
    assert mapped(MapLabelsd("label", 2, "nonzero"), [0, 7, 40000, 0.25]) == [0, 1, 1, 1]


@pytest.mark.parametrize(
    ("classes", "table", "raw", "expected"),
    [
        (2, None, [0, 1, 255], [0, 1, 255]),
        (5, None, [4, 0, 255, 3], [4, 0, 255, 3]),
        (3, {0: 0, 85: 1, 170: 2}, [170, 85, 255], [2, 1, 255]),
        (2, "nonzero", [0, 7, 255, 40000], [0, 1, 255, 1]),
    ],
)
def test_pixels_without_a_label_keep_their_value(classes: int, table, raw: list[float], expected: list[int]) -> None:
    assert mapped(MapLabelsd("label", classes, table, ignore_value=255), raw) == expected


def test_values_to_ignore_must_be_asked_for_and_be_no_class() -> None:
    for value in (255, -1):
        with pytest.raises(ValueError, match=rf"has the values {value}: .* set ignore_value to {value} where it marks"):
            MapLabelsd("label", 3)({"label": label_of([0, value])})
    with pytest.raises(ValueError, match=r"values -1: negative label values; set ignore_value to -1"):
        MapLabelsd("label", 2, "nonzero")({"label": label_of([0, 3, -1])})
    with pytest.raises(ValueError, match=r"values 7: label values outside the table \{0: 0, 1: 1\}"):
        MapLabelsd("label", 2, ignore_value=255)({"label": label_of([7, 255])})
    with pytest.raises(ValueError, match="label_values gives class 1 to 255, the ignore_value"):
        MapLabelsd("label", 2, {0: 0, 255: 1}, ignore_value=255)
    for value in (0, 2):
        with pytest.raises(ValueError, match=f"none of 0 to 2, got {value}"):
            MapLabelsd("label", 3, ignore_value=value)
    with pytest.raises(ValueError, match="'threshold' gives every pixel a class"):
        MapLabelsd("label", 2, "threshold", ignore_value=255)


@pytest.mark.parametrize("value", [-1, 256, 65535])
def test_a_mark_that_is_no_byte_becomes_255(value: int) -> None:
    assert mapped(MapLabelsd("label", 3, ignore_value=value), [0, 2, value]) == [0, 2, 255]


def test_threshold(tmp_path: Path) -> None:
    values = np.array([[0, 90, 127, 128, 200, 255]], np.uint8).repeat(2, 0)
    transform = MapLabelsd("label", 2, "threshold")
    assert mapped(transform, values[0].tolist()) == [0, 0, 0, 1, 1, 1]
    assert mapped(transform, [0, 1, 1]) == [0, 1, 1]  # class numbers, as the file is not lossy
    assert mapped(transform, [0, 1, 255]) == [0, 0, 1]
    Image.fromarray(values).save(tmp_path / "a.jpg", quality=90)
    assert mapped_of(transform, [0, 1, 1], str(tmp_path / "a.jpg")) == [0, 0, 0]  # noise of a black JPEG
    for wrong in (-1, 256):
        with pytest.raises(ValueError, match=rf"values {wrong}: .*masks of 8 bits"):
            mapped(transform, [0, wrong])


def test_lossy_files_say_what_to_do(tmp_path: Path) -> None:
    name = str(tmp_path / "a.jpg")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(name)
    with pytest.raises(ValueError, match=r"a\.jpg has the values 0, 3, 255: lossy .*set label_values to threshold"):
        mapped_of(MapLabelsd("label", 2, "nonzero"), [0, 3, 255], name)
    with pytest.raises(
        ValueError, match=r"a\.jpg has the values 3: .*set label_values to threshold \(values above 127"
    ):
        mapped_of(MapLabelsd("label", 2), [0, 3, 255], name)
    with pytest.raises(ValueError, match=r"a\.jpg has the values 7: .*invents values: save the label maps as PNG"):
        mapped_of(MapLabelsd("label", 3), [0, 7], name)


SWAPPED = {0: 0, 1: 2, 2: 1, 5: 0}


@pytest.mark.parametrize(
    ("table", "raw", "expected"),
    [
        ({0: 0, 85: 1, 170: 2}, [2, 0, 1], [2, 0, 1]),  # class indices
        ({0: 0, 85: 1, 170: 2}, [85, 170, 0], [1, 2, 0]),  # values of the data set
        ({0: 0, 85: 1, 170: 2}, [1, 170, 255], [1, 2, 255]),  # both, and without a label
        ({3: 0, 4: 1, 5: 2}, [0, 1, 2], [0, 1, 2]),
        (SWAPPED, [2, 0, 1], [2, 0, 1]),  # all of them could also be values of the data set
        (SWAPPED, [5, 0, 5], [0, 0, 0]),
    ],
)
def test_cases_from_elsewhere_have_class_indices(table: dict, raw: list[float], expected: list[int]) -> None:
    mapping = MapLabelsd("label", 3, table, ignore_value=255, table_key="case")
    assert mapped(mapping, raw) == expected
    listed = mapping({"label": label_of(list(table)), "case": "a"})["label"]
    assert listed.flatten().tolist() == list(table.values())


def test_two_readings_of_a_case_from_elsewhere_are_an_error() -> None:
    with pytest.raises(
        ValueError, match=r"a\.png is not from the data list .* 0 to 2 .* values 5, .* and 1, which"
    ) as e:
        MapLabelsd("label", 3, SWAPPED, table_key="case")({"label": label_of([0, 1, 5])})
    assert "{0: 0, 1: 2, 2: 1, 5: 0}" in str(e.value)
    with pytest.raises(ValueError, match=r"a\.png is not from .* 255, .* and 0, which"):
        MapLabelsd("label", 2, {0: 1, 255: 0}, table_key="case")({"label": label_of([0, 255])})
    with pytest.raises(ValueError, match=r"values 7: label values outside the table .*1: 1"):
        MapLabelsd("label", 3, SWAPPED, table_key="case")({"label": label_of([7, 1])})


@pytest.mark.parametrize(("table", "raw"), [(None, [0, 255, 255]), ("nonzero", [0, 3, 255])])
def test_binary_masks_from_elsewhere(table, raw: list[float]) -> None:
    assert mapped(MapLabelsd("label", 2, table, table_key="case"), raw) == [0, 1, 1]


def test_metadata_and_history_stay() -> None:
    data = Flipd("label", spatial_axis=0)({"label": label_of([0, 255])})
    out = MapLabelsd("label", 2)(data)["label"]
    assert isinstance(out, MetaTensor)
    assert out.dtype == torch.uint8
    assert out.meta["filename_or_obj"] == "/data/labels/a.png"
    assert [operation["class"] for operation in out.applied_operations] == ["Flip"]


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_arrays_and_tensors_of_any_dtype(kind, dtype) -> None:
    label = kind(np.array([[[0, 255], [255, 0]]], dtype=dtype))
    out = MapLabelsd("label", 2)({"label": label})["label"]
    assert type(out) is type(label)
    assert str(out.dtype).removeprefix("torch.") == "uint8"
    assert out.tolist() == [[[0, 1], [1, 0]]]


def test_the_input_is_not_changed() -> None:
    label = label_of([0, 255])
    MapLabelsd("label", 2)({"label": label})
    assert label.flatten().tolist() == [0, 255]


def test_unknown_values_name_file_values_table_and_hint() -> None:
    with pytest.raises(ValueError, match=r"label /data/labels/b\.png has the values 7, 9: ") as caught:
        MapLabelsd("label", 2)({"label": label_of([0, 9, 7, 255], "/data/labels/b.png")})
    message = str(caught.value)
    assert "{0: 0, 1: 1, 255: 1}" in message
    assert "label_values" in message
    assert "'nonzero'" in message


def test_many_unknown_values_are_cut_short() -> None:
    with pytest.raises(ValueError, match=r"values 3, 4, 5, 6, 7, 8, 9, 10, and 189 more: "):
        MapLabelsd("label", 3)({"label": label_of([float(i) for i in range(200)])})
    with pytest.raises(ValueError, match=r"15: 15, \.\.\.\}"):
        MapLabelsd("label", 20)({"label": label_of([20])})


def test_fractions_are_no_classes() -> None:
    with pytest.raises(ValueError, match=r"values 0\.5: "):
        MapLabelsd("label", 2)({"label": label_of([0.5])})


def test_an_array_without_a_file_is_named_by_its_key() -> None:
    with pytest.raises(ValueError, match=r"label 'mask' \(an array without file name\) has the values 2"):
        MapLabelsd("mask", 2)({"mask": np.array([[2]])})


@pytest.mark.parametrize("classes", [0, 1, 257])
def test_impossible_numbers_of_classes(classes: int) -> None:
    with pytest.raises(ValueError, match=f"2 to 256.*got {classes}"):
        MapLabelsd("label", classes)


@pytest.mark.parametrize(
    ("table", "said"), [({0: 0, 255: 2}, "255: 2"), ({0: -1}, "0: -1"), ({}, "empty"), ("foreground", "'foreground'")]
)
def test_impossible_tables(table, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        MapLabelsd("label", 2, table)


def test_absent_labels_are_an_error_unless_allowed() -> None:
    with pytest.raises(KeyError):
        MapLabelsd("label", 2)({})
    assert MapLabelsd("label", 2, allow_missing_keys=True)({}) == {}


def test_same_size_passes_unchanged() -> None:
    data = {"image": torch.zeros(3, 5, 4), "label": torch.zeros(1, 5, 4)}
    assert CheckSameSized()(data) == data


def test_other_size_names_both_files_and_sizes() -> None:
    image = MetaTensor(torch.zeros(3, 5, 4), meta={"filename_or_obj": "/data/images/a.png"})
    label = MetaTensor(torch.zeros(1, 4, 5), meta={"filename_or_obj": "/data/labels/a.png"})
    with pytest.raises(
        ValueError, match=r"label /data/labels/a\.png has the size 4 x 5, but its image /data/images/a\.png has 5 x 4"
    ):
        CheckSameSized()({"image": image, "label": label})


def test_more_than_two_items_are_checked() -> None:
    data = {"image": np.zeros((3, 8, 8)), "label": np.zeros((1, 8, 8)), "instances": np.zeros((1, 8, 7))}
    with pytest.raises(ValueError, match="instances 'instances'"):
        CheckSameSized(("image", "label", "instances"))(data)


def test_an_absent_label_can_be_allowed() -> None:
    data = {"image": torch.zeros(3, 5, 4)}
    assert CheckSameSized(allow_missing_keys=True)(data) == data
    with pytest.raises(KeyError):
        CheckSameSized()(data)
