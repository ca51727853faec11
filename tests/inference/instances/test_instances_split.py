# SPDX-License-Identifier: Apache-2.0
"""Objects from probabilities: discs that touch are told apart, at every size, edge and number of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.draw import disk

from sa2_monai.evaluation import evaluate
from sa2_monai.inference.instances import METHODS, SplitSettings, split_image, split_objects
from sa2_monai.io.images.read import image_size, read_label
from sa2_monai.metrics import aggregated_jaccard, connected_instances


def discs(radius: float = 8, size: int = 64, bridge: float = 1.7) -> np.ndarray:
    """Numbers of two discs that touch and one apart."""
    numbers = np.zeros((size, size), np.int32)
    centres = [(2 * radius, 2 * radius), (2 * radius, (2 + bridge) * radius), (5.5 * radius, 3 * radius)]
    for number, centre in enumerate(centres, start=1):
        rows, columns = disk(centre, radius, shape=numbers.shape)
        free = numbers[rows, columns] == 0
        numbers[rows[free], columns[free]] = number
    return numbers


def blurred(numbers: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    return gaussian_filter((numbers > 0).astype(np.float32), sigma)


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("method", ["distance", "combined"])
def test_touching_discs_are_two_objects_at_every_size(method: str, scale: int) -> None:
    reference = discs(8 * scale, 64 * scale)
    probability = blurred(reference, scale)
    numbers = split_objects(probability, probability >= 0.5, SplitSettings(method))
    assert numbers.dtype == np.int32
    assert numbers.max() == 3
    assert aggregated_jaccard(numbers, reference) > 0.9
    assert aggregated_jaccard(connected_instances(probability >= 0.5), reference) < 0.7


@pytest.mark.parametrize("method", METHODS)
def test_the_foreground_is_divided_and_nothing_else(method: str) -> None:
    rng = np.random.default_rng(0)
    probability = gaussian_filter(rng.random((50, 70)), 2)
    foreground = probability >= 0.5
    numbers = split_objects(probability, foreground, SplitSettings(method, min_area=0))
    assert np.array_equal(numbers > 0, foreground)
    assert np.array_equal(np.unique(numbers), np.arange(numbers.max() + 1))
    assert all(connected_instances(numbers == number).max() == 1 for number in range(1, numbers.max() + 1))
    assert numbers.max() >= connected_instances(foreground).max()


def test_methods_differ_where_the_probability_sinks_and_the_shape_does_not() -> None:
    probability = np.zeros((20, 44), np.float32)
    probability[5:15, 2:42] = 0.95
    probability[5:15, 21:23] = 0.55  # no waist: two cells of one brick
    count = {method: split_objects(probability, probability >= 0.5, SplitSettings(method)).max() for method in METHODS}
    assert count == {"distance": 1, "probability": 2, "combined": 2, "components": 1}


def test_small_pieces_are_dropped_by_area_or_by_the_size_of_the_others() -> None:
    probability = blurred(discs())
    probability[60, 60] = 1.0
    for min_area, count in ((0, 4), (2, 3), (None, 3)):
        assert split_objects(probability, probability >= 0.5, SplitSettings(min_area=min_area)).max() == count
    assert split_objects(probability, probability >= 0.5, SplitSettings(min_area=1e6)).max() == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_images_of_nothing_and_of_one_object(method: str, value: float) -> None:
    probability = np.full((1, 9, 7), value, np.float32)
    numbers, classes = split_image(probability, [SplitSettings(method)])
    assert numbers.max() == value
    assert classes.tolist() == [0, 1][: int(value) + 1]


def test_classes_are_divided_by_themselves() -> None:
    reference = discs()
    one = blurred(reference == 1)
    two = blurred((reference == 2) | (reference == 3))
    probabilities = np.stack([1 - one - two, one, two])
    numbers, classes = split_image(probabilities, [SplitSettings(), SplitSettings("components")])
    assert classes.tolist() == [0, 1, 2, 2]
    winner = probabilities.argmax(axis=0)
    assert np.array_equal(classes[numbers], winner)
    with pytest.raises(ValueError, match=r"settings for 1 classes, expected"):
        split_image(probabilities, [SplitSettings()])


def test_the_threshold_is_that_of_one_class() -> None:
    probability = np.full((1, 8, 8), 0.55, np.float32)
    assert split_image(probability, [SplitSettings(threshold=0.6)])[0].max() == 0
    assert split_image(np.concatenate([1 - probability, probability]), [SplitSettings(threshold=0.6)])[0].max() == 1


@pytest.mark.realdata
def test_real_nuclei_divided_beat_what_is_connected(real_data: Path) -> None:
    """Blurred masks stand for a good network: what is left is to tell touching nuclei apart."""
    folder = real_data / "bbbc038_nuclei" / "instances"
    files = sorted(file for file in folder.glob("fluo_*.png") if image_size(file) == (256, 256))[:6]
    references = {file.stem: read_label(file).astype(np.int32) for file in files}
    probabilities = {case: blurred(numbers) for case, numbers in references.items()}
    scores = {}
    for method in ("combined", "components"):
        found = {
            case: split_image(probability[None], [SplitSettings(method)])[0]
            for case, probability in probabilities.items()
        }
        result = evaluate(found, references, ["background", "nucleus"], instances="numbers")
        scores[method] = result.summary["instances"]["pooled"]
    assert scores["combined"]["aji"] > scores["components"]["aji"]
    assert scores["combined"]["panoptic_quality"] > scores["components"]["panoptic_quality"]
    assert scores["combined"]["fn"] < scores["components"]["fn"]
