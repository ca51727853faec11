# SPDX-License-Identifier: Apache-2.0
"""A stress test of a run of seconds: scores, files, resumption; volumes; bad input."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from sa2_monai import load_bundle
from sa2_monai.bundle.stress import run as stress
from sa2_monai.bundle.stress.conditions import CLEAN, Condition, StressTest, run_clean, run_condition
from sa2_monai.bundle.stress.files import corrupt_cases
from sa2_monai.bundle.stress.run import stress_run
from sa2_monai.bundle.stress.scores import read_rows
from sa2_monai.cli.main import main
from sa2_monai.evaluation import evaluate
from tests.support.report_pages import Page
from tests.support.trained_run import TrainedRun

Stressed = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def stressed(trained_run: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> Stressed:
    """Noise on the test cases of the run; nobody changes the folder."""
    folder = tmp_path_factory.mktemp("stress #1") / "out"
    return folder, stress_run(trained_run.folder, output=folder, corruptions=["noise", "stain"], device="cpu")


def test_scores_are_those_of_predictions_of_the_same_images(
    stressed: Stressed, trained_run: TrainedRun, tmp_path: Path
) -> None:
    _folder, document = stressed
    bundle = load_bundle(trained_run.folder, device="cpu")
    cases = bundle.cases(trained_run.data)
    assert document["cases"] == len(cases) == 4
    images = corrupt_cases(cases, "images", "noise", 5, 0, tmp_path)
    labels = bundle.predict([case["image"] for case in images])
    names = [case["case"] for case in cases]
    references = {case["case"]: case["label"] for case in cases}
    result = evaluate(dict(zip(names, labels, strict=True)), references, bundle.class_names, label_values="nonzero")
    entry = document["corruptions"]["noise"]["strengths"][4]
    assert (entry["strength"], entry["value"]) == (5, 0.18)
    assert entry["dice"] == pytest.approx(result.headline, abs=1e-12)
    assert entry["loss"] == pytest.approx(document["clean"]["dice"] - entry["dice"], abs=1e-12)
    clean = bundle.evaluate(trained_run.data, output_dir=tmp_path / "eval", overlays=0)
    assert document["clean"]["dice"] == pytest.approx(clean.headline, abs=1e-12)
    assert not (tmp_path / "eval" / "overlays").exists()


def test_files(stressed: Stressed) -> None:
    folder, document = stressed
    assert json.loads((folder / "stress.json").read_text(encoding="utf-8")) == document
    assert document["left_out"] == {"stain": "is for colour images, these have 1 channel"}
    assert sorted(path.name for path in folder.iterdir()) == [
        *("conditions", "examples", "report.html", "stress.csv", "stress.json")
    ]
    assert not list(folder.rglob("predictions")), "images and label maps of forty conditions are not kept"
    with (folder / "stress.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 6 * 4
    assert {(row["corruption"], row["strength"]) for row in rows} == {("clean", "0")} | {
        ("noise", str(strength)) for strength in range(1, 6)
    }
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    for text in (
        "Stress test on 4 cases",
        "Robustness curves",
        "Left out: stain is for colour images",
        "loses 5 points",
    ):
        assert text in page.text
    assert page.text.count("not within 5 strengths") + page.text.count("at strength") >= 1
    assert len([src for src in page.values("src") if src.startswith("data:image/jpeg")]) == 6


def test_resumption_keeps_what_is_through(
    stressed: Stressed, trained_run: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three conditions are there, the third without its summary: it and those behind it run again."""
    folder, document = stressed
    out = tmp_path / "out"
    shutil.copytree(folder, out)
    (out / "conditions" / "noise" / "3" / "metrics_summary.json").unlink()
    for strength in (4, 5):
        shutil.rmtree(out / "conditions" / "noise" / str(strength))
    ran: list[Condition] = []

    def run(test: StressTest, condition: Condition, example: Any) -> None:
        ran.append(condition)
        assert (out / "stress.json").is_file()
        shutil.copytree(folder / condition.folder, out / condition.folder, dirs_exist_ok=True)

    monkeypatch.setattr(stress, "run_condition", run)
    given: dict[str, Any] = {"output": out, "corruptions": ["noise", "stain"], "device": "cpu"}
    with pytest.raises(ValueError, match=r"holds a stress test. Go on with --resume, or choose another --output"):
        stress_run(trained_run.folder, **given)
    with pytest.raises(ValueError, match="holds a test with other seed: give another --output, or the same options"):
        stress_run(trained_run.folder, **given, resume=True, seed=1)
    assert stress_run(trained_run.folder, **given, resume=True) == document
    assert ran == [Condition("noise", strength) for strength in (3, 4, 5)]


def test_all_cases_of_a_folder(trained_run: TrainedRun) -> None:
    bundle = load_bundle(trained_run.folder, device="cpu")
    parts = {part: bundle.cases(trained_run.data, section=part) for part in ("training", "validation", "test")}
    every = bundle.cases(trained_run.data, section="all")
    assert [case["case"] for case in every] == [case["case"] for cases in parts.values() for case in cases]
    assert len(every) == 16


def test_volumes_are_scored_in_all_their_slices(heart_bundle: Path, tmp_path: Path) -> None:
    cases = []
    for name in "ab":
        rng = np.random.default_rng(ord(name))
        label = np.zeros((24, 26, 5), np.uint8)
        label[4:12, 5:14], label[14:20, 5:14], label[4:12, 16:24] = 1, 2, 3
        for kind, array in (("image", 100 * label + rng.random(label.shape) * 40), ("label", label)):
            nib.save(
                nib.Nifti1Image(array.astype(np.float32), np.diag([1.5, 1.5, 8, 1])), tmp_path / f"{name}_{kind}.nii"
            )
        cases.append({"case": name, **{kind: str(tmp_path / f"{name}_{kind}.nii") for kind in ("image", "label")}})
    bundle = load_bundle(heart_bundle, device="cpu")
    assert bundle.kind == "volumes"
    test = StressTest(bundle, tmp_path, {}, cases, "volumes", 0, tmp_path / "out")
    test.output.mkdir()
    example = run_clean(test)
    assert example.case in "ab"
    assert example.position in range(5)
    run_condition(test, Condition("missing_slices", 5), example)
    clean, lost = (read_rows(test.output / c.folder) for c in (Condition(CLEAN, 0), Condition("missing_slices", 5)))
    assert [row["case"] for row in lost] == [row["case"] for row in clean] == [*"aaabbb"]
    assert [row["dice"] for row in lost] != [row["dice"] for row in clean]
    assert sorted(path.name for path in (test.output / "examples").iterdir()) == ["clean.png", "missing_slices-5.png"]


def test_command(trained_run: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["stress", "--bundle", str(trained_run.folder), "--output", str(tmp_path / "out"), "--device", "cpu"]
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--corruptions", "fog"])
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--seed", "-1"])
    assert main([*words[:2], str(tmp_path / "none"), *words[3:]]) == 1
    assert main([*words, "--data", str(tmp_path)]) == 1
    assert not (tmp_path / "out").exists(), "nothing is written of what cannot be"
    assert "none" in capsys.readouterr().err
