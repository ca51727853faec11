# SPDX-License-Identifier: Apache-2.0
"""The steps of a bundle: numbers beside the probabilities, files that hold them, outlines for viewers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sa2_monai.inference import InstanceSaveImaged, ServedLabelsd, SplitInstancesd
from sa2_monai.inference.instances import outlined
from sa2_monai.io.images.read import read_label

TWO = ["background", "nucleus"]


def test_numbers_stand_beside_the_probabilities() -> None:
    pred = torch.zeros(1, 12, 12, 1)
    pred[0, 1:4, 1:4], pred[0, 6:10, 6:10] = 0.9, 0.8
    step = SplitInstancesd("pred", True, TWO)
    data = step({"pred": pred})
    assert data["pred"] is pred
    assert (data["pred_instances"].shape, data["pred_instances"].dtype) == (pred.shape, torch.int32)
    assert data["pred_instances"].unique().tolist() == [0, 1, 2]
    assert "pred_instances" not in SplitInstancesd("pred", False, TWO)({"pred": pred})
    with pytest.raises(ValueError, match="expected those of a 2D image"):
        step({"pred": torch.zeros(1, 4, 4, 4)})


@pytest.mark.parametrize(("largest", "suffix"), [(65535, ".png"), (65536, ".tif")])
def test_files_hold_every_number(largest: int, suffix: str, tmp_path: Path) -> None:
    numbers = np.zeros((1, 5, 7, 1), np.int32)
    numbers[0, 2, 3, 0] = largest
    InstanceSaveImaged("pred_instances", tmp_path, reverse_indexing=False)({"pred_instances": numbers, "case": "a/b"})
    assert [file.name for file in tmp_path.rglob("*.*")] == [f"b{suffix}"]
    assert np.array_equal(read_label(tmp_path / f"a/b{suffix}"), numbers[0, :, :, 0])


@pytest.mark.parametrize("wrong", [np.zeros((1, 4, 4), np.float32), np.full((1, 4, 4), -1), np.zeros((2, 4, 4), int)])
def test_what_is_no_map_of_numbers_is_refused(wrong: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected numbers of objects"):
        InstanceSaveImaged("instances", tmp_path)({"instances": wrong, "case": "a"})
    assert list(tmp_path.iterdir()) == []


def test_viewers_get_a_line_between_objects_that_touch() -> None:
    numbers = torch.zeros(1, 6, 8, 1, dtype=torch.int32)
    numbers[0, 1:5, 1:4], numbers[0, 1:5, 4:7] = 1, 2
    labels = (numbers > 0).int()
    expected = labels.clone()
    expected[0, 1:5, 4] = 0
    assert torch.equal(outlined(labels, numbers), expected)
    assert torch.equal(labels, (numbers > 0).int())
    served = ServedLabelsd("pred", "images")({"pred": labels, "pred_instances": numbers})["pred"]
    assert torch.equal(torch.as_tensor(served).int(), expected[0, :, :, 0].T)
