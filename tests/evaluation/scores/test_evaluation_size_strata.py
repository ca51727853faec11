# SPDX-License-Identifier: Apache-2.0
"""The clinical protocol once more by the size of the largest object."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sa2_monai.cli import main
from sa2_monai.evaluation import compare, evaluate
from sa2_monai.evaluation.report.files import save_report

GOLDENS = Path(__file__).parents[2] / "goldens"
SET = json.loads((GOLDENS / "metrics.json").read_text())["image_sets"][0]
ARRAYS = dict(np.load(GOLDENS / "metrics.npz"))
TWO = ["background", "lesion"]
SIDE = 40  # 1600 pixels: 16 are one percent


def square(side: int, found: int | None = None, at: tuple[int, int] = (3, 3)) -> tuple[np.ndarray, np.ndarray]:
    """A reference with a square object, and a prediction that has the first ``found`` columns of it."""
    reference, prediction = np.zeros((2, SIDE, SIDE), np.uint8)
    row, column = at
    reference[row : row + side, column : column + side] = 1
    prediction[row : row + side, column : column + (side if found is None else found)] = 1
    return prediction, reference


# side -> percent: 2 -> 0.25, 3 -> 0.5625, 4 -> 1.0, 5 -> 1.5625, 12 -> 9.0, 20 -> 25
CASES = {"a": square(2, 1), "b": square(3), "c": square(4, 2), "d": square(5), "e": square(12, 6), "f": square(20)}
DICE = {"a": 2 / 3, "b": 1, "c": 2 / 3, "d": 1, "e": 2 / 3, "f": 1}
BELOW = {"0.5": "a", "1": "ab", "2": "abcd", "3": "abcd", "5": "abcd", "10": "abcde", "100": "abcdef"}


def run(cases: dict[str, tuple[np.ndarray, np.ndarray]], **options: Any) -> Any:
    predictions, references = ({case: maps[i] for case, maps in cases.items()} for i in (0, 1))
    return evaluate(predictions, references, TWO, **{"size_strata": True, "bootstrap_samples": 50, **options})


def test_strata_are_cumulative_and_have_the_published_limits() -> None:
    result = run(CASES)
    block = result.summary["size_strata"]
    assert block["limits"] == [0.5, 1, 2, 3, 5, 10, 100]
    assert {limit: "".join(stratum["cases"]) for limit, stratum in block["below_percent"].items()} == BELOW
    for limit, stratum in block["below_percent"].items():
        expected = np.mean([DICE[case] for case in BELOW[limit]])
        assert stratum["images"] == len(BELOW[limit])
        assert stratum["few_cases"]
        assert stratum["per_class"]["lesion"]["dice"]["mean"] == pytest.approx(expected)
        assert stratum["overall"]["dice"]["mean_of_class_means"] == pytest.approx(expected)
        assert stratum["per_class"]["lesion"]["counts"]["ok"] == len(BELOW[limit])
    names = {limit: s["name"] for limit, s in block["below_percent"].items() if s["name"]}
    assert names == {"1": "ultra-small", "10": "small"}
    # a stratum of all cases is the summary itself, intervals included
    for key in ("per_class", "overall"):
        for metric in ("dice", "jaccard", "precision", "sensitivity", "hd95"):
            whole, part = result.summary[key], block["below_percent"]["100"][key]
            if key == "per_class":
                whole, part = whole["lesion"], part["lesion"]
            assert part[metric] == whole[metric]
    assert block["object_percent"] == {"a": 0.25, "b": 0.5625, "c": 1.0, "d": 1.5625, "e": 9.0, "f": 25.0}
    assert [row["object_percent"] for row in result.per_case] == list(block["object_percent"].values())
    assert result.summary["protocol"]["size_strata"] == block["limits"]


def test_an_interval_of_a_stratum_is_that_of_its_cases_alone() -> None:
    stratum = run(CASES, seed=3).summary["size_strata"]["below_percent"]["2"]
    alone = run({case: CASES[case] for case in "abcd"}, seed=3, size_strata=None)
    assert stratum["per_class"]["lesion"]["dice"] == alone.summary["per_class"]["lesion"]["dice"]
    grouped = run(CASES, groups={"a": "p", "b": "p", "c": "p", "d": "q", "e": "q", "f": "r"})
    # the one group of the stratum is all that can be drawn
    dice = grouped.summary["size_strata"]["below_percent"]["1"]["per_class"]["lesion"]["dice"]
    assert dice["ci95_low"] == dice["ci95_high"] == dice["mean"]


def test_sizes_equal_the_goldens() -> None:
    """Pixels of the largest 8-connected object of one class, the ignored ones not counted."""
    predictions = {str(i): p for i, p in enumerate(ARRAYS["image_set.pred"])}
    references = {str(i): r for i, r in enumerate(ARRAYS["image_set.ref"])}
    names = ["background", "a", "b"]
    options: dict[str, Any] = {"ignore_value": SET["ignore_value"], "size_strata": [1, 2, 5, 10, 100]}
    result = evaluate(predictions, references, names, bootstrap_samples=20, **options)
    block = result.summary["size_strata"]
    assert list(block["object_percent"].values()) == pytest.approx(SET["largest_object_percent"], abs=1e-12)
    for limit, golden in SET["size_below_percent"].items():
        assert [int(case) for case in block["below_percent"][limit]["cases"]] == golden["images"]
    # case 3 has no object: it is in every stratum, where only its false alarms count
    first = block["below_percent"]["1"]
    assert first["per_class"]["a"]["counts"] == {"ok": 2, "missed": 0, "spurious": 1, "absent": 0}


def test_an_object_is_8_connected_and_of_one_class() -> None:
    reference = np.zeros((10, 20), np.uint8)
    reference[2, 2] = reference[3, 3] = 1  # joined by a corner
    reference[3, 4:7] = 2  # touches them, another class
    reference[8, 10:14] = 1
    result = evaluate({"a": reference}, {"a": reference}, ["b", "x", "y"], size_strata=[1.99, 2.01])
    assert result.summary["size_strata"]["object_percent"] == {"a": 2.0}
    below = result.summary["size_strata"]["below_percent"]
    assert below["1.99"] == {"name": "", "images": 0, "cases": []}
    assert below["2.01"]["cases"] == ["a"]
    assert below["2.01"]["overall"]["dice"]["mean_of_class_means"] == 1


def test_the_tables_show_the_strata(tmp_path: Path) -> None:
    result = run(CASES, extra_metrics=["s_measure"], size_strata=[0.1, 1, 100])
    paths = save_report(result, tmp_path, overlays=0)
    text = paths["table"].read_text()
    assert "By the size of the largest object, cumulative" in text
    lines = [line.split() for line in text.splitlines() if line.startswith("< ")]
    assert [line[:4] for line in lines] == [
        ["<", "0.1", "%", "0"],
        ["<", "1", "%", "ultra-small"],
        ["<", "100", "%", "6"],
    ]
    assert "0.8333" in lines[1]
    html = paths["html"].read_text()
    assert "Sizes of objects" in html
    assert "&lt; 1 %<br><small>ultra-small</small>" in html
    assert '<th scope="col">S-measure</th>' in html
    with paths["csv"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[-3:] == ["resampled", "s_measure", "object_percent"]
    assert float(rows[4]["object_percent"]) == 9
    assert json.loads(paths["json"].read_text())["size_strata"]["below_percent"]["1"]["images"] == 2


def test_more_classes_have_a_line_each_and_one_of_their_mean(tmp_path: Path) -> None:
    reference = np.zeros((20, 20), np.uint8)
    reference[2:6, 2:6], reference[10:14, 10:14] = 1, 2
    result = evaluate({"a": reference}, {"a": reference}, ["b", "x", "y"], size_strata=True)
    html = save_report(result, tmp_path, overlays=0)["html"].read_text()
    section = html[html.index('<section id="sizes">') :]
    assert (
        section.index('<td class="word">x</td>')
        < section.index('<td class="word">y</td>')
        < section.index("mean of classes")
    )


def test_nothing_changes_without_the_option(tmp_path: Path) -> None:
    result = run(CASES, size_strata=None)
    assert "size_strata" not in result.summary
    assert "size_strata" not in result.summary["protocol"]
    assert "Sizes of objects" not in save_report(result, tmp_path, overlays=0)["html"].read_text()
    assert run(CASES, size_strata=False).summary == result.summary
    assert compare(run(CASES), result)["overall"]["dice"]["difference"] == 0


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for case, (prediction, reference) in CASES.items():
        for folder, array in (("p", prediction), ("r", reference)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(array).save(tmp_path / folder / f"{case}.png")
    words = ["evaluate", "-p", str(tmp_path / "p"), "-r", str(tmp_path / "r"), "--bootstrap", "20", "--overlays", "0"]
    assert main([*words, "-o", str(tmp_path / "out"), "--extra-metrics", "f2,s_measure", "--size-strata"]) == 0
    out = capsys.readouterr().out
    assert "ultra-small" in out
    summary = json.loads((tmp_path / "out" / "metrics_summary.json").read_text())
    assert {limit: "".join(s["cases"]) for limit, s in summary["size_strata"]["below_percent"].items()} == BELOW
    assert summary["protocol"]["extra_metrics"] == ["f2", "s_measure"]
    assert main([*words, "--size-strata", "1", "30", "--extra-metrics", "f2", "--fail-under", "f2=0.99"]) == 1
    assert "Limit f2 >= 0.99" in capsys.readouterr().out


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "limit": ({"size_strata": [0, 1]}, r"size_strata is \[0, 1\], expected percents of the image above 0"),
    "over 100": ({"size_strata": [101]}, "up to 100"),
    "paper": ({"protocol": "paper", "family": "volume"}, "size_strata belongs to the clinical protocol"),
}


@pytest.mark.parametrize("name", BAD)
def test_options_that_do_not_fit(name: str) -> None:
    options, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        run(CASES, **options)


def test_a_volume_has_no_share_of_an_image() -> None:
    volume = np.ones((4, 4, 4), np.uint8)
    with pytest.raises(ValueError, match=r"case v: size_strata is defined for images, this is a volume \(4, 4, 4\)"):
        evaluate({"v": volume}, {"v": volume}, TWO, size_strata=True)
