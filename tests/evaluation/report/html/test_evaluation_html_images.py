# SPDX-License-Identifier: Apache-2.0
"""Layers in the colours of their classes, thumbnails, and the budget of bytes."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from sa2_monai.evaluation import EvaluationResult, evaluate
from sa2_monai.evaluation.report.html import html_report, images
from sa2_monai.evaluation.report.html.encoding import layer_address
from sa2_monai.evaluation.report.html.images import collect_images
from sa2_monai.evaluation.report.overlays import BOTH_COLOUR, draw_overlays
from sa2_monai.io.palette import class_colour

CASES = 9


def opened(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).convert("RGBA"))


@pytest.fixture(scope="module")
def result() -> EvaluationResult:
    rng = np.random.default_rng(0)
    references, predictions, pictures = {}, {}, {}
    for index in range(CASES):
        reference = np.zeros((90, 80), np.uint8)
        reference[20:60, 10:40], reference[60:80, 50:70] = 1, 2
        predictions[f"c{index}"] = np.roll(reference, index, axis=1)
        references[f"c{index}"] = reference
        pictures[f"c{index}"] = rng.integers(0, 255, (90, 80, 3), dtype=np.uint8)
    predictions["c4"] = np.where(predictions["c4"] == 2, 0, predictions["c4"])
    return evaluate(predictions, references, ["background", "a", "b"], images=pictures, bootstrap_samples=10)


def test_layers_are_true_to_the_class(result: EvaluationResult) -> None:
    found = collect_images(result, draw_overlays(result, 1))
    assert [(figure.kind, figure.case) for figure in found.figures] == [
        ("missed: b, worst 1", "c4"),
        ("median 1", "c5"),
        ("best 1", "c0"),
    ]
    missed = found.figures[0]
    assert [layer.name for layer in missed.layers] == ["image", "reference", "prediction", "differences"]
    image, reference, prediction, differences = (opened(layer.address) for layer in missed.layers)
    assert image.shape == reference.shape == (missed.height, missed.width, 4)
    assert (image[..., 3] == 255).all()
    for value, seen in ((1, True), (2, False)):
        colour = class_colour(value)
        assert (reference[..., :3] == colour).all(axis=-1).any()
        assert (prediction[..., :3] == colour).all(axis=-1).any() == seen
        assert (differences[..., :3] == colour).all(axis=-1).any()
    assert (differences[..., :3] == BOTH_COLOUR).all(axis=-1).any()  # of the best case, to say so: both run together
    assert set(np.unique(reference[..., 3])) == {0, 102, 255}  # nothing, fill, line
    scale = missed.height // 90
    inside = reference[30 * scale, 20 * scale]
    assert tuple(inside) == (*class_colour(1), 102)


def test_every_case_has_a_thumbnail(result: EvaluationResult, monkeypatch: pytest.MonkeyPatch) -> None:
    found = collect_images(result, draw_overlays(result, 1))
    assert sorted(found.thumbnails) == result.cases
    assert {max(opened(address).shape[:2]) for address in found.thumbnails.values()} == {112}
    monkeypatch.setitem(images._THUMBNAILS, 2, 4)
    fewer = collect_images(result, draw_overlays(result, 1))
    assert list(fewer.thumbnails) == ["c4", "c8", "c7", "c6"]  # the worst
    assert "Thumbnails: the worst 4 of 9 cases." in html_report(result, fewer)


def test_images_keep_within_the_budget(result: EvaluationResult) -> None:
    drawn = draw_overlays(result, 2)
    whole = collect_images(result, drawn)
    used = images.BUDGET - whole.left
    part = collect_images(result, drawn, budget=used // 2)
    size = sum(len(layer.address) for figure in part.figures for layer in figure.layers)
    size += sum(map(len, part.thumbnails.values()))
    assert size == used // 2 - part.left
    assert part.left >= 0
    assert 0 < len(part.figures) < len(whole.figures)
    assert part.figures[0].kind.startswith("missed")
    assert part.omitted == len(whole.figures) - len(part.figures)
    assert f"{part.omitted} more had no room on this page" in html_report(result, part)


def test_a_page_of_large_images_stays_small() -> None:
    """Noise is the worst there is for the size: no two pixels are alike, and all over the images there are outlines."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (600, 800, 3), dtype=np.uint8)
    reference = (rng.random((20, 25)) > 0.7).astype(np.uint8).repeat(30, 0).repeat(32, 1)
    names = [f"{index:03d}" for index in range(12)]
    references = dict.fromkeys(names, reference)
    predictions = {name: np.roll(reference, 5 + index, axis=1) for index, name in enumerate(names)}
    result = evaluate(
        predictions, references, ["background", "x"], images=dict.fromkeys(names, picture), bootstrap_samples=1
    )
    page = html_report(result, collect_images(result, draw_overlays(result, 3)))
    assert 1_000_000 < len(page) < 5_000_000


def test_more_colours_than_a_table_holds() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (30, 20, 4), dtype=np.uint8)
    assert np.array_equal(opened(layer_address(pixels)), pixels)
    assert np.array_equal(opened(layer_address(pixels[:10, :10])), pixels[:10, :10])


def test_without_overlays_there_are_no_images(result: EvaluationResult) -> None:
    assert collect_images(result, []).thumbnails == {}
