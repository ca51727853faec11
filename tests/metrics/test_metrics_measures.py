# SPDX-License-Identifier: Apache-2.0
"""S-measure, E-measure from counts, centre-line Dice: against other formulations, identities, values by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sa2_monai import metrics
from sa2_monai.data import read_label


def blobs(seed: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=shape), 2)
    other = field + 0.4 * gaussian_filter(rng.normal(size=shape), 2)
    return other > other.std() * rng.uniform(-0.5, 1.5), field > field.std() * rng.uniform(-0.5, 1.5)


def s_measure_by_definition(prediction: np.ndarray, reference: np.ndarray) -> float:
    """The formulas of the paper on arrays of floats, block by block, with NumPy's statistics."""
    p, r = prediction.astype(float), reference.astype(float)

    def even(values: np.ndarray) -> float:
        deviation = values.std(ddof=1) if values.size > 1 else 0.0
        return 2 * values.mean() / (values.mean() ** 2 + 1 + deviation)

    share = r.mean()
    objects = share * even(p[r == 1]) + (1 - share) * even(1 - p[r == 0])
    y, x = (int(np.floor(c.mean() + 0.5)) + 1 for c in np.nonzero(r))
    regions = 0.0
    for top, left in ((0, 0), (0, 1), (1, 0), (1, 1)):
        cut = (slice(y, None) if top else slice(0, y), slice(x, None) if left else slice(0, x))
        a, b = p[cut].ravel(), r[cut].ravel()
        if not a.size:
            continue
        covariance = np.cov(a, b) if a.size > 1 else np.zeros((2, 2))
        upper = 4 * a.mean() * b.mean() * covariance[0, 1]
        lower = (a.mean() ** 2 + b.mean() ** 2) * (covariance[0, 0] + covariance[1, 1])
        regions += a.size / p.size * (upper / lower if lower > 0 else 1.0)
    return (objects + regions) / 2


@pytest.mark.parametrize("seed", range(24))
def test_s_measure_equals_its_definition(seed: int) -> None:
    shape = tuple(np.random.default_rng(seed).integers(3, 40, 2))
    prediction, reference = blobs(seed, shape)
    if reference.any() and not reference.all():
        expected = s_measure_by_definition(prediction, reference)
        assert metrics.s_measure(prediction, reference) == pytest.approx(expected, abs=1e-12)
    noise = np.random.default_rng(seed + 100).random(shape) < 0.5
    assert metrics.s_measure(noise, noise) == pytest.approx(1, abs=1e-12)
    assert metrics.s_measure(noise, np.zeros(shape, bool)) == pytest.approx(1 - noise.mean(), abs=1e-12)
    assert metrics.s_measure(noise, np.ones(shape, np.uint8)) == pytest.approx(noise.mean(), abs=1e-12)


def test_s_measure_equals_the_values_of_another_program() -> None:
    """Recorded from PySODMetrics 1.6.2; it agreed to 1e-14 on 398 of 400 masks, two have a centroid between pixels."""
    rows, columns = np.mgrid[:24, :31]
    reference = (rows - 9) ** 2 + (columns - 12) ** 2 < 50
    prediction = (rows - 11) ** 2 + (columns - 13) ** 2 < 60
    assert metrics.s_measure(prediction, reference) == pytest.approx(RECORDED[0], abs=1e-12)
    assert metrics.s_measure(prediction | (columns > 27), reference) == pytest.approx(RECORDED[1], abs=1e-12)


RECORDED = (0.7729173194476122, 0.6435609919646834)


def test_s_measure_by_hand() -> None:
    reference, prediction = np.zeros((2, 4, 4), np.uint8)
    reference[:2, :2] = 1
    prediction[:2, :3] = 3
    # object: sensitivity 1; of 12 background pixels 10 are right. centroid (0.5, 0.5) -> first blocks are 2 x 2
    deviation = np.sqrt(10 / 12 * 2 / 12 * 12 / 11)
    objects = 4 / 16 * 1 + 12 / 16 * 2 * (10 / 12) / ((10 / 12) ** 2 + 1 + deviation)
    # blocks: both full; the prediction varies, the reference is empty; both empty, twice
    regions = (4 * 1 + 4 * 0 + 8 * 1) / 16
    assert metrics.s_measure(prediction, reference) == pytest.approx((objects + regions) / 2, abs=1e-15)
    assert metrics.s_measure(prediction, reference, alpha=1) == pytest.approx(objects, abs=1e-15)
    assert metrics.s_measure(prediction, reference, alpha=0) == pytest.approx(regions, abs=1e-15)
    # no prediction: the object part has the background alone, the block of the object is full against empty
    assert metrics.s_measure(prediction * 0, reference) == pytest.approx(0.5 * (12 / 16) + 0.5, abs=1e-15)


def test_e_measure_from_counts_equals_the_map() -> None:
    for seed in range(6):
        p, r = blobs(seed, (13, 17))
        a, b = p - p.mean(), r - r.mean()
        expected = ((2 * a * b / (a**2 + b**2 + 1e-7) + 1) ** 2 / 4).sum() / (p.size - 1)
        assert metrics.e_measure(p, r) == pytest.approx(expected, abs=1e-12)
        assert metrics.e_measure_of_counts(metrics.counts(p, r)) == metrics.e_measure(p, r)
    assert np.isnan(metrics.e_measure_of_counts(metrics.Counts(0, 0, 0, 0)))


def fan(prediction: np.ndarray, reference: np.ndarray) -> float:
    """The enhanced alignment measure pixel by pixel, as its authors' program computes it."""
    if not reference.any() or reference.all():
        enhanced = (prediction == reference).astype(float)
    else:
        a, b = prediction - prediction.mean(), reference - reference.mean()
        enhanced = (2 * a * b / (a**2 + b**2 + np.spacing(1)) + 1) ** 2 / 4
    return float(enhanced.sum() / (enhanced.size - 1 + np.spacing(1)))


#: Name -> shape, slices of the reference, slices of the prediction, value of PySODMetrics 1.6.2 where it was computed.
SHAPES: dict[str, tuple[tuple[int, int], tuple[slice, slice], tuple[slice, slice], float | None]] = {
    "small and perfect": ((64, 64), np.s_[3:6, 4:7], np.s_[3:6, 4:7], 1.0002442002),
    "one pixel in many": ((512, 512), np.s_[5:6, 5:6], np.s_[5:6, 5:6], 0.9999961854),
    "shifted": ((30, 30), np.s_[4:20, 4:20], np.s_[6:22, 4:20], 0.9316708250),
    "missed": ((100, 100), np.s_[4:20, 4:20], np.s_[:0, :0], 0.2500250025),
    "nothing to find": ((40, 50), np.s_[:0, :0], np.s_[:10, :], 0.7503751876),
    "all is object": ((40, 50), np.s_[:, :], np.s_[:20, :], 0.5002501251),
    "all is predicted": ((40, 50), np.s_[:20, :], np.s_[:, :], None),
    "nothing at all": ((9, 9), np.s_[:0, :0], np.s_[:0, :0], None),
    "all and all": ((9, 9), np.s_[:, :], np.s_[:, :], None),
}


@pytest.mark.parametrize("name", SHAPES)
def test_e_measure_of_its_authors(name: str) -> None:
    shape, inside, guess, other = SHAPES[name]
    reference, prediction = np.zeros((2, *shape), bool)
    reference[inside], prediction[guess] = True, True
    found = metrics.enhanced_alignment(prediction, reference)
    # their smallest number in the denominator is left out here: it takes 4e-6 from the single pixel
    assert found == pytest.approx(fan(prediction, reference), rel=1e-5)
    assert other is None or found == pytest.approx(other, rel=1e-5)


def test_e_measure_of_random_masks_and_of_tiny_ones() -> None:
    for seed in range(6):
        p, r = blobs(seed, (13, 17))
        assert metrics.enhanced_alignment(p, r) == pytest.approx(fan(p, r), abs=1e-12)
    # as long as the object does not vanish among the pixels, its size does not matter
    for pixels in (10**3, 10**5, 10**7):
        perfect = metrics.Counts(1, 0, 0, pixels - 1)
        assert metrics.enhanced_alignment_of_counts(perfect) == pytest.approx(pixels / (pixels - 1), abs=1e-12)
    assert metrics.e_measure_of_counts(perfect) < 0.3  # the published code
    assert np.isnan(metrics.enhanced_alignment_of_counts(metrics.Counts(1, 0, 0, 0)))
    with pytest.raises(ValueError, match=r"expected \(H, W\)"):
        metrics.enhanced_alignment(np.zeros((2, 3, 4), bool), np.zeros((2, 3, 4), bool))


def test_cldice_by_hand() -> None:
    pytest.importorskip("skimage", reason="extra `microscopy` is not installed")
    vessel, wide, half = np.zeros((3, 11, 30), np.uint8)
    vessel[5, 2:22] = 1
    wide[4:7, 2:22] = 1
    half[5, 2:12] = 1
    # the line of the wide vessel runs in the thin one but for a pixel at its end; the thin one lies in the wide one
    line = metrics.centre_line(wide > 0)
    inside = np.count_nonzero(line & (vessel > 0))
    assert line.sum() - inside <= 1
    precision = inside / line.sum()
    assert metrics.cldice(wide, vessel) == pytest.approx(2 * precision / (1 + precision))
    assert metrics.cldice(vessel, vessel) == 1
    assert metrics.cldice(half, vessel) == pytest.approx(2 * 1 * 0.5 / 1.5)
    assert metrics.cldice(vessel, half) == pytest.approx(2 * 0.5 * 1 / 1.5)
    apart = np.roll(vessel, 4, axis=0)
    assert metrics.cldice(apart, vessel) == 0
    # half of a line lies beside the vessel
    bent = half.copy()
    bent[9, 12:22] = 1
    assert metrics.cldice(bent, vessel) == pytest.approx(0.5)
    assert metrics.cldice(vessel * 0, vessel) == 0
    assert metrics.cldice(vessel, vessel * 0) == 0
    assert np.isnan(metrics.cldice(vessel * 0, vessel * 0))


def test_cldice_of_a_volume() -> None:
    pytest.importorskip("skimage", reason="extra `microscopy` is not installed")
    vessel, short = np.zeros((2, 7, 8, 30), bool)
    vessel[2:5, 3:6, 2:26] = True
    short[2:5, 3:6, 2:14] = True
    line = metrics.centre_line(vessel)
    assert not (line & ~vessel).any()
    assert line[3, 4].sum() == line.sum()
    inside = int((line & short).sum())
    sensitivity = inside / line.sum()
    assert metrics.cldice(short, vessel) == pytest.approx(2 * sensitivity / (1 + sensitivity))


@pytest.mark.parametrize("size", [(2, 2, 2), (2, 2, 9), (1, 1, 1), (2, 2), (3, 3), (1, 7)])
def test_no_object_loses_its_centre_line(size: tuple[int, ...]) -> None:
    pytest.importorskip("skimage", reason="extra `microscopy` is not installed")
    mask = np.zeros((14,) * len(size), bool)
    mask[tuple(slice(3, 3 + n) for n in size)] = True
    mask[(slice(-1, None),) * len(size)] = True  # another object, in the corner
    line = metrics.centre_line(mask)
    assert not (line & ~mask).any()
    assert line[(-1,) * len(size)]
    assert line.sum() >= 2
    assert line.sum() <= 1 + max(size)


def test_without_scikit_image_the_hint_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.morphology", None)
    with pytest.raises(ImportError, match=r"cldice.* needs scikit-image; .*pip install 'sa2_monai\[microscopy\]'"):
        metrics.cldice(np.ones((3, 3), bool), np.ones((3, 3), bool))


MASK = np.zeros((4, 5), bool)
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "alpha": (lambda: metrics.s_measure(MASK, MASK, alpha=1.5), "alpha is 1.5, expected a number from 0 to 1"),
    "a stack": (lambda: metrics.s_measure(MASK[None], MASK[None]), r"shape \(1, 4, 5\), expected .H, W."),
    "probabilities": (lambda: metrics.s_measure(MASK * 0.5, MASK), "data type float64"),
    "shapes": (lambda: metrics.cldice(MASK, MASK.T), "expected equal shapes"),
    "one axis": (lambda: metrics.cldice(MASK[0], MASK[0]), "expected two or three axes"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_nothing_to_measure() -> None:
    assert np.isnan(metrics.s_measure(np.zeros((0, 3), bool), np.zeros((0, 3), bool)))


def test_a_corner_of_three_voxels_keeps_one() -> None:
    pytest.importorskip("skimage", reason="extra `microscopy` is not installed")
    mask = np.zeros((4, 4, 4), bool)
    mask[1, 1, 1] = mask[1, 1, 2] = mask[2, 1, 2] = True
    line = metrics.centre_line(mask)
    assert line.sum() == 1
    assert mask[line].all()


@pytest.mark.realdata
def test_sizes_of_real_lesions_and_vessels(real_data: Path) -> None:
    """Pixels and the area in the outer contour agree for lesions, not for vessels, whose loops a contour fills."""
    for folder, low, high in (("kvasir_polyps", 0.9, 1.01), ("fives_sample", 1.1, 5.0)):
        for file in sorted((real_data / folder / "labels").glob("*.png"))[:4]:
            mask = read_label(file) > 0
            ratio = metrics.largest_contour_percent(mask) / metrics.largest_object_percent(mask)
            assert low < ratio < high
            assert metrics.s_measure(mask, mask) == pytest.approx(1)
            assert metrics.e_measure(mask, mask) == pytest.approx(1, abs=1e-4)
