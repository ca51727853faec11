# SPDX-License-Identifier: Apache-2.0
"""Matching of single objects: values worked out by hand, and both ways of choosing pairs."""

from __future__ import annotations

import numpy as np
import pytest

from sa2_monai.metrics import InstanceMatch, connected_instances, match_instances


def maps() -> tuple[np.ndarray, np.ndarray]:
    """Object 1 with IoU 2/3, object 2 missed, one false object, numbers without meaning."""
    prediction, reference = np.zeros((2, 10, 20), np.int32)
    reference[1:3, 1:5], prediction[1:3, 1:4] = 70, 9  # 8 and 6 pixels, 6 shared: IoU 0.75
    reference[5:7, 1:3] = 3
    prediction[5:8, 10:14] = 200
    return prediction, reference


def test_values_by_hand() -> None:
    found = match_instances(*maps())
    assert found[:3] == (1, 1, 1)
    assert found.iou_sum == pytest.approx(0.75)
    assert (found.precision, found.recall, found.f1) == (0.5, 0.5, 0.5)
    assert found.segmentation_quality == pytest.approx(0.75)
    assert found.panoptic_quality == pytest.approx(0.375)
    assert match_instances(*maps(), threshold=0.75)[:3] == (0, 2, 2)  # above, not at


def test_without_objects_there_is_no_value() -> None:
    nothing = np.zeros((4, 4), np.uint8)
    one = nothing.copy()
    one[1, 1] = 5
    assert match_instances(nothing, nothing) == (0, 0, 0, 0)
    assert np.isnan(match_instances(nothing, nothing).f1)
    assert match_instances(one, nothing) == (0, 1, 0, 0)
    assert match_instances(nothing, one).recall == 0
    assert np.isnan(match_instances(nothing, one).segmentation_quality)
    full = np.ones((3, 3), int)  # no background at all
    assert match_instances(full * 4, full) == (1, 0, 0, 1.0)


def test_low_thresholds_take_the_pairs_that_match_most_objects() -> None:
    prediction, reference = np.zeros((2, 1, 30), np.uint8)
    reference[0, 0:10], reference[0, 10:20] = 1, 2
    prediction[0, 4:14], prediction[0, 0:4] = 1, 2  # 1 lies over both, 2 over the first alone
    found = match_instances(prediction, reference, threshold=0.1)
    assert found[:3] == (2, 0, 0)
    assert found.iou_sum == pytest.approx(4 / 16 + 4 / 10)


def test_many_objects_equal_the_loop_over_pairs() -> None:
    rng = np.random.default_rng(0)
    reference = connected_instances(rng.random((60, 60)) > 0.7)
    prediction = connected_instances((reference > 0) & (rng.random((60, 60)) > 0.1))
    tp, total = 0, 0.0
    for i in np.unique(prediction[prediction > 0]):
        for j in np.unique(reference[prediction == i]):
            p, r = prediction == i, reference == j
            iou = (p & r).sum() / (p | r).sum()
            if j and iou > 0.5:
                tp, total = tp + 1, total + iou
    found = match_instances(prediction, reference)
    assert found.tp == tp
    assert found.iou_sum == pytest.approx(total)
    assert (found.fp, found.fn) == (prediction.max() - tp, reference.max() - tp)


def test_objects_touch_at_corners() -> None:
    assert connected_instances(np.eye(4, dtype=np.uint8) * 255).max() == 1
    assert connected_instances(np.diag([1, 0, 1])).max() == 2


@pytest.mark.parametrize("threshold", [-0.1, 1.0, float("nan")])
def test_thresholds_that_are_none(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold is"):
        match_instances(*maps(), threshold=threshold)


def test_matches_of_images_add() -> None:
    total = InstanceMatch(*np.sum([match_instances(*maps()), match_instances(*maps())], axis=0))
    assert total.panoptic_quality == pytest.approx(0.375)
