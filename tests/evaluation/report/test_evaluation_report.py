# SPDX-License-Identifier: Apache-2.0
"""Reports from data lists: files, overlays, groups."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from sa2_monai.evaluation import EvaluationResult, evaluate, write_overlays, write_report
from sa2_monai.evaluation.report import overlays

TWO = ["background", "nucleus"]


def square(size: int, start: int, stop: int) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    mask[start:stop, start:stop] = 1
    return mask


@pytest.fixture
def data(tmp_path: Path) -> list[dict[str, str]]:
    """Ten cases whose Dice rises with the number, in the folders ``labels``, ``images`` and ``predictions``."""
    items = []
    for name in ("labels", "images", "predictions"):
        (tmp_path / name).mkdir()
    for index in range(10):
        item = {key: str(tmp_path / f"{key}s" / f"case{index}.png") for key in ("image", "label")}
        Image.fromarray(square(40, 8, 30) * 255).save(item["label"])
        Image.fromarray(np.full((40, 40), 120, np.uint8)).save(item["image"])
        Image.fromarray(square(40, 8, 12 + 2 * index)).save(tmp_path / "predictions" / f"case{index}.png")
        items.append({**item, "case": f"case{index}"})
    return items


def test_report_of_a_data_list(data: list[dict[str, str]], tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = write_report(tmp_path / "predictions", data, TWO, out, overlays=2)
    assert sorted(p.name for p in out.iterdir()) == [
        "metrics_per_case.csv",
        "metrics_summary.json",
        "overlays",
        "report.html",
        "table.txt",
    ]
    names = [p.name for p in sorted((out / "overlays").iterdir())]
    assert [name.split("_dice")[0] for name in names] == [
        "best_1_case9",
        "best_2_case8",
        "median_1_case4",
        "median_2_case5",
        "worst_1_case0",
        "worst_2_case1",
    ]
    assert names[4] == f"worst_1_case0_dice{result.per_case[0]['dice']:.3f}.png"
    # a second report leaves no image of the first, and no image of others is touched
    (out / "overlays" / "mine.png").write_bytes(b"")
    write_report(tmp_path / "predictions", data[5:], TWO, out, overlays=1)
    left = sorted(p.name.split("_dice")[0] for p in (out / "overlays").iterdir())
    assert left == ["best_1_case9", "median_1_case7", "mine.png", "worst_1_case5"]


def test_data_lists_that_do_not_work(data: list[dict[str, str]], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the data list is empty"):
        write_report(tmp_path, [], TWO, tmp_path)
    with pytest.raises(ValueError, match="two entries of the data list have the case 'case0'"):
        write_report(tmp_path, [data[0], data[0]], TWO, tmp_path)
    with pytest.raises(ValueError, match="case case0 of the data list has no label"):
        write_report(tmp_path, [{"image": "x", "case": "case0"}], TWO, tmp_path)


def test_groups_of_the_data_list_are_drawn(data: list[dict[str, str]], tmp_path: Path) -> None:
    grouped = [{**item, "group": f"patient{i // 5}"} for i, item in enumerate(data)]
    for item in grouped:
        item.pop("case")  # the label's name counts then
    result = write_report(tmp_path / "predictions", grouped, TWO, tmp_path / "out", overlays=0)
    assert result.summary["protocol"]["bootstrap"]["unit"] == "group"
    assert any(w.startswith("few_cases: 2 groups") for w in result.summary["warnings"])
    assert not (tmp_path / "out" / "overlays").exists()


def result_of(dices: list[float]) -> EvaluationResult:
    rows = [
        {"case": f"c{i}", "dice": dice, "voxels_pred": 0, "voxels_ref": 0, "voxels_both": 0}
        for i, dice in enumerate(dices)
    ]
    return EvaluationResult(rows, {}, lambda case: (None, square(12, 2, 8)))


@pytest.mark.parametrize(
    ("dices", "count", "chosen"),
    [
        ([0.5], 3, ["worst c0"]),
        ([0.9, 0.1], 3, ["worst c1", "best c0"]),
        ([0.9, 0.1, 0.5], 1, ["worst c1", "median c2", "best c0"]),
        ([0.4, 0.1, 0.2, 0.3, float("nan")], 1, ["worst c1", "median c2", "best c0"]),
        ([0.3, 0.3, 0.3, 0.3], 2, ["worst c0", "worst c2", "median c1", "best c3"]),
        ([], 2, []),
    ],
)
def test_no_case_is_chosen_twice(dices: list[float], count: int, chosen: list[str]) -> None:
    assert [f"{kind} {case}" for kind, _, case, _ in overlays.choose_cases(result_of(dices), count)] == chosen


def test_names_of_cases_are_made_fit_for_files(tmp_path: Path) -> None:
    result = evaluate({"a/b c": square(9, 2, 6)}, {"a/b c": square(9, 2, 6)}, TWO, images={"a/b c": square(9, 1, 8)})
    assert [p.name for p in write_overlays(result, tmp_path / "new")] == ["worst_1_a_b_c_dice1.000.png"]
    for case in ("\udce9\n\x1b", "語" * 82, "a" * 250):
        long = evaluate({case: square(9, 2, 6)}, {case: square(9, 2, 6)}, TWO)
        (path,) = write_overlays(long, tmp_path / "long")
        assert path.is_file()


@pytest.mark.realdata
def test_report_on_real_nuclei(real_data: Path, tmp_path: Path) -> None:
    labels = sorted((real_data / "bbbc038_nuclei" / "labels").glob("*.png"))[:6]
    images = real_data / "bbbc038_nuclei" / "images"
    data = [{"image": str(images / label.name), "label": str(label), "case": label.stem} for label in labels]
    predictions = {}
    for label in labels:
        mask = np.asarray(Image.open(label)) > 0
        predictions[label.stem] = np.roll(mask, 2, axis=1)
    result = write_report(predictions, data, TWO, tmp_path, overlays=2)
    assert 0.5 < result.headline < 1
    assert max(row["hd95"] for row in result.per_case) <= 2
    assert len(list((tmp_path / "overlays").iterdir())) == 6


@pytest.mark.parametrize("turned", ["prediction", "reference", "image"])
def test_volumes_in_another_storage_order(turned: str, tmp_path: Path) -> None:
    """As ``evaluate.yaml`` writes its report: the same voxels, whatever the order in which a file stores them."""
    rng = np.random.default_rng(0)
    image = rng.normal(size=(9, 8, 6)).astype(np.float32)
    arrays = {"image": image, "reference": (image > 0).astype(np.uint8), "prediction": (image > 0.3).astype(np.uint8)}
    affine = np.diag([-1.5, -1.5, 4.0, 1.0])
    results = []
    for folder, other in (("as_is", ""), ("turned", turned)):
        for name, array in arrays.items():
            volume = nibabel.Nifti1Image(array, affine)
            if name == other:
                volume = volume.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
            (tmp_path / folder / name).mkdir(parents=True)
            nibabel.save(volume, tmp_path / folder / name / "v.nii.gz")
        where = tmp_path / folder
        paths = {"image": str(where / "image" / "v.nii.gz"), "label": str(where / "reference" / "v.nii.gz")}
        out = where / "out"
        results.append(write_report(where / "prediction", [{**paths, "case": "v"}], TWO, out, overlays=1))
        results[-1].per_case[0].update(prediction_file="", reference_file="")
    if turned != "reference":  # of which the row says the spacing in its own order
        assert results[0].per_case == results[1].per_case
    for metric in ("dice", "nsd", "hd95", "assd", "volume_pred_ml"):
        assert results[0].per_case[0][metric] == pytest.approx(results[1].per_case[0][metric])
    pages = [Image.open(next((tmp_path / folder / "out" / "overlays").glob("*.png"))) for folder in ("as_is", "turned")]
    assert pages[0].size == pages[1].size
    assert np.array_equal(*map(np.asarray, pages))
