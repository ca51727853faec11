# SPDX-License-Identifier: Apache-2.0
"""Matching of single objects: values worked out by hand, and both ways of choosing pairs."""

from __future__ import annotations

import numpy as np
import pytest

from sa2_monai.metrics import InstanceMatch, aggregated_jaccard, connected_instances, match_instances
from sa2_monai.metrics.detection import object_pairs


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


def moved_blocks(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbered blocks whose borders are moved, some missing or invented, one over several; the same for a seed."""
    rng = np.random.RandomState(seed)
    prediction, reference = np.zeros((2, 96, 96), np.int32)
    number = 0
    for row in range(0, 96, 16):
        for column in range(0, 96, 16):
            number += 1
            top, bottom, left, right = rng.randint(0, 5, 4)
            if rng.rand() < 0.85:
                reference[row + 1 : row + 14, column + 1 : column + 14] = number
            if rng.rand() < 0.85:
                prediction[row + top : row + 16 - bottom, column + left : column + 16 - right] = 1000 - number
    prediction[40:44] = np.where(prediction[40:44], 5, 0)
    return prediction, reference


#: Seed, threshold, TP, FP, FN, F1, SQ, PQ. Those at 0.5 are what panoptica 2.1.7 (NaiveThresholdMatching) returns, all
#: of them what StarDist 0.9.2 (stardist.matching.matching, in single precision) returns; both count a pair whose IoU is
#: at least the threshold, here it must be above, and no IoU of these maps is one of the thresholds.
PUBLISHED = [
    (0, 0.5, 19, 10, 12, 0.6333333333333333, 0.6362601446978233, 0.40296475830862144),
    (0, 0.6, 12, 17, 19, 0.4, 0.6792405, 0.2716962),
    (0, 0.7, 4, 25, 27, 0.13333333333333333, 0.7481307, 0.09975076),
    (1, 0.5, 23, 10, 9, 0.7076923076923077, 0.6774979045407162, 0.4794600555211223),
    (1, 0.6, 17, 16, 15, 0.5230769230769231, 0.71693176, 0.37501046),
    (1, 0.7, 9, 24, 23, 0.27692307692307694, 0.7712554, 0.21357842),
    (1, 0.8, 3, 30, 29, 0.09230769230769231, 0.8209114, 0.075776435),
]


@pytest.mark.parametrize(("seed", "threshold", "tp", "fp", "fn", "f1", "sq", "pq"), PUBLISHED)
def test_values_of_panoptica_and_stardist(
    seed: int, threshold: float, tp: int, fp: int, fn: int, f1: float, sq: float, pq: float
) -> None:
    found = match_instances(*moved_blocks(seed), threshold)
    assert found[:3] == (tp, fp, fn)
    assert found.f1 == pytest.approx(f1, abs=1e-12)
    assert found.segmentation_quality == pytest.approx(sq, abs=1e-12 if threshold == 0.5 else 1e-6)
    assert found.panoptic_quality == pytest.approx(pq, abs=1e-12 if threshold == 0.5 else 1e-6)


def plain_aji(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Algorithm 1 of Kumar et al. (2017), pixel sets and loops."""
    pixels = {
        name: {int(n): set(np.flatnonzero(labels == n).tolist()) for n in np.unique(labels[labels != 0])}
        for name, labels in (("p", prediction), ("r", reference))
    }
    shared, union, used = 0, 0, set()
    for one in pixels["r"].values():
        best = max(pixels["p"], key=lambda n: len(one & pixels["p"][n]) / len(one | pixels["p"][n]), default=None)
        if best is None or not one & pixels["p"][best]:
            union += len(one)
            continue
        shared += len(one & pixels["p"][best])
        union += len(one | pixels["p"][best])
        used.add(best)
    union += sum(len(other) for n, other in pixels["p"].items() if n not in used)
    return shared / union


@pytest.mark.parametrize("seed", range(4))
def test_aggregated_jaccard_equals_the_loop_over_pixels(seed: int) -> None:
    prediction, reference = moved_blocks(seed)
    assert aggregated_jaccard(prediction, reference) == pytest.approx(plain_aji(prediction, reference), abs=1e-12)


def test_aggregated_jaccard_by_hand() -> None:
    # 6 of 8 pixels are shared by the pair; the missed object adds 4 pixels, the false one 12
    assert aggregated_jaccard(*maps()) == pytest.approx(6 / (8 + 4 + 12))
    assert object_pairs(*maps()).aggregated() == (6, 24)
    nothing = np.zeros((4, 4), np.uint8)
    assert np.isnan(aggregated_jaccard(nothing, nothing))
    assert aggregated_jaccard(nothing, nothing + 1) == 0
    two = np.array([[1, 1, 2, 2]])
    assert aggregated_jaccard(np.array([[7, 7, 7, 7]]), two) == 0.5  # the best of both: 2 of 4 pixels, twice
