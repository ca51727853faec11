# SPDX-License-Identifier: Apache-2.0
"""The core that measures all structures of a label map: against brute force, the goldens, MONAI and MedPy."""

from __future__ import annotations

import contextlib
import io
import json
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance
from monai.networks import one_hot
from scipy.ndimage import (
    binary_erosion,
    distance_transform_edt,
    find_objects,
    gaussian_filter,
    generate_binary_structure,
)

from sa2_monai import metrics
from sa2_monai.metrics import boxes, nearest

GOLDENS = Path(__file__).parents[1] / "goldens"
GOLDEN = json.loads((GOLDENS / "metrics.json").read_text())
ARRAYS = dict(np.load(GOLDENS / "metrics.npz"))
LABEL_MAPS = {case["name"]: case for case in GOLDEN["cases"]}


def field(shape: tuple[int, ...], seed: int, sigma: float = 2.0) -> np.ndarray:
    values = gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return np.asarray(values / values.std())


def label_maps(shape: tuple[int, ...], seed: int = 0, change: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    first = field(shape, seed)
    second = first + change * field(shape, seed + 1, 1.0)
    prediction, reference = (((f > 0.8) + 2 * (f < -1)).astype(np.uint8) for f in (second, first))
    return prediction, reference


def by_transform(p: np.ndarray, r: np.ndarray, spacing: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The definition: distance transform of the whole array, read at the surface of the other mask."""
    cross = generate_binary_structure(p.ndim, 1)
    surfaces = [mask & ~binary_erosion(mask, cross) for mask in (p, r)]
    to_p, to_r = (distance_transform_edt(~surface, sampling=spacing) for surface in surfaces)
    return to_r[surfaces[0]], to_p[surfaces[1]]


def check(prediction: np.ndarray, reference: np.ndarray, spacing: tuple[float, ...], values: Any = (1, 2)) -> None:
    measured = metrics.measure_structures(prediction, reference, values, spacing)
    assert list(measured) == list(values)
    for value, (counts, distances) in measured.items():
        p, r = prediction == value, reference == value
        assert counts == metrics.counts(p, r)
        if not (p.any() and r.any()):
            assert [len(d) > 0 for d in distances] == [p.any(), r.any()]
            continue
        for found, expected in zip(distances, by_transform(p, r, spacing), strict=True):
            np.testing.assert_allclose(np.sort(found), np.sort(expected), rtol=1e-12, atol=1e-12)


def island(p: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p = np.pad(p, [(0, 60), (50, 0), (0, 20)])
    p[-3:, :2, -1:] = 1  # a false island in the corner that is farthest away
    return p, np.pad(r, [(0, 60), (50, 0), (0, 20)])


CHANGES: dict[str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "as they are": lambda p, r: (p, r),
    "Fortran order": lambda p, r: (np.asfortranarray(p), np.asfortranarray(r)),
    "mixed order": lambda p, r: (np.asfortranarray(p), r),
    "other types": lambda p, r: (p.astype(np.int64), r.astype(np.uint16)),
    "large numbers": lambda p, r: (np.where(p == 0, 300, p), r),
    "views": lambda p, r: (p[::-1, ::2], r[::-1, ::2]),
    "displaced": lambda p, r: (np.roll(p, 11, axis=0), r),
    "far away": lambda p, r: (np.pad(p, [(70, 0), (0, 0), (0, 0)]), np.pad(r, [(0, 70), (0, 0), (0, 0)])),
    "an island": island,
    "noise": lambda p, r: (np.where(field(p.shape, 9, 0.1) > 1.5, 1, p).astype(np.uint8), r),
    "empty prediction": lambda p, r: (p * 0, r),
    "empty reference": lambda p, r: (p, r * 0),
    "both empty": lambda p, r: (p * 0, r * 0),
    "one slice": lambda p, r: (p[:, :, :1], r[:, :, :1]),
    "one row": lambda p, r: (p[:1], r[:1]),
}


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.8, 5.0), (4.0, 0.7, 0.9)])
@pytest.mark.parametrize("name", CHANGES)
def test_distances_and_counts_equal_the_definition(name: str, spacing: tuple[float, ...]) -> None:
    check(*CHANGES[name](*label_maps((30, 26, 18))), spacing)


@pytest.mark.parametrize("columns", [3, 12, 800])
def test_the_search_is_exact_wherever_it_gives_way_to_the_tree(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "_COLUMNS", columns)
    monkeypatch.setattr(nearest, "_FEW", 1)
    prediction, reference = label_maps((24, 30, 20), seed=3, change=1.0)
    check(np.roll(prediction, 5, axis=1), reference, (0.9, 1.1, 2.5))
    check(prediction[:, :, 0], reference[:, :, 3], (0.9, 1.1))


def test_parts_are_measured_together() -> None:
    """The nearest surface may lie in another box than the point itself."""
    prediction, reference = np.zeros((2, 120, 60, 60), np.uint8)
    prediction[5:40, 5:40, 5:40] = 1  # the reference has nothing here
    prediction[80:100, 40:44, 5:40] = 1
    reference[80:100, 41:45, 5:40] = 1
    assert len(boxes.value_boxes([prediction, reference], [1])[1]) == 2
    check(prediction, reference, (1.0, 1.0, 1.0), (1,))
    check(reference, prediction, (1.0, 2.0, 0.5), (1,))


@pytest.mark.parametrize("turn", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_another_part_may_be_nearer_than_the_own_one(turn: tuple[int, int]) -> None:
    """The end of a long line lies far from the reference of its own box, and near that of another box."""
    prediction, reference = np.zeros((2, 200, 200), np.uint8)
    prediction[5:150, 100] = 1
    reference[5:12, 100] = 1
    reference[140:150, 140:150] = reference[60:70, 5:15] = 1  # to both sides, one of them farther away
    prediction, reference = (labels[:: turn[0], :: turn[1]] for labels in (prediction, reference))
    assert len(boxes.value_boxes([prediction, reference], [1])[1]) == 3
    check(prediction, reference, (1.0, 1.0), (1,))
    check(prediction, reference, (1.0, 2.5), (1,))


def test_many_parts_share_one_box(monkeypatch: pytest.MonkeyPatch) -> None:
    prediction, reference = np.zeros((2, 160, 160), np.uint8)
    prediction[::40, ::40] = 1
    reference[1::40, 2::40] = 1
    assert len(boxes.value_boxes([prediction, reference], [1])[1]) == 16
    check(prediction, reference, (1.0, 1.5), (1,))
    monkeypatch.setattr(boxes, "_MANY", 4)
    assert len(boxes.value_boxes([prediction, reference], [1])[1]) == 1
    check(prediction, reference, (1.0, 1.5), (1,))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16])
def test_boxes_hold_all_voxels_and_do_not_overlap(kind: type) -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 7, 8, 9, 16, 250, 255], (60, 50, 40), p=[0.9993, *[0.0001] * 7]).astype(kind)
    plain = boxes.unsigned(labels)
    wanted = [1, 7, 8, 9, 16, 100, 250, 255]
    found = boxes.value_boxes([plain], wanted)
    assert sorted(found) == sorted({int(v) for v in np.unique(labels)} - {0})
    assert boxes.values_of(plain) == {int(v) for v in np.unique(labels)}
    for value, parts in found.items():
        covered = np.zeros(labels.shape, int)
        for box in parts:
            covered[box] += 1
        assert covered.max() == 1
        assert (covered[labels == value] == 1).all()
    mask = plain == 255
    assert boxes.tight_box(mask) == find_objects(mask.astype(int))[0]


def test_values_of_few_and_many_classes() -> None:
    for high in (1, 9, 63, 64, 200, 255, 300):
        labels = np.arange(0, high + 1, 3, dtype=np.uint16 if high > 255 else np.uint8)
        assert boxes.values_of(labels) == set(labels.tolist())
        assert boxes.values_of(np.asfortranarray(np.stack([labels] * 3))[:, ::-1]) == set(labels.tolist())
    assert boxes.values_of(np.zeros(0, np.uint8)) == set()


def test_no_temporary_has_the_size_of_the_volumes() -> None:
    prediction, reference = np.zeros((2, 200, 200, 150), np.uint8)  # 6 MB each
    for value, start in enumerate((10, 60, 120), start=1):
        reference[start : start + 20, start : start + 20, start : start + 20] = value
        prediction[start : start + 20, start + 1 : start + 20, start : start + 22] = value
    tracemalloc.start()
    metrics.measure_structures(prediction, reference, (1, 2, 3), (0.8, 0.8, 2.5))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * prediction.nbytes


def test_counts_alone_cost_no_distances() -> None:
    prediction, reference = label_maps((20, 20, 20))
    measured = metrics.measure_structures(prediction, reference, (1, 2, 3), distances=False)
    for value, structure in measured.items():
        assert structure.counts == metrics.counts(prediction == value, reference == value)
        assert [len(d) for d in structure.distances] == [0, 0]


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "negative": (lambda: metrics.measure_structures(np.full((3, 3), -1), np.zeros((3, 3), int), [1]), "the value -1"),
    "axes": (lambda: metrics.measure_structures(np.zeros(3, int), np.zeros(3, int), [1]), "two or three axes"),
    "shapes": (lambda: metrics.measure_structures(np.zeros((3, 3), int), np.zeros((3, 4), int), [1]), "equal shapes"),
    "type": (lambda: metrics.measure_structures(np.zeros((3, 3)), np.zeros((3, 3), int), [1]), "data type float64"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_maps_are_refused(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", LABEL_MAPS)
def test_all_classes_of_a_golden_map_at_once(name: str) -> None:
    case = LABEL_MAPS[name]
    values = [int(value) for value in case["classes"]]
    measured = metrics.measure_structures(ARRAYS[f"{name}.pred"], ARRAYS[f"{name}.ref"], values, case["spacing"])
    for value in values:
        golden = case["classes"][str(value)]
        assert measured[value].counts._asdict() == golden["counts"]
        if golden["mm"]["hd"] not in (None, "inf"):
            assert metrics.hd95(*measured[value].distances) == pytest.approx(golden["mm"]["hd95_max"], abs=1e-9)
            assert metrics.assd(*measured[value].distances) == pytest.approx(golden["mm"]["assd"], abs=1e-9)


def present(name: str) -> list[int]:
    p, r = ARRAYS[f"{name}.pred"], ARRAYS[f"{name}.ref"]
    return [int(v) for v in LABEL_MAPS[name]["classes"] if (p == int(v)).any() and (r == int(v)).any()]


@pytest.mark.parametrize("name", [name for name in LABEL_MAPS if present(name)])
def test_equal_to_monai_as_installed(name: str) -> None:
    case, values = LABEL_MAPS[name], present(name)
    maps = [ARRAYS[f"{name}.{role}"] for role in ("pred", "ref")]
    channels = max(values) + 1
    tensors = [one_hot(torch.from_numpy(m.astype(np.int64))[None, None] % 256, 256)[:, :channels] for m in maps]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        hd95 = compute_hausdorff_distance(*tensors, percentile=95, spacing=[float(s) for s in case["spacing"]])[0]
        dice = compute_dice(*tensors, include_background=False)[0]
    measured = metrics.measure_structures(*maps, values, case["spacing"])
    for value in values:
        assert metrics.dice(measured[value].counts) == pytest.approx(float(dice[value - 1]), rel=1e-6)
        assert metrics.hd95(*measured[value].distances) == pytest.approx(float(hd95[value - 1]), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", [name for name in LABEL_MAPS if present(name)])
def test_equal_to_medpy_as_installed(name: str) -> None:
    binary = pytest.importorskip("medpy.metric.binary", reason="MedPy is not installed")
    case, values = LABEL_MAPS[name], present(name)
    maps = [ARRAYS[f"{name}.{role}"] for role in ("pred", "ref")]
    for spacing in (None, case["spacing"]):
        for value, (counts, distances) in metrics.measure_structures(*maps, values, spacing).items():
            masks = [m == value for m in maps]
            assert metrics.dice(counts) == pytest.approx(binary.dc(*masks), abs=1e-9)
            assert metrics.hd95_pooled(*distances) == pytest.approx(binary.hd95(*masks, spacing), abs=1e-9)
            assert metrics.assd(*distances) == pytest.approx(binary.assd(*masks, spacing), abs=1e-9)
