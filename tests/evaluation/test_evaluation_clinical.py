# SPDX-License-Identifier: Apache-2.0
"""The clinical protocol on files: pairing, checks, table, summary, bootstrap, comparison."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from PIL import Image

from sa2_monai.evaluation import COLUMNS, compare, evaluate
from sa2_monai.io import atomic

NAMES = ["background", "a", "b"]
METRICS = COLUMNS[4:18]


def disc(shape: tuple[int, int], row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def save(folder: Path, case: str, array: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case}.png"
    Image.fromarray(array.astype(np.uint8)).save(path)
    return path


@pytest.fixture
def cohort(tmp_path: Path) -> tuple[Path, Path]:
    """Nine cases of two classes; class b is missed, spurious and absent once each."""
    rng = np.random.default_rng(0)
    for index in range(9):
        row, column = rng.uniform(16, 30, 2)
        reference, prediction = np.zeros((2, 48, 52), np.uint8)
        reference[disc((48, 52), row, column, 9)] = 1
        prediction[disc((48, 52), row + rng.normal(), column + rng.normal(), 9)] = 1
        if index not in (2, 3):
            reference[38:44, 5:15] = 2
        if index not in (1, 3):
            prediction[38:43, 6:15] = 2
        save(tmp_path / "references", f"case{index}", reference)
        save(tmp_path / "predictions", f"case{index}", prediction)
    return tmp_path / "predictions", tmp_path / "references"


def test_states_and_values_of_missing_structures(cohort: tuple[Path, Path]) -> None:
    result = evaluate(*cohort, NAMES)
    rows = {(row["case"], row["class_name"]): row for row in result.per_case}
    assert list(rows) == [(f"case{i}", name) for i in range(9) for name in ("a", "b")]
    missed, spurious, absent = (rows[f"case{i}", "b"] for i in (1, 2, 3))
    assert (missed["status"], spurious["status"], absent["status"]) == ("missed", "spurious", "absent")
    for row in (missed, spurious):
        assert (row["dice"], row["jaccard"], row["nsd"]) == (0, 0, 0)
        assert math.isnan(row["hd95"])
    assert (missed["sensitivity"], spurious["precision"]) == (0, 0)
    assert math.isnan(missed["precision"])
    assert math.isnan(spurious["sensitivity"])
    assert all(math.isnan(absent[m]) for m in METRICS if m != "specificity")
    summary = result.summary
    assert summary["per_class"]["b"]["counts"] == {"ok": 6, "missed": 1, "spurious": 1, "absent": 1}
    assert summary["per_class"]["b"]["dice"]["n_valid"] == 8
    assert summary["per_class"]["b"]["hd95"]["n_valid"] == 6
    assert summary["protocol"]["unit"] == "px"
    assert summary["classes"] == {"1": "a", "2": "b"}
    assert [w["case"] for w in summary["worst_cases"][:2]] == ["case1", "case2"]
    assert any(w.startswith("few_cases") for w in summary["warnings"])
    assert any(w.startswith("empty_reference") for w in summary["warnings"]) is False
    assert result.headline == summary["overall"]["dice"]["mean_of_class_means"]


def test_paper_dice_equals_clinical_dice_when_all_structures_are_there(cohort: tuple[Path, Path]) -> None:
    clinical = evaluate(*cohort, NAMES)
    paper = evaluate(*cohort, NAMES, "paper", family="volume")
    for a, b in zip(clinical.per_case, paper.per_case, strict=True):
        if a["status"] == "ok":
            assert a["dice"] == b["dice"]
        else:
            assert b["dice"] == (1 if a["status"] == "spurious" else 0)


def test_summary_can_be_computed_from_the_csv_alone(cohort: tuple[Path, Path], tmp_path: Path) -> None:
    paths = evaluate(*cohort, NAMES, bootstrap_samples=300, seed=5).write(tmp_path / "out")
    summary = json.loads(paths["json"].read_text(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    with paths["csv"].open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
    assert tuple(reader.fieldnames or ()) == COLUMNS
    cases = sorted({row["case"] for row in rows})
    index = np.random.RandomState(5).randint(0, len(cases), (300, len(cases)))
    for metric in METRICS:
        class_means, case_values, draws = [], [], []
        for name in NAMES[1:]:
            values = np.array([float(r[metric] or "nan") for r in rows if r["class_name"] == name])
            case_values.append(values)
            block, valid = summary["per_class"][name][metric], values[~np.isnan(values)]
            assert (block["n"], block["n_valid"]) == (len(values), len(valid))
            if not len(valid):
                assert block["mean"] is None
                continue
            assert block["mean"] == pytest.approx(valid.mean(), rel=1e-12)
            assert block["std"] == pytest.approx(valid.std(ddof=1), rel=1e-12)
            assert block["median"] == np.median(valid)
            assert (block["min"], block["max"]) == (valid.min(), valid.max())
            with np.errstate(invalid="ignore"):
                statistic = np.array([np.nansum(v) / np.count_nonzero(~np.isnan(v)) for v in values[index]])
            low, high = np.percentile(statistic[~np.isnan(statistic)], [2.5, 97.5])
            assert (block["ci95_low"], block["ci95_high"]) == pytest.approx((low, high), rel=1e-12)
            class_means.append(valid.mean())
            draws.append(statistic)
        overall = summary["overall"][metric]
        if class_means:
            assert overall["mean_of_class_means"] == pytest.approx(np.mean(class_means), rel=1e-12)
            by_case = [np.mean(v[~np.isnan(v)]) for v in np.array(case_values).T if not np.isnan(v).all()]
            assert overall["mean_of_case_means"] == pytest.approx(np.mean(by_case), rel=1e-12)
            low, high = np.percentile(np.mean(draws, axis=0), [2.5, 97.5])
            assert (overall["ci95_low"], overall["ci95_high"]) == pytest.approx((low, high), rel=1e-12)
        else:
            assert overall["classes_without_valid_case"] == NAMES[1:]


def test_csv_has_full_precision_and_empty_fields(cohort: tuple[Path, Path], tmp_path: Path) -> None:
    result = evaluate(*cohort, NAMES, tolerance={"a": 1.5})
    text = result.write(tmp_path)["csv"].read_text(encoding="utf-8")
    first = dict(zip(COLUMNS, text.splitlines()[1].split(","), strict=True))
    assert first["dice"] == repr(result.per_case[0]["dice"])
    assert float(first["dice"]) == result.per_case[0]["dice"]
    assert (first["volume_pred_ml"], first["spacing_2"], first["spacing_0"]) == ("", "", "1.0")
    assert (first["tolerance"], first["unit"], first["resampled"]) == ("1.5", "px", "false")
    assert first["prediction_file"] == str(cohort[0] / "case0.png")
    assert "nan" not in text
    assert result.summary["protocol"]["tolerance"] == {"a": 1.5, "b": 2.0}


def test_writing_is_all_or_nothing(cohort: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = evaluate(*cohort, NAMES, bootstrap_samples=10)
    result.write(tmp_path / "out")
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    assert sorted(before) == ["metrics_per_case.csv", "metrics_summary.json"]

    def full_disk(handle: int) -> None:
        raise OSError("no space left on device")

    result.per_case.reverse()
    monkeypatch.setattr(atomic.os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        result.write(tmp_path / "out")
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before
    monkeypatch.undo()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError):  # noqa: PT011
        result.write(tmp_path / "file")


def test_missing_prediction_counts_as_missed(cohort: tuple[Path, Path]) -> None:
    (cohort[0] / "case0.png").unlink()
    result = evaluate(*cohort, NAMES)
    rows = [row for row in result.per_case if row["case"] == "case0"]
    assert [(row["status"], row["dice"], row["prediction_file"]) for row in rows] == [("missed", 0, "")] * 2
    assert result.summary["cases"] == 9
    assert any(w.startswith("missing_prediction: case case0") for w in result.summary["warnings"])
    with pytest.raises(ValueError, match="1 of 9 cases have no prediction: case0"):
        evaluate(*cohort, NAMES, allow_missing=False)


def test_prediction_without_reference_is_named_in_a_warning(cohort: tuple[Path, Path]) -> None:
    save(cohort[0], "other", np.zeros((48, 52)))
    save(cohort[0], "case0_prob", np.full((48, 52), 77))
    warnings = evaluate(*cohort, NAMES).summary["warnings"]
    assert "unused_predictions: 1 without a reference: other" in warnings


def test_reference_without_object_is_a_warning() -> None:
    empty = np.zeros((6, 6), int)
    result = evaluate({"x": empty}, {"x": empty}, NAMES)
    assert any(w.startswith("empty_reference: the reference of case x") for w in result.summary["warnings"])
    assert result.headline is None
    assert result.summary["overall"]["dice"]["classes_without_valid_case"] == ["a", "b"]
    assert "0 ok" in result.table()


def test_worst_view_is_written_beside_the_plain_one() -> None:
    mask, empty = np.zeros((2, 30, 40), int)
    mask[4:9, 4:9] = 1
    predictions = {"hit": mask, "missed": empty, "none": empty}
    references = {"hit": mask, "missed": mask, "none": empty}
    result = evaluate(predictions, references, ["background", "x"], empty="worst", spacing=(2, 1))
    block = result.summary["per_class"]["x"]
    diagonal = math.hypot(60, 40)
    assert block["hd95"]["mean"] == 0
    assert block["hd95_worst"]["mean"] == pytest.approx(diagonal / 3)
    assert (block["dice"]["mean"], block["dice_worst"]["mean"]) == (0.5, pytest.approx(2 / 3))
    assert result.summary["protocol"]["unit"] == "mm"
    assert "dice_worst" not in evaluate(predictions, references, ["background", "x"]).summary["overall"]


def test_default_values_of_two_classes_and_tables(tmp_path: Path) -> None:
    truth = np.zeros((12, 12), np.uint8)
    truth[3:8, 3:8] = 1
    for value, label_values in ((255, None), (1, None), (7, "nonzero"), (7, {0: 0, 7: 1}), (7, {"0": 0, "7": 1})):
        reference = save(tmp_path / "r", "x", truth * value)
        result = evaluate({"x": truth}, [reference], ["background", "x"], label_values=label_values)
        assert result.per_case[0]["dice"] == 1
    assert evaluate({"x": truth * 255}, {"x": truth}, ["background", "x"]).headline == 1
    instances = np.zeros((12, 12), np.uint16)
    instances[3:8, 3:5], instances[3:8, 5:8] = 300, 301
    assert evaluate({"x": truth}, {"x": instances}, ["background", "x"], label_values="nonzero").headline == 1
    sparse = evaluate({"x": truth * 4}, {"x": truth * 4}, {4: "organ", 9: "other"})
    assert [(r["class_value"], r["status"]) for r in sparse.per_case] == [(4, "ok"), (9, "absent")]


def test_bootstrap_draws_groups_with_all_their_cases() -> None:
    rng = np.random.default_rng(3)
    references, predictions, groups = {}, {}, {}
    for index in range(12):
        mask = disc((30, 30), 15, 15, 8)
        references[f"{index:02d}"] = mask
        predictions[f"{index:02d}"] = mask ^ (rng.random((30, 30)) < 0.1 * (index % 4))
        groups[f"{index:02d}"] = f"patient{index // 3}"
    result = evaluate(predictions, references, ["background", "x"], groups=groups, bootstrap_samples=500)
    values = np.array([row["dice"] for row in result.per_case])
    index = np.random.RandomState(0).randint(0, 4, (500, 4))
    means = [np.concatenate([values[3 * g : 3 * g + 3] for g in draw]).mean() for draw in index]
    block = result.summary["per_class"]["x"]["dice"]
    assert (block["ci95_low"], block["ci95_high"]) == pytest.approx(np.percentile(means, [2.5, 97.5]).tolist())
    assert result.summary["protocol"]["bootstrap"] == {"samples": 500, "seed": 0, "unit": "group"}
    with pytest.raises(ValueError, match="names no group for the cases 11"):
        evaluate(predictions, references, ["background", "x"], groups={k: v for k, v in groups.items() if k != "11"})


def test_one_case_has_no_interval_and_no_deviation() -> None:
    mask = disc((20, 20), 9, 9, 5)
    block = evaluate({"x": mask}, {"x": mask}, ["background", "x"]).summary["per_class"]["x"]["dice"]
    assert (block["std"], block["ci95_low"], block["mean"]) == (None, None, 1)


def test_comparison_is_the_difference_over_the_same_draws(cohort: tuple[Path, Path]) -> None:
    a = evaluate(*cohort, NAMES)
    b = evaluate(cohort[1], cohort[1], NAMES)
    found = compare(a, b, metrics=("dice", "hd95"), bootstrap_samples=400, seed=2)
    index = np.random.RandomState(2).randint(0, 9, (400, 9))
    for name in ("a", "b"):
        u, v = (np.array([r["dice"] for r in x.per_case if r["class_name"] == name]) for x in (a, b))
        draws = [np.nanmean(u[i]) - np.nanmean(v[i]) for i in index]
        block = found["per_class"][name]["dice"]
        assert block["difference"] == pytest.approx(np.nanmean(u) - np.nanmean(v))
        assert (block["ci95_low"], block["ci95_high"]) == pytest.approx(np.percentile(draws, [2.5, 97.5]).tolist())
    # case 2 has a false alarm in a and nothing in b: no pair, but it counts against a
    assert found["per_class"]["b"]["dice"]["n_pairs"] == 7
    overall = found["overall"]["dice"]
    assert overall["difference"] == pytest.approx(a.headline - b.headline)
    assert overall["ci95_low"] <= overall["difference"] <= overall["ci95_high"]
    same = compare(a, a)["overall"]["dice"]
    assert (same["difference"], same["ci95_low"], same["ci95_high"]) == (0, 0, 0)
    with pytest.raises(ValueError, match="the protocols differ"):
        compare(a, evaluate(*cohort, NAMES, tolerance=3))
    with pytest.raises(ValueError, match="the classes differ"):
        compare(a, evaluate(*cohort, ["background", "a", "c"], tolerance={"a": 2}))
    with pytest.raises(ValueError, match=r"unknown metrics \['case'\]"):
        compare(a, b, metrics=["case"])
    (cohort[1] / "case8.png").unlink()
    with pytest.raises(ValueError, match="only one has case8"):
        compare(a, evaluate(*cohort, NAMES))


def test_suffixes_are_not_part_of_the_case(tmp_path: Path) -> None:
    mask = disc((10, 10), 5, 5, 3)
    save(tmp_path / "p", "x_seg", mask)
    save(tmp_path / "r", "x_anno", mask * 9)
    options: dict[str, Any] = {"prediction_suffix": "_seg", "reference_suffix": "_anno", "label_values": "nonzero"}
    result = evaluate(tmp_path / "p", tmp_path / "r", ["background", "x"], **options)
    assert [(row["case"], row["dice"]) for row in result.per_case] == [("x", 1)]
    with pytest.raises(ValueError, match="predictions are named x_seg, references x_anno"):
        evaluate(tmp_path / "p", tmp_path / "r", ["background", "x"])


MASK = np.zeros((5, 6), np.uint8)
TWO = ["background", "x"]
BAD_CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "protocol": (lambda: evaluate({"x": MASK}, {"x": MASK}, TWO, "medical"), "protocol is 'medical'"),
    "no family": (lambda: evaluate({"x": MASK}, {"x": MASK}, TWO, "paper"), "family is None, expected one of image"),
    "family of clinical": (lambda: evaluate({"x": MASK}, {"x": MASK}, TWO, family="image"), "belong to protocol='pa"),
    "unit": (lambda: evaluate({"x": MASK}, {"x": MASK}, TWO, unit="inch"), "unit is 'inch'"),
    "unit of images": (lambda: evaluate({"x": MASK}, {"x": MASK}, TWO, unit="mm"), "case x is measured in px"),
    "empty": (lambda: evaluate({"x": MASK}, {"x": MASK}, TWO, empty="zero"), "empty is 'zero'"),
    "empty of paper": (
        lambda: evaluate({"x": MASK}, {"x": MASK}, TWO, "paper", family="volume", empty="worst"),
        "belongs to the clinical protocol",
    ),
    "tolerance": (lambda: evaluate({"x": MASK}, {"x": MASK}, TWO, tolerance=-1), "tolerance is {'x': -1.0}"),
    "infinite": (lambda: evaluate({"x": MASK}, {"x": MASK}, TWO, tolerance=math.inf), "expected finite numbers"),
    "tolerance of": (lambda: evaluate({"x": MASK}, {"x": MASK}, TWO, tolerance={"y": 1}), r"tolerance names \['y'\]"),
    "samples": (lambda: evaluate({"x": MASK}, {"x": MASK}, TWO, bootstrap_samples=0), "bootstrap_samples is 0"),
    "one class": (lambda: evaluate({"x": MASK}, {"x": MASK}, ["background"]), "at least one class"),
    "a text": (lambda: evaluate({"x": MASK}, {"x": MASK}, "background,x"), "expected a list of names"),
    "same names": (lambda: evaluate({"x": MASK}, {"x": MASK}, ["x", "x"]), "not empty and differ"),
    "unknown value": (
        lambda: evaluate({"x": MASK}, {"x": MASK + 9}, TWO),
        r"reference of case x: holds the values 9: label",
    ),
    "unknown prediction": (
        lambda: evaluate({"x": MASK + 3}, {"x": MASK}, TWO),
        "of case x: holds the values 3: .*predictions hold the",
    ),
    "three classes 255": (
        lambda: evaluate({"x": MASK}, {"x": MASK + 255}, [*TWO, "y"]),
        r"holds the values 255: label values outside the table \{0: 0, 1: 1, 2: 2\}, .*set ignore_value to 255",
    ),
    "label word": (lambda: evaluate({"x": MASK}, {"x": MASK}, TWO, label_values="all"), "label_values is 'all'"),
    "label table": (lambda: evaluate({"x": MASK}, {"x": MASK}, TWO, label_values={255: 2}), r"maps to \[2\]"),
    "nonzero": (lambda: evaluate({"x": MASK}, {"x": MASK}, [*TWO, "y"], label_values="nonzero"), "exactly one class"),
    "fractions": (lambda: evaluate({"x": MASK + 0.5}, {"x": MASK}, TWO), "holds fractional values between 0 and"),
    "complex": (lambda: evaluate({"x": MASK + 1j}, {"x": MASK}, TWO), "data of type complex"),
    "axes": (lambda: evaluate({"x": MASK[0]}, {"x": MASK[0]}, TWO), r"has shape \(6,\)"),
    "shapes": (
        lambda: evaluate({"x": MASK.T}, {"x": MASK}, TWO),
        r"case x: shape: the prediction has \(6, 5\), the reference \(5, 6\)",
    ),
    "dimensions": (lambda: evaluate({"x": MASK[None]}, {"x": MASK}, TWO), r"shape: the prediction has \(1, 5, 6\)"),
    "no pair": (lambda: evaluate({"y": MASK}, {"x": MASK}, TWO), "predictions are named y, references x"),
    "nothing": (lambda: evaluate({}, {"x": MASK}, TWO), "there are no predictions"),
    "a number": (lambda: evaluate(3, {"x": MASK}, TWO), "given as int"),
    "paper in mm": (
        lambda: evaluate({"x": MASK}, {"x": MASK}, TWO, "paper", family="volume", spacing=(1, 1)),
        "belong to the clinical protocol",
    ),
    "missing file": (
        lambda: evaluate({"x": MASK, "y": MASK}, {"x": MASK, "y": "v.nii"}, TWO),
        r"v\.nii: no such file \(reference of case y\)",
    ),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_input_is_refused(name: str) -> None:
    call, message = BAD_CALLS[name]
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        call()


def test_bad_files_are_refused_by_name(tmp_path: Path) -> None:
    references = {"x": MASK}
    for name in ("x.png", "x.nii", "x.nii.gz", "x.mha", "x.npy"):
        broken = tmp_path / name
        broken.write_bytes(b"\x93NUMPY but not really")
        with pytest.raises(ValueError, match=name.replace(".", r"\.")):
            evaluate([broken], references, TWO)
    (tmp_path / "x.txt").write_text("0 1")
    with pytest.raises(ValueError, match=r"x\.txt: unknown kind of file, expected one of"):
        evaluate({"x": tmp_path / "x.txt"}, references, TWO)
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder or file \(references\)"):
        evaluate(references, tmp_path / "nowhere", TWO)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: is a folder in a list of prediction files"):
        evaluate([tmp_path / "empty"], references, TWO)
    with pytest.raises(ValueError, match="empty: holds no prediction files"):
        evaluate(tmp_path / "empty", references, TWO)
    save(tmp_path / "two", "x", MASK)
    Image.fromarray(MASK).save(tmp_path / "two" / "x.tif")
    with pytest.raises(ValueError, match=r"two reference files for the case 'x': .*x\.png and .*x\.tif"):
        evaluate(references, tmp_path / "two", TWO)
    image = SimpleITK.GetImageFromArray(np.zeros((4, 5, 3), np.uint8), isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / "vector.mha"))
    with pytest.raises(ValueError, match=r"vector\.mha: holds 3 components per voxel"):
        evaluate(references, {"x": tmp_path / "vector.mha"}, TWO)


def test_probability_maps_are_no_predictions_and_a_case_may_be_called_prob(tmp_path: Path) -> None:
    for name in ("a", "a_prob", "other_prob"):
        save(tmp_path / "p", name, MASK)
    result = evaluate(tmp_path / "p", {"a": MASK, "other_prob": MASK}, TWO)
    assert not any("missing" in w or "unused" in w for w in result.summary["warnings"])


def test_twenty_cases_are_not_few() -> None:
    mask = disc((12, 12), 6, 6, 4)
    for number, warned in ((19, True), (20, False)):
        cases = {f"{i:02d}": mask for i in range(number)}
        warnings = evaluate(cases, cases, TWO, bootstrap_samples=10).summary["warnings"]
        assert any(w.startswith("few_cases") for w in warnings) is warned


def test_a_rare_class_may_be_missing_from_some_draws() -> None:
    """With two valid cases of eight, many draws hold neither; they are left out of the interval."""
    mask, empty = disc((12, 12), 6, 6, 4), np.zeros((12, 12), int)
    references = {str(i): mask * 1 if i < 2 else empty for i in range(8)}
    predictions = {str(i): np.roll(mask, i, axis=0) * 1 if i < 2 else empty for i in range(8)}
    block = evaluate(predictions, references, TWO).summary["per_class"]["x"]["dice"]
    values = np.array([1.0, block["min"]])
    draws = np.random.RandomState(0).randint(0, 8, (2000, 8))
    means = [values[d[d < 2]].mean() for d in draws if (d < 2).any()]
    assert len(means) < 2000
    assert (block["ci95_low"], block["ci95_high"]) == pytest.approx(np.percentile(means, [2.5, 97.5]).tolist())
