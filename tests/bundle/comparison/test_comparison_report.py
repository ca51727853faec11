# SPDX-License-Identifier: Apache-2.0
"""The report of cross-validations that are made by hand: three networks that are through, one that failed."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from crossval_folders import write_crossval, write_data

from sa2_monai.bundle.comparison import document as document_module
from sa2_monai.bundle.comparison import robustness, run, train
from sa2_monai.bundle.comparison.differences import most_different
from sa2_monai.bundle.comparison.page import comparison_page
from sa2_monai.bundle.comparison.request import CompareRequest
from sa2_monai.bundle.comparison.trainings import curves_of
from sa2_monai.bundle.crossval.out_of_fold import read_out_of_fold
from sa2_monai.bundle.launch import JobError
from tests.support.report_pages import Page

#: Pixels that the predictions are moved by, and seconds of a case.
NETWORKS = {"sa2net": (0, 3.0), "daeformer": (3, 1.0), "hsaunet": (4, 1.2)}
FAILED = "svanet"
MESSAGE = "a step does not fit into memory: <24 GiB>"


class Written(dict[str, Any]):
    """``compare.json``, and where it lies."""

    folder: Path
    page: Page


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    root = tmp_path_factory.mktemp("comparison")
    masks = write_data(root / "data")
    request = CompareRequest(root / "data", root / "out", [*NETWORKS, FAILED], folds=2, minutes=12)
    (root / "out").mkdir()

    def cross_validate(crossval: Any) -> None:
        if crossval.network == FAILED:
            raise RuntimeError(MESSAGE)
        write_crossval(Path(crossval.output), masks, NETWORKS[crossval.network][0], crossval.network == "hsaunet")

    def measure_costs(runs: dict[str, Path], cases: list[dict[str, Any]], *_: Any) -> dict[str, Any]:
        facts = {"peak_mib": 20.0, "parameters": 88_000, "macs": 4_000_000, "size": [32, 32]}
        networks = {name: {"seconds": NETWORKS[name][1], **facts} for name in runs}
        machine = {"device": "two cores", "threads": 2, "torch": "2.13"}
        return {"machine": machine, "cases": [case["case"] for case in cases], "networks": networks}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "set_up", lambda crossval: type("Setup", (), {"plan": None}))
        patch.setattr(train, "cross_validate", cross_validate)
        patch.setattr(document_module, "measure_costs", measure_costs)
        found = Written(run.compare_networks(request))
    found.folder = root / "out"
    found.page = Page((root / "out" / "report.html").read_text(encoding="utf-8"))
    return found


def test_what_failed_is_told_and_the_others_are_compared(written: Written) -> None:
    assert written["networks"][FAILED] == {"folder": str(written.folder / FAILED), "error": MESSAGE}
    assert len(written["pairs"]) == 3
    assert f"{FAILED} failed and is in no table: {MESSAGE}" in written["caveats"]
    assert f"and is in no table: {MESSAGE}" in written.page.text
    assert json.loads((written.folder / "compare.json").read_text()) == written


def test_the_page_needs_nothing_else_and_names_do_nothing_to_it(written: Written) -> None:
    page = written.page
    assert "<b>bold<b>" in page.text
    assert "{{ 7*7 }}" in page.text
    assert all(address.startswith("data:image/") for address in page.values("src"))
    assert all(address.startswith("#") for address in page.values("href"))
    for section in ("recommendation", "scores", "pairs", "costs", "compared_curves", "different", "trainings"):
        assert section in page.values("id")
    assert "stress" not in page.values("id")


def test_scores_of_all_classes(written: Written) -> None:
    entry = written["networks"]["daeformer"]["scores"]
    assert set(entry["per_class"]) == {"cell & <nucleus>", "debris"}
    assert entry["counts"] == {"ok": 47, "missed": 1, "spurious": 0, "absent": 0}
    assert entry["overall"]["dice"]["ci95_low"] < entry["overall"]["dice"]["mean"] < 1
    with open(written.folder / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(NETWORKS) * 24 * 2
    dice = [float(row["dice"]) for row in rows if row["network"] == "sa2net"]
    assert dice == [1.0] * 48


def test_the_ensembles_on_the_test_part(written: Written) -> None:
    assert written["networks"]["sa2net"]["test"] == {"dice": 0.75, "iou": 0.6, "cases": 5}
    assert "The ensemble of all folds on the test part" in written.page.text


def test_the_text_table(written: Written) -> None:
    text = (written.folder / "table.txt").read_text(encoding="utf-8")
    assert re.search(r"^sa2net +all classes +1\.0000", text, re.M)
    assert re.search(r"^daeformer +all classes .* 1/48 +0$", text, re.M)
    assert re.search(r"^sa2net +daeformer +dice +\+0\.\d{4} +\+", text, re.M)
    assert re.search(r"^sa2net +32 x 32 +3\.0000 +20 +88,000 +0\.004 +12\.0$", text, re.M)
    assert "hsaunet was stopped by --time before its schedule had ended (fold 1 at epoch 2 of 4)" in " ".join(
        text.split()
    )


def test_the_recommendation_is_that_of_the_rules(written: Written) -> None:
    assert (written["recommendation"]["choice"], written["recommendation"]["basis"]) == ("sa2net", "better")
    assert "daeformer is 3.0 times as fast" in written.page.text


def test_curves_are_means_of_folds_over_minutes(written: Written) -> None:
    folders = {name: written.folder / name for name in ("sa2net", "hsaunet")}
    dice, loss = curves_of(folders, 2)
    assert [line.name for line in dice.lines] == ["sa2net", "hsaunet"] == [line.name for line in loss.lines]
    assert [text for _, _, text in dice.lines[0].dots][:2] == [
        "sa2net, minute 1.5: 0.500",
        "sa2net, minute 3: 0.750",
    ]
    # Of a fold that was stopped there are two epochs, and so the mean has no more.
    assert [len(line.dots) for line in dice.lines] == [4, 2]


def test_cases_that_differ_most(written: Written) -> None:
    results = {name: read_out_of_fold(written.folder / name) for name in NETWORKS}
    cases = most_different(results)
    assert len(cases) == 6
    assert cases[0][0] == "case23"  # in which two of three miss a class
    spreads = [spread for _, spread in cases]
    assert spreads == sorted(spreads, reverse=True)
    assert most_different({"sa2net": results["sa2net"]}) == []
    panels = [alt for alt in written.page.values("alt") if alt.endswith("of case23")]
    assert panels == [f"{name} of case23" for name in ("image", "reference", *NETWORKS)]


def test_curves_of_corrupted_images(
    written: Written, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stress_run(run: Path, output: Path, **options: Any) -> dict[str, Any]:
        assert options == {"section": "validation", "device": None, "resume": False}
        if run.parent.name == "hsaunet":
            raise ValueError("no images")
        strengths = [{"strength": s, "dice": 0.8 - 0.02 * s, "ci95_low": 0.5, "ci95_high": 0.9} for s in range(1, 6)]
        noise = {"title": "Noise", "strengths": strengths, "loses_5_points_at": 2.5}
        return {"clean": {**strengths[0], "dice": 0.8}, "cases": 12, "corruptions": {"noise": noise}}

    monkeypatch.setattr(robustness, "stress_run", stress_run)
    runs = {name: written.folder / name / "fold0" for name in NETWORKS}
    stress = robustness.stress_networks(runs, written.folder, None)
    assert list(stress) == ["sa2net", "daeformer"]
    assert "hsaunet was not tested: no images" in capsys.readouterr().out
    results = {name: read_out_of_fold(written.folder / name) for name in NETWORKS}
    page = Page(comparison_page({**written, "stress": stress}, results))
    assert "stress" in page.values("id")
    assert page.text.count("at strength 2.5") == 2
    assert "daeformer, strength 5: 0.700" in page.text


def test_without_times_the_report_is_written_all_the_same(
    written: Written, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure_costs(*_: Any) -> None:
        raise JobError("no device")

    monkeypatch.setattr(document_module, "measure_costs", measure_costs)
    results = {name: read_out_of_fold(written.folder / name) for name in NETWORKS}
    request = CompareRequest(written.folder.parent / "data", written.folder, list(NETWORKS), folds=2)
    found = document_module.describe(request, {**written, "networks": dict(written["networks"])}, results)
    assert found["costs"] is None
    assert "no times and memory: no device" in capsys.readouterr().out
    assert not any("fast" in sentence for sentence in found["recommendation"]["sentences"])


def test_a_network_with_other_folds_is_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cross_validate(crossval: Any) -> None:
        file = Path(crossval.output) / "splits" / "fold0" / "validation.txt"
        file.parent.mkdir(parents=True)
        file.write_text(f"case of {crossval.network}")

    monkeypatch.setattr(train, "set_up", lambda crossval: type("Setup", (), {"plan": None}))
    monkeypatch.setattr(train, "cross_validate", cross_validate)
    request = CompareRequest(tmp_path, tmp_path / "out", ["sa2net", "svanet"])
    (tmp_path / "out").mkdir()
    state: dict[str, Any] = {"networks": {"sa2net": {}, "svanet": {}}}
    train.train_networks(request, state)
    assert "error" not in state["networks"]["sa2net"]
    assert re.search("svanet has other cases in its folds than .*sa2net", state["networks"]["svanet"]["error"])


def test_nothing_is_left_when_every_network_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cross_validate(_: Any) -> None:
        raise ValueError("no masks")

    monkeypatch.setattr(train, "set_up", lambda crossval: type("Setup", (), {"plan": None}))
    monkeypatch.setattr(train, "cross_validate", cross_validate)
    with pytest.raises(RuntimeError, match="every network failed"):
        run.compare_networks(CompareRequest(tmp_path, tmp_path / "out", ["sa2net", "svanet"]))
    assert not (tmp_path / "out" / "report.html").exists()
