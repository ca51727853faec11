# SPDX-License-Identifier: Apache-2.0
"""The paper protocol on files: the grid rule, ensembles of probability maps, folds, options, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sa2_monai.evaluation import PaperOptions, evaluate, summarize_folds, write_overlays
from sa2_monai.evaluation.paper.published_mask import resize_bilinear_8bit

TWO = ["background", "gland"]


def glands(value: int = 255) -> np.ndarray:
    """A reference of 300 x 260 pixels with two glands; ``value`` 0 gives them the instance numbers 1 and 2."""
    mask = np.zeros((300, 260), np.uint8)
    mask[40:120, 30:130] = value or 1
    mask[160:280, 100:220] = value or 2
    return mask


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def on_grid(value: int = 255) -> np.ndarray:
    return (resize_bilinear_8bit(glands(value), (224, 224)) > 0).astype(np.uint8)


def run(predictions: Any, references: Any, family: str = "image", **options: Any) -> Any:
    return evaluate(predictions, references, TWO, "paper", family=family, bootstrap_samples=20, paper=options)


def test_references_are_resized_and_predictions_lie_on_the_grid(tmp_path: Path) -> None:
    for value in (255, 0):
        reference = save(tmp_path / "r" / "a.png", glands(value))
        save(tmp_path / "p" / "a.png", on_grid(value))
        result = run(tmp_path / "p", [reference])
        area = int(on_grid(value).sum())
        assert result.per_case[0]["voxels_ref"] == area
        assert result.per_case[0]["dice"] == pytest.approx(2 * area / (2 * area + 1e-5), abs=1e-15)
        assert result.summary["paper"]["iou"] == 1
        assert result.summary["protocol"]["family"] == "image"
        assert result.summary["protocol"]["grid"] == [224, 224]
    assert on_grid(255).sum() > on_grid(0).sum()  # Q5
    # the files hold instance numbers now; with 255 in their place the result is that of a 0/255 file
    grown = run(tmp_path / "p", [reference], reference_foreground=255)
    assert grown.per_case[0]["voxels_ref"] == on_grid(255).sum()
    assert grown.summary["protocol"]["reference_foreground"] == 255


def test_masks_of_0_and_1_are_named_as_a_deviation() -> None:
    told = run({"a": on_grid(1)}, {"a": glands(1)}).summary["deviations"]
    assert any("the references hold 0 and 1" in line for line in told)
    assert not any("hold 0 and 1" in line for line in run({"a": on_grid()}, {"a": glands()}).summary["deviations"])
    assert not any(
        "hold 0 and 1" in line
        for line in run({"a": on_grid()}, {"a": glands(1)}, reference_foreground=255).summary["deviations"]
    )


def test_a_prediction_of_another_size_is_refused_with_the_hint(tmp_path: Path) -> None:
    save(tmp_path / "p" / "a.png", glands(1))
    message = r"case a: the prediction .*a\.png has shape \(300, 260\).* 224x224; run inference with the paper overlay"
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "p", {"a": glands()})


def test_grid_and_divisor_are_deviations() -> None:
    prediction = (resize_bilinear_8bit(glands(), (100, 80)) > 0).astype(np.uint8)
    result = run({"a": prediction}, {"a": glands()}, grid=(100, 80), divisor=4)
    assert result.headline == pytest.approx(0.25)
    assert result.summary["overall"]["dice"]["mean_of_class_means"] == pytest.approx(1)
    text = " ".join(result.summary["deviations"])
    assert "measured at 100x80, the publication at 224x224" in text
    assert "the sums over 1 images are divided by 4" in text


def test_an_image_with_both_masks_empty_scores_0_and_a_missing_one_too() -> None:
    empty = np.zeros((224, 224), np.uint8)
    result = run({"a": empty, "c": on_grid()}, {"a": empty, "b": glands(), "c": glands()})
    assert [(r["status"], r["dice"]) for r in result.per_case][:2] == [("absent", 0), ("missed", 0)]
    assert any(w.startswith("missing_prediction: case b") for w in result.summary["warnings"])
    table = result.table()
    assert "Protocol paper / image, version 1: 3 cases" in table
    assert "Deviations from the publication:" in table


def test_values_that_are_not_in_the_table_are_refused() -> None:
    with pytest.raises(ValueError, match="holds the values 255"):
        evaluate({"a": on_grid()}, {"a": glands()}, TWO, "paper", family="image", label_values={0: 0, 1: 1})
    with pytest.raises(ValueError, match="one class beside the background"):
        evaluate({"a": on_grid()}, {"a": glands()}, [*TWO, "z"], "paper", family="image", label_values={0: 0, 255: 1})


def probabilities(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(-0.6, 0.6, (224, 224))
    return np.clip(on_grid() * 0.6 + 0.2 + noise, 0, 1)


def test_an_ensemble_averages_probabilities(tmp_path: Path) -> None:
    maps = [probabilities(seed) for seed in range(5)]
    expected = np.mean(maps, axis=0) > 0.5
    both = int((expected & (on_grid() > 0)).sum())
    dice = 2 * both / (expected.sum() + on_grid().sum() + 1e-5)
    result = run([{"a": m} for m in maps], {"a": glands()}, "image_ensemble")
    assert result.headline == pytest.approx(dice, abs=1e-12)
    folders = []
    for index, m in enumerate(maps):
        folders.append(tmp_path / str(index))
        # the mask beside the probabilities is not what is averaged
        save(folders[-1] / "a.png", np.zeros((224, 224), np.uint8))
        if index == 0:
            np.save(folders[-1] / "a_prob.npy", m)
        elif index == 1:
            np.save(folders[-1] / "a_prob.npy", np.stack([1 - m, m]))
        else:
            scale, dtype = (65535, np.uint16) if index % 2 else (255, np.uint8)
            save(folders[-1] / "a_prob.png", np.rint(m * scale).astype(dtype))
    result = run(folders, {"a": glands()}, "image_ensemble")
    assert result.headline == pytest.approx(dice, abs=2e-3)
    single = run(folders[4], {"a": glands()}, "image_ensemble")
    assert single.per_case[0]["voxels_pred"] == (np.rint(maps[4] * 255) / 255 > 0.5).sum()
    assert any("rounded to 1/255" in line for line in single.summary["deviations"])
    assert len(write_overlays(result, tmp_path / "images")) == 1


def test_the_mask_of_an_ensemble_made_elsewhere_is_taken_as_it_is(tmp_path: Path) -> None:
    save(tmp_path / "p" / "a.png", on_grid())
    assert run(tmp_path / "p", {"a": glands()}, "image_ensemble").summary["paper"]["iou"] == 1
    assert run(tmp_path / "p", {"a": glands(), "b": glands()}, "image_ensemble").summary["paper"]["iou"] == 0.5


def test_what_an_ensemble_refuses(tmp_path: Path) -> None:
    good = probabilities(0)
    references = {"a": glands(), "b": glands()}
    mask = on_grid()
    refused: dict[str, Any] = {
        "only 1 of 2 models": [{"a": good, "b": good}, {"a": good}],
        "different shapes": [{"a": good, "b": good}, {"a": good[:99], "b": good}],
        "an ensemble averages probabilities": [{"a": mask, "b": mask}, {"a": mask, "b": mask}],
        r"values outside \[0, 1\]": [{"a": good * 2, "b": good}, {"a": good, "b": good}],
        "values other than 0 and 1": {"a": mask + 4, "b": mask},
        r"has shape \(224,\)": {"a": good[0], "b": good},
    }
    for message, predictions in refused.items():
        with pytest.raises(ValueError, match=message):
            run(predictions, references, "image_ensemble")
    (tmp_path / "a_prob.npy").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"a_prob\.npy: cannot be read"):
        run(tmp_path, {"a": glands()}, "image_ensemble")


def test_folds_have_mean_and_deviation() -> None:
    results = [run({"a": (probabilities(seed) > 0.5) * 1}, {"a": glands()}) for seed in range(3)]
    means = [r.summary["paper"]["dice"] for r in results]
    found = summarize_folds(results)
    assert found["dice"]["values"] == means
    assert found["dice"]["mean"] == pytest.approx(sum(means) / 3)
    assert found["dice"]["std"] == pytest.approx(np.sqrt(sum((m - sum(means) / 3) ** 2 for m in means) / 2))
    assert summarize_folds(results[:1])["iou"]["std"] is None
    with pytest.raises(ValueError, match="different test images"):
        summarize_folds([results[0], run({"b": on_grid()}, {"b": glands()})])
    with pytest.raises(ValueError, match="got none"):
        summarize_folds([])
    with pytest.raises(ValueError, match=r"got \['clinical'\]"):
        summarize_folds([evaluate({"a": on_grid()}, {"a": on_grid()}, TWO)])


def test_image_2d_counts_the_background_as_a_class() -> None:
    reference, prediction, empty = np.zeros((3, 20, 20), np.uint8)
    reference[2:8, 2:8] = 1
    prediction[2:8, 4:10] = 1
    result = evaluate(
        {"a": prediction, "b": empty, "c": prediction},
        {"a": reference, "b": reference, "c": empty},
        TWO,
        "paper",
        family="image_2d",
        paper=PaperOptions(grid=20),
    )
    values = result.summary["paper"]
    tp, area, pixels = 24, 36, 400
    background = (pixels - 2 * area + tp, pixels - area)
    gland = {
        "dice": (2 * tp / (2 * area) + 0 + 1) / 3,
        "hd95": (2 + 0 + 0) / 3,
        "sensitivity": tp / area / 3,
        "specificity": background[0] / background[1] / 3,
        "accuracy": (tp + background[0]) / pixels / 3,
    }
    for key, expected in gland.items():
        assert values["per_class"]["gland"][key] == pytest.approx(expected)
        assert values[key] == pytest.approx((expected + values["per_class"]["background"][key]) / 2)
    dices = [background[0] / background[1], 2 * 364 / (364 + 400), 2 * 364 / (364 + 400)]
    assert values["per_class"]["background"]["dice"] == pytest.approx(np.mean(dices))
    # the pixels missed in case b are false alarms of the background: sensitivity 1, specificity 0
    assert values["per_class"]["background"]["specificity"] == pytest.approx((tp / area + 0 + 0) / 3)
    assert [row["class_name"] for row in result.per_case[:2]] == TWO
    assert any(line.startswith("Q7") for line in result.summary["deviations"])


@pytest.mark.parametrize(("family", "options"), [("image_2d", {"grid": 20}), ("volume", {"background": True})])
def test_a_class_that_fills_both_masks_has_no_published_number(family: str, options: dict[str, Any]) -> None:
    full, half = np.ones((2, 20, 20, 1), np.uint8)
    half[:10] = 0
    flat = family == "image_2d"
    shown = {case: array[..., 0] if flat else array for case, array in {"a": full, "b": full, "c": half}.items()}
    result = evaluate({**shown, "b": shown["c"]}, shown, TWO, "paper", family=family, paper=options)
    lines = [line for line in result.summary["deviations"] if "fills both masks" in line]
    assert [line[: line.index(":")] for line in lines] == ["class gland fills both masks of case a"]
    row = result.per_case[1]
    assert (row["case"], row["class_name"], row["dice"], row["hd95"]) == ("a", "gland", 1, 0)
    assert (row["sensitivity"], row["specificity"]) == (1, 0)
    # a background that fills both is the same: an image without anything in either mask
    empty = {"d": shown["a"] * 0, "a": shown["c"]}
    result = evaluate(empty, empty, TWO, "paper", family=family, paper=options)
    assert any("class background fills both masks of case d:" in line for line in result.summary["deviations"])


def test_volumes_without_the_background_print_what_is_published() -> None:
    full = {"a": np.ones((4, 5, 6), np.uint8)}
    result = evaluate(full, full, TWO, "paper", family="volume")
    assert (result.summary["deviations"], result.headline) == ([], 1)


def test_ignored_pixels_are_a_deviation_of_size_range() -> None:
    reference = np.zeros((16, 16), np.uint8)
    reference[2:10, 2:10] = 1
    void = reference.copy()
    void[12:] = 255
    found = evaluate(
        dict.fromkeys("abc", reference),
        {"a": reference, "b": void, "c": void},
        [*TWO, "nothing"],
        "paper",
        family="size_range",
        paper={"grid": 16, "size": "contour"},
    )
    line = next(line for line in found.summary["deviations"] if "value 255" in line)
    assert "(cases b, c)" in line
    assert "background for the E-measure, the mean absolute error and the sizes of objects" in line
    assert found.summary["paper"]["images"]["b"] == found.summary["paper"]["images"]["a"]
    without = run({"a": reference}, {"a": reference}, "size_range", grid=16)
    assert not any("value 255" in line for line in without.summary["deviations"])


def test_size_range_counts_a_missing_prediction_and_an_empty_subset() -> None:
    reference = np.zeros((16, 16), np.uint8)
    reference[2:10, 2:10] = 1
    result = run({"a": reference}, {"a": reference, "b": reference}, "size_range", grid=16, sizes=[1, 50])
    values = result.summary["paper"]
    assert values["below_percent"]["1"] == {"images": 0, "cases": []}
    assert values["classes"]["recall"][1] == 0.5
    assert values["classes"]["image_count"] == [2, 2]
    assert values["mean_absolute_error"] == pytest.approx(64 / 256 / 2)
    assert result.summary["per_class"]["gland"] == {"counts": {"ok": 1, "missed": 1, "spurious": 0, "absent": 0}}
    with pytest.raises(ValueError, match=r"needs class values 0\.\.1, got \[0, 3\]"):
        evaluate({"a": reference * 3}, {"a": reference * 3}, {3: "x"}, "paper", family="size_range")


def test_pooled_numbers_have_images_too(tmp_path: Path) -> None:
    result = run({"a": on_grid(), "b": on_grid()}, {"a": on_grid(), "b": on_grid()}, "pooled")
    assert [p.name for p in write_overlays(result, tmp_path)] == ["worst_1_a_dice1.000.png", "best_1_b_dice1.000.png"]
    assert result.headline == 1
    assert result.summary["overall"] == {}
    assert "dice: 1.0000" in result.table()


GRID = np.zeros((224, 224), np.uint8)
BAD_CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "grid": (lambda: PaperOptions(grid=0), "grid is 0"),
    "grid of three": (lambda: PaperOptions(grid=(1, 2, 3)), r"grid is \(1, 2, 3\)"),
    "divisor": (lambda: PaperOptions(divisor=0), "divisor is 0"),
    "size": (lambda: PaperOptions(size="big"), "size is 'big'"),
    "foreground": (lambda: PaperOptions(reference_foreground=256), "reference_foreground is 256"),
    "divisor that is no number": (lambda: PaperOptions(divisor=True), "divisor is True, expected the number of test"),
    "half a divisor": (lambda: PaperOptions(divisor=1.5), r"divisor is 1\.5"),  # type: ignore[arg-type]
    "plus one": (lambda: run({"a": GRID}, {"a": GRID}, plus_one=True), "'image' has no such option, only image_ens"),
    "grid of volumes": (lambda: run({"a": GRID}, {"a": GRID}, "volume", grid=9), "'volume' has no such option, only"),
    "divisor of pixels": (lambda: run({"a": GRID}, {"a": GRID}, "pooled", divisor=9), "only image, image_ensemble"),
    "foreground elsewhere": (
        lambda: run({"a": GRID}, {"a": GRID}, "size_range", reference_foreground=255),
        "paper option reference_foreground is 255, but the family 'size_range'",
    ),
    "unknown option": (
        lambda: run({"a": GRID}, {"a": GRID}, divisors=9),
        r"options \['divisors'\], expected some of grid",
    ),
    "off the grid": (lambda: run({"a": glands()}, {"a": glands()}, "pooled"), "family 'pooled' compares at 224x224"),
    "no nuclei": (lambda: run({"a": GRID}, {"a": GRID}, "cell"), "nuclei has no mask"),
    "nucleus size": (
        lambda: run({"a": GRID}, {"a": GRID}, "cell", nuclei={"a": GRID[:9]}),
        r"its nucleus .array. has shape \(9, 224\)",
    ),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_options_are_refused(name: str) -> None:
    call, message = BAD_CALLS[name]
    with pytest.raises(ValueError, match=message):
        call()
