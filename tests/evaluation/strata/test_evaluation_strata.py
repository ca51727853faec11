# SPDX-License-Identifier: Apache-2.0
"""Thirds of the cases by what they hold: values, means and trends against independent code, files, bad input."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr

from sa2_monai import metrics
from sa2_monai.cli.main import main
from sa2_monai.evaluation import EvaluationResult, evaluate, write_report
from sa2_monai.evaluation.scores.statistics import Bootstrap
from sa2_monai.evaluation.strata.properties import STRATA
from sa2_monai.evaluation.strata.thirds import third_of
from sa2_monai.evaluation.strata.trend import trend
from tests.support.report_pages import Page

TWO = ["background", "cell"]
CASES = 9


def cells(case: int) -> np.ndarray:
    """Numbered squares, more and smaller ones from case to case; two of them touch."""
    found = np.zeros((64, 64), np.uint8)
    side = 12 - case
    for number in range(case + 2):
        row, column = divmod(number, 4)
        found[16 * row + 1 : 16 * row + 1 + side, 16 * column : 16 * column + side] = number + 1
    found[1 : 1 + side, side : 16 + side] = 2
    return found


def maps() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Predictions that are the worse the smaller the cells are, references, images with growing noise."""
    rng = np.random.default_rng(0)
    references = {f"c{case}": cells(case) for case in range(CASES)}
    predictions = {case: np.roll(labels, 1, axis=0) for case, labels in references.items()}
    images = {
        case: np.clip(60 + 90 * (labels > 0) + rng.normal(0, 3 + 3 * index, labels.shape), 0, 255).astype(np.uint8)
        for index, (case, labels) in enumerate(references.items())
    }
    return predictions, references, images


def run(strata: Any = STRATA, **options: Any) -> EvaluationResult:
    predictions, references, images = maps()
    given = {"images": images, "instances": "numbers", "bootstrap_samples": 60, **options}
    return evaluate(predictions, references, TWO, strata=strata, **given)


@pytest.fixture(scope="module")
def everything() -> EvaluationResult:
    return run()


def test_values_are_those_of_the_measures(everything: EvaluationResult) -> None:
    _, references, images = maps()
    for case, values in everything.properties.items():
        objects, grey = references[case], images[case] / 255
        sizes = np.bincount(objects.ravel())[1:]
        expected = {
            "largest_object": 100 * sizes.max() / 4096,
            "size_spread": sizes.std() / sizes.mean(),
            "density": len(sizes) / 4096 * 10_000,
            "touching": metrics.touching_share(objects),
            "blur": metrics.blur(grey),
            "contrast": grey.std(),
            "noise": metrics.noise(grey),
        }
        assert values == pytest.approx(expected)
    assert everything.summary["protocol"]["strata"] == list(STRATA)


def test_thirds_and_their_means(everything: EvaluationResult) -> None:
    dice = {row["case"]: row["dice"] for row in everything.per_case}
    for name, block in everything.summary["strata"].items():
        values = {case: found[name] for case, found in everything.properties.items()}
        ranked = sorted(values, key=lambda case: values[case])
        if len(set(values.values())) == CASES:
            assert [sorted(ranked[k : k + 3]) for k in (0, 3, 6)] == [
                block["thirds"][third]["cases"] for third in ("low", "middle", "high")
            ]
        for third in block["thirds"].values():
            inside = [dice[case] for case in third["cases"]]
            if inside:
                assert third["overall"]["dice"]["mean_of_class_means"] == pytest.approx(np.mean(inside))
                assert third["from"] == min(values[case] for case in third["cases"])
                assert third["few_cases"]
        assert sum(third["images"] for third in block["thirds"].values()) == CASES
        expected = spearmanr([values[case] for case in dice], list(dice.values()))
        assert block["trend"]["spearman"] == pytest.approx(expected.statistic)
        assert block["trend"]["p_value"] == pytest.approx(expected.pvalue)
        assert block["trend"]["ci95_low"] <= block["trend"]["spearman"] <= block["trend"]["ci95_high"]
    # smaller and more cells are harder here, by the way they were made
    assert everything.summary["strata"]["largest_object"]["trend"]["spearman"] > 0.95
    assert everything.summary["strata"]["density"]["trend"]["spearman"] < -0.95


def test_a_stratum_is_what_an_evaluation_of_its_cases_is(everything: EvaluationResult) -> None:
    predictions, references, _ = maps()
    third = everything.summary["strata"]["density"]["thirds"]["high"]
    chosen = {case: references[case] for case in third["cases"]}
    alone = evaluate(predictions, chosen, TWO, instances="numbers", bootstrap_samples=60)
    assert third["per_class"]["cell"]["dice"] == alone.summary["per_class"]["cell"]["dice"]
    assert third["overall"]["dice"] == alone.summary["overall"]["dice"]


def test_masks_without_numbers_have_connected_objects_that_cannot_touch() -> None:
    _, references, _ = maps()
    masks = {case: (labels > 0).astype(np.uint8) for case, labels in references.items()}
    result = evaluate(masks, masks, TWO, strata="crowding", bootstrap_samples=5)
    assert list(result.summary["strata"]) == ["density"]
    assert "strata: touching is defined for no case" in result.summary["warnings"]
    # two of the squares touch and count as one
    assert result.properties["c0"]["density"] == pytest.approx(1 / 4096 * 10_000)
    numbers = evaluate(masks, references, TWO, strata="crowding", bootstrap_samples=5, label_values="nonzero")
    assert numbers.properties["c0"]["density"] == pytest.approx(2 / 4096 * 10_000)


def test_cases_without_objects_are_in_no_third_of_their_spread() -> None:
    _, references, _ = maps()
    references["empty"] = np.zeros((64, 64), np.uint8)
    result = evaluate(
        references, references, TWO, strata=["size", "size_spread"], instances="numbers", bootstrap_samples=5
    )
    assert result.summary["strata"]["size_spread"]["undefined"] == ["empty"]
    assert result.properties["empty"] == {"largest_object": 0.0, "size_spread": None}
    assert "strata: size_spread is not defined for 1 cases" in result.summary["warnings"]


def test_volumes_have_millimetres_and_the_quality_of_their_slices(tmp_path: Path) -> None:
    import nibabel as nib

    rng = np.random.default_rng(0)
    paths: dict[str, dict[str, str]] = {"image": {}, "label": {}}
    for case in "abc":
        label = np.zeros((20, 22, 6), np.uint8)
        label[2:8, 3:9, 1:4], label[12:15, 3:9, 1:4] = 1, 2
        image = (200 * (label > 0) + rng.normal(0, 20, label.shape)).astype(np.float32)
        for kind, array in (("image", image), ("label", label)):
            paths[kind][case] = str(tmp_path / f"{case}_{kind}.nii.gz")
            nib.save(nib.Nifti1Image(array, np.diag([0.5, 0.5, 3, 1])), paths[kind][case])
    result = evaluate(paths["label"], paths["label"], ["b", "x", "y"], strata=STRATA, images=paths["image"])
    values = result.properties["a"]
    assert values["density"] == pytest.approx(2 / (20 * 22 * 6 * 0.75) * 1000)
    assert result.summary["strata"]["density"]["unit"] == "per ml"
    assert values["largest_object"] == pytest.approx(100 * 108 / 2640)
    assert values["touching"] == 0.0
    spread = np.diff(np.percentile(nib.load(paths["image"]["a"]).get_fdata(), [0.5, 99.5]))[0]
    assert values["noise"] == pytest.approx(20 / spread, rel=0.2)


def test_groups_are_drawn_as_a_whole_and_have_no_p_value() -> None:
    groups = {f"c{case}": f"p{case // 3}" for case in range(CASES)}
    block = run("size", groups=groups).summary["strata"]["largest_object"]["trend"]
    assert block["p_value"] is None
    assert block["ci95_low"] is not None


TRENDS = {
    "two": ([1.0, 2.0], [1.0, 2.0]),
    "no change": ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]),
    "no value": ([np.nan] * 4, [1.0, 2.0, 3.0, 4.0]),
}


@pytest.mark.parametrize("name", TRENDS)
def test_what_has_no_trend(name: str) -> None:
    values, scores = map(np.array, TRENDS[name])
    found = trend(values, scores, Bootstrap([str(k) for k in range(len(values))], samples=5))
    assert (found["spearman"], found["ci95_low"], found["p_value"]) == (None, None, None)


def test_equal_values_are_in_one_third() -> None:
    assert [third_of(value, (1.0, 1.0)) for value in (0.0, 1.0, 1.5)] == ["low", "low", "high"]
    assert [third_of(value, (1.0, 2.0)) for value in (1.0, 1.1, 2.0, 2.1)] == ["low", "middle", "middle", "high"]


def test_files(everything: EvaluationResult, tmp_path: Path) -> None:
    paths = everything.write(tmp_path)
    with paths["strata"].open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["case"] for row in rows] == [f"c{case}" for case in range(CASES)]
    assert float(rows[0]["density"]) == everything.properties["c0"]["density"]
    assert rows[0]["density_third"] == "low"
    assert json.loads(paths["json"].read_text())["strata"]["blur"]["stratum"] == "quality"
    text = everything.table()
    assert "objects per area [per 10,000 px]  low" in text
    assert "Rank correlation with the Dice of a case" in text


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, found in zip(("predictions", "references", "images"), maps(), strict=True):
        (tmp_path / folder).mkdir()
        for case, array in found.items():
            Image.fromarray(array).save(tmp_path / folder / f"{case}.png")
    words = ["evaluate", "-p", str(tmp_path / "predictions"), "-r", str(tmp_path / "references"), "--bootstrap", "50"]
    words += ["--instances", "--strata", "size,quality", "--overlays", "0", "-o", str(tmp_path / "out")]
    assert main(words) == 1
    assert "strata 'quality' needs the images, which are not given (--images DIR)" in capsys.readouterr().err
    assert main([*words, "--images", str(tmp_path / "images")]) == 0
    page = Page((tmp_path / "out" / "report.html").read_text())
    assert "Easy and hard cases" in page.text
    assert "strata_per_case.csv" in page.text
    assert (tmp_path / "out" / "strata_per_case.csv").is_file()


def test_a_data_list_brings_its_images_and_numbers_of_objects(tmp_path: Path) -> None:
    predictions, references, images = maps()
    data = []
    for case in list(references)[:3]:
        for name, array in (("image", images[case]), ("label", (references[case] > 0).astype(np.uint8))):
            Image.fromarray(array).save(tmp_path / f"{case}_{name}.png")
        data.append({"case": case, **{name: str(tmp_path / f"{case}_{name}.png") for name in ("image", "label")}})
    masks = {case: (predictions[case] > 0).astype(np.uint8) for case in predictions if case in ("c0", "c1", "c2")}
    result = write_report(masks, data, TWO, tmp_path / "out", overlays=0, strata=["quality"])
    assert list(result.summary["strata"]) == ["blur", "contrast", "noise"]
    for case in data:
        Image.fromarray(references[case["case"]]).save(tmp_path / f"{case['case']}_numbers.png")
        case["instances"] = str(tmp_path / f"{case['case']}_numbers.png")
    result = write_report(masks, data, TWO, tmp_path / "out", overlays=0, strata=["crowding"])
    for case, values in result.properties.items():
        assert values["touching"] == pytest.approx(metrics.touching_share(references[case]))
    data[1]["instances"] = np.ones((5, 5), np.uint8)
    with pytest.raises(ValueError, match=r"case c1: its numbers of objects have the shape \(5, 5\), its reference"):
        write_report(masks, data, TWO, tmp_path / "out", overlays=0, strata=["crowding"])


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "name": ({"strata": "shape"}, r"strata names \['shape'\], expected some of size, size_spread, crowding, quality"),
    "paper": ({"strata": "size", "protocol": "paper", "family": "volume"}, "strata belongs to the clinical protocol"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options(name: str) -> None:
    options, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        evaluate({}, {}, TWO, **options)
