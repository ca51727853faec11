# SPDX-License-Identifier: Apache-2.0
"""What an overlay shows: the class of every pixel, where two maps agree, and a legend that says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import binary_dilation

from sa2_monai.evaluation import draw_overlay, draw_prediction
from sa2_monai.evaluation.report.overlays import BOTH_COLOUR, legend
from sa2_monai.evaluation.report.overlays.legend import Entry
from sa2_monai.io.palette import class_colour

GREY = 120
FOURTEEN = ["background", *(f"organ number {i}" for i in range(1, 15))]


def square(size: int, start: int, stop: int, value: int = 1) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    mask[start:stop, start:stop] = value
    return mask


def drawing(image: np.ndarray | None, prediction: np.ndarray | None, reference: np.ndarray) -> np.ndarray:
    """The drawing alone, of masks of 64 x 64 pixels: 512 x 512."""
    return np.asarray(draw_overlay(image, prediction, reference, "case", 0.5))[:512]


def count(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((pixels == colour).all(axis=-1).sum())


def mixed(ground: int, value: int, share: float) -> tuple[int, int, int]:
    """Colour of a fill."""
    return tuple(round((1 - share) * ground + share * channel) for channel in class_colour(value))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((30, 40), (390, 520)),
        ((600, 700), (600, 700)),
        ((3000, 1500), (1024, 512)),
        ((512, 2), (512, 2)),
        ((1, 1), (512,) * 2),
    ],
)
def test_drawings_have_a_sensible_size(size: tuple[int, int], shown: tuple[int, int]) -> None:
    mask = np.zeros(size, np.uint8)
    page = draw_overlay(None, None, mask, "x", 0.5)
    assert page.width == max(480, shown[1])
    assert 40 < page.height - shown[0] < 100  # the legend


IMAGES = ["grey8", "rgb8", "grey16", "rgb16", "float", "rgba", "none", "dark", "bright", "other size", "two channels"]


@pytest.mark.parametrize("kind", IMAGES)
def test_lines_are_seen_on_every_kind_of_image(kind: str) -> None:
    base = np.random.default_rng(0).integers(60, 200, (64, 64), dtype=np.uint8)
    images = {
        "grey8": base,
        "rgb8": np.dstack([base] * 3),
        "grey16": base.astype(np.uint16) * 11,
        "rgb16": np.dstack([base.astype(np.uint16) * 200] * 3),
        "float": base[:, :, None] / 255.0,
        "rgba": np.dstack([base] * 4),
        "none": None,
        "dark": base // 50,
        "bright": 255 - base // 50,
        "other size": np.dstack([base] * 3)[:32, :48],
        "two channels": np.dstack([base] * 2),
    }
    image = images[kind]
    page = drawing(image, square(64, 10, 40), square(64, 20, 50))
    assert count(page, class_colour(1)) > 1500
    assert count(page, (0, 0, 0)) > 1500  # the rim, for bright images
    outside = page[420:500, 8:60]
    if image is not None:
        assert 20 < outside.mean() < 235
        assert outside.std() > 5


NO_CONTRAST = {
    "constant uint8": np.full((64, 64), GREY, np.uint8),
    "constant float": np.full((64, 64), 3.5, np.float32),
    "not a number": np.full((64, 64), np.nan, np.float32),
    "one infinite pixel": np.where(np.arange(4096).reshape(64, 64) == 9, np.inf, np.arange(4096).reshape(64, 64) % 50),
}


@pytest.mark.parametrize("name", NO_CONTRAST)
def test_images_without_contrast_or_with_holes_are_drawn(name: str) -> None:
    page = drawing(NO_CONTRAST[name], square(64, 10, 40), square(64, 10, 40))
    ground = page[400:500, 300:500]
    assert ground.mean() < 235
    assert (ground == GREY).all() or name != "constant uint8"
    assert count(page, BOTH_COLOUR) > 1000


def test_exchanged_classes_agree_nowhere() -> None:
    """Dice is 0: liver and spleen have each other's place."""
    reference = square(64, 8, 24, 1) + square(64, 36, 56, 2)
    prediction = np.select([reference == 1, reference == 2], [2, 1], 0).astype(np.uint8)
    image = np.full((64, 64), GREY, np.uint8)
    page = drawing(image, prediction, reference)
    assert count(page, BOTH_COLOUR) == 0
    # stripes in both colours, the wide ones those of the prediction
    for inside, guess, truth in ((page[80:180, 80:180], 2, 1), (page[300:430, 300:430], 1, 2)):
        shares = {v: count(inside, mixed(GREY, v, 0.65)) / inside[..., 0].size for v in (1, 2)}
        assert shares[guess] == pytest.approx(2 / 3, abs=0.05)
        assert shares[truth] == pytest.approx(1 / 3, abs=0.05)
    # the same outlines with the right classes are white all around
    right = drawing(image, reference, reference)
    assert count(right, BOTH_COLOUR) > 3000
    for value, inside in ((1, right[80:180, 80:180]), (2, right[300:430, 300:430])):
        assert count(inside, mixed(GREY, value, 0.4)) == inside[..., 0].size


def test_every_class_agrees_by_itself() -> None:
    """Of two neighbours one is right: only its outline is white."""
    reference = square(64, 8, 24, 1) + square(64, 36, 56, 5)
    prediction = np.where(reference == 5, 4, reference)
    page = drawing(np.full((64, 64), GREY, np.uint8), prediction, reference)
    assert count(page[:240, :240], BOTH_COLOUR) > 1000
    assert count(page[240:, 240:], BOTH_COLOUR) == 0
    for value in (4, 5):
        assert count(page[240:, 240:], class_colour(value)) > 500


@given(st.permutations(range(1, 5)), st.integers(0, 99), st.integers(-1, 1))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_white_lies_where_both_maps_have_one_class(order: list[int], seed: int, shift: int) -> None:
    """Blocks of classes side by side, exchanged and shifted: also where one class ends as the other begins."""
    blocks = np.kron(np.random.default_rng(seed).integers(0, 5, (4, 4)), np.ones((16, 16), int)).astype(np.uint8)
    prediction = np.roll(np.array([0, *order], np.uint8)[blocks], shift, axis=1)
    white = (drawing(np.full((64, 64), GREY, np.uint8), prediction, blocks) == BOTH_COLOUR).all(axis=-1)
    agree = np.kron((blocks == prediction) & (blocks > 0), np.ones((8, 8), bool))
    assert not (white & ~binary_dilation(agree, iterations=4)).any()


def test_white_follows_outlines_that_are_a_pixel_of_the_display_apart() -> None:
    """A large mask is shown as it is: one pixel of difference is none to be seen."""
    reference = square(600, 100, 400)
    for prediction in (square(600, 101, 399), square(600, 99, 401)):
        page = np.asarray(draw_overlay(None, prediction, reference, "x", 0.99))[:600]
        assert count(page, class_colour(1)) == 0
        assert count(page, BOTH_COLOUR) > 2000
    for prediction in (square(600, 104, 396), square(600, 96, 404)):
        assert count(np.asarray(draw_overlay(None, prediction, reference, "x", 0.97))[:600], BOTH_COLOUR) == 0


def test_neighbours_that_are_exchanged_do_not_agree_on_their_border() -> None:
    reference = np.zeros((64, 64), np.uint8)
    reference[10:50, 10:30], reference[10:50, 30:50] = 1, 2
    prediction = np.array([0, 2, 1], np.uint8)[reference]
    assert count(drawing(None, prediction, reference), BOTH_COLOUR) == 0


def test_inside_and_outside_differ() -> None:
    image = np.full((64, 64), GREY, np.uint8)
    page = drawing(image, square(64, 10, 40), square(64, 10, 50))
    assert tuple(page[480, 480]) == (GREY,) * 3
    assert tuple(page[160, 160]) == mixed(GREY, 1, 0.4)  # both
    missed = page[340:380, 340:380]  # the reference alone
    assert {tuple(pixel) for pixel in missed.reshape(-1, 3).tolist()} == {(GREY,) * 3, mixed(GREY, 1, 0.65)}
    ring = draw_prediction(image, square(64, 10, 50) - square(64, 20, 40), "x")
    pixels = np.asarray(ring)
    assert tuple(pixels[120, 120]) == mixed(GREY, 1, 0.4)
    assert tuple(pixels[240, 240]) == (GREY,) * 3  # the hole


def test_lines_lie_on_the_masks_and_tell_who_drew_them() -> None:
    reference, prediction = square(64, 10, 40), square(64, 10, 40)
    prediction[10:40, 40:50] = 1
    page = drawing(None, prediction, reference)
    scale = 512 // 64
    assert tuple(page[10 * scale, 20 * scale]) == BOTH_COLOUR  # upper edge of both
    solid = page[14 * scale : 36 * scale, 50 * scale - 1]
    dashed = page[14 * scale : 36 * scale, 40 * scale - 1]
    assert count(solid, class_colour(1)) == len(solid)
    assert 0.3 < count(dashed, class_colour(1)) / len(dashed) < 0.7
    assert count(dashed, class_colour(1)) + count(dashed, (0, 0, 0)) == len(dashed)
    assert tuple(page[60 * scale, 5 * scale]) == (64, 64, 64)


def test_the_colour_of_a_class_is_the_same_in_every_image() -> None:
    many = np.kron(np.arange(16).reshape(4, 4) % 15, np.ones((16, 16), int)).astype(np.uint8)
    image = np.zeros((64, 64, 3), np.uint8)
    several = np.asarray(draw_prediction(image, many, "x", FOURTEEN))
    alone = np.asarray(draw_prediction(image, np.where(many == 13, many, 0), "x", FOURTEEN))
    for page in (several, alone):
        assert count(page[:512], class_colour(13)) > 300
    for value in range(1, 15):
        assert count(several[:512], class_colour(value)) > 300
        assert count(several[512:], class_colour(value)) > 150  # its swatch


def test_the_legend_names_what_is_there_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[Entry]] = []
    real = legend.legend
    monkeypatch.setattr(
        "sa2_monai.evaluation.report.overlays.draw.legend",
        lambda width, case, end, entries: (told.append(list(entries)), real(width, case, end, entries))[1],
    )
    reference, prediction = square(64, 8, 24, 3), square(64, 8, 24, 7)
    draw_overlay(None, prediction, reference, "a", 0.0, FOURTEEN)
    signs = ["prediction", "reference", "both, same class", "differ (wide: prediction)"]
    assert [entry.text for entry in told[-1]] == [*signs, "organ number 3", "organ number 7"]
    assert [entry.sign for entry in told[-1][4:]] == [class_colour(3), class_colour(7)]
    draw_overlay(None, prediction, reference, "a", 0.0, {3: "liver"})
    assert [entry.text for entry in told[-1][4:]] == ["liver", "class 7"]
    draw_prediction(np.zeros((64, 64)), prediction, "a")
    assert [entry.text for entry in told[-1]] == ["class 7"]


def test_the_legend_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = square(64, 1, 9)
    short = np.asarray(draw_overlay(None, None, mask, "a", 0.5))[512:]
    long = np.asarray(draw_overlay(None, None, mask, "a" * 300, float("nan"), ["background", "b" * 300]))[512:]
    assert (short != long).any()
    for strip in (short, long):
        assert (strip[:, [0, 1, 2, -1, -2, -3]] == 24).all()
    # control characters of a file name neither break the line nor the drawing
    same = np.asarray(draw_overlay(None, None, mask, "a\nb", 0.5)).shape
    assert same == np.asarray(draw_overlay(None, None, mask, "a b", 0.5)).shape
    several = draw_prediction(
        np.zeros((64, 64)),
        np.arange(15, dtype=np.uint8).repeat(64 * 64 // 15 + 1)[:4096].reshape(64, 64),
        "x",
        FOURTEEN,
    )
    assert several.height > 512 + 100
    load = legend.ImageFont.load_default

    def without_freetype(size: float | None = None) -> object:
        if size is not None:
            raise OSError("no FreeType")
        return load()

    monkeypatch.setattr(legend.ImageFont, "load_default", without_freetype)
    assert draw_overlay(None, None, mask, "a", 0.5).size[0] == 512


@pytest.mark.parametrize("kind", [bool, np.int64, np.float32, np.uint16])
def test_masks_of_any_type_are_drawn_alike(kind: type) -> None:
    image = np.full((64, 64), GREY, np.uint8)
    reference, prediction = square(64, 10, 40), square(64, 20, 50)
    expected = drawing(image, prediction, reference)
    assert (drawing(image, prediction.astype(kind), reference.astype(kind)) == expected).all()
    many = (reference.astype(kind), 300 * reference.astype(np.uint16))
    for mask in many:
        assert np.asarray(draw_prediction(image, mask, "x")).shape[1] == 512


def test_masks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"case x: masks have shapes \(9, 9\) and \(8, 8\)"):
        draw_overlay(None, square(9, 1, 2), square(8, 1, 2), "x", 0.5)
    with pytest.raises(ValueError, match=r"case x: the mask has shape \(1, 9, 9\), expected \(H, W\)"):
        draw_prediction(np.zeros((9, 9)), square(9, 1, 2)[None], "x")


@pytest.mark.realdata
def test_the_exchanged_classes_of_the_awkward_cases(real_data: Path) -> None:
    folder = real_data.parent / "cases" / "folders" / "exchanged_classes"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    image, prediction, reference = (np.asarray(Image.open(folder / kind / "s.png")) for kind in ("img", "pred", "ref"))
    height = 4 * reference.shape[0]
    page = np.asarray(draw_overlay(image, prediction, reference, "s", 0.0))[:height]
    assert count(page, BOTH_COLOUR) == 0
    for value in np.unique(reference[reference > 0]):
        assert count(page, class_colour(int(value))) > 200
