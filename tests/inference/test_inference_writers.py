# SPDX-License-Identifier: Apache-2.0
"""Writers by the kind of files, and the form of label maps that servers write themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sa2_monai.data import read_label
from sa2_monai.inference import (
    CaseSaveImaged,
    ProbabilitySaveImaged,
    ServedLabelsd,
    VolumeProbabilitySaveImaged,
    VolumeSaveImaged,
    case_writer,
    probability_writer,
)

NAMES = ["background", "object"]
# kind, writer of label maps, writer of probabilities
TEST_CASES: list[tuple[str, type, type]] = [
    ("images", CaseSaveImaged, ProbabilitySaveImaged),
    ("volumes", VolumeSaveImaged, VolumeProbabilitySaveImaged),
    ("preprocessed", VolumeSaveImaged, VolumeProbabilitySaveImaged),
]
LABELS = torch.arange(6.0).reshape(1, 2, 3, 1)


@pytest.mark.parametrize(("kind", "labels", "probabilities"), TEST_CASES)
def test_the_writer_of_a_kind(kind: str, labels: type, probabilities: type, tmp_path: Path) -> None:
    assert type(case_writer(kind, tmp_path, NAMES)) is labels
    assert type(probability_writer(kind, tmp_path, NAMES)) is probabilities


@pytest.mark.parametrize("make", [case_writer, probability_writer])
def test_another_kind(make: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"kind is 'photos'"):
        make("photos", tmp_path, NAMES)


def test_maps_of_2d_images_are_rows_and_columns(tmp_path: Path) -> None:
    case_writer("images", tmp_path, NAMES, output_postfix="seg")({"pred": LABELS, "case": "a"})
    np.testing.assert_array_equal(read_label(tmp_path / "a_seg.png"), np.arange(6).reshape(2, 3))


def test_the_form_for_servers() -> None:
    found = ServedLabelsd("pred", "images")({"pred": LABELS})
    assert found["result_extension"] == ".png"
    assert found["pred"].dtype in (torch.uint8, np.uint8)
    np.testing.assert_array_equal(np.asarray(found["pred"]), np.arange(6).reshape(2, 3).T)  # (W, H)
    asked = ServedLabelsd("pred", "images")({"pred": LABELS, "result_extension": ".tif"})
    assert asked["result_extension"] == ".tif"
    volume = ServedLabelsd("pred", "volumes")({"pred": LABELS})
    assert volume["pred"].shape == (1, 2, 3, 1)
    assert "result_extension" not in volume
