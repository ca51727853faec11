# SPDX-License-Identifier: Apache-2.0
"""The section on calibration: of the weights that the report is about, and of no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sa2_monai.evaluation import EvaluationResult, evaluate
from sa2_monai.evaluation.report.html import html_report
from sa2_monai.evaluation.report.html.calibration import reliability_curves, risk_curves
from sa2_monai.evaluation.report.html.origin import Origin, find_origin
from tests.support.report_pages import Page, write_run


def part(ece: float, area: float) -> dict[str, Any]:
    bins = [
        {"low": 0.5, "high": 0.6, "count": 10, "probability": 0.55, "frequency": 0.5},
        {"low": 0.9, "high": 1.0, "count": 90, "probability": 0.95, "frequency": 0.8},
    ]
    curve = {"coverage": [0.5, 1.0], "risk": [0.1, 0.2], "ideal_risk": [0.05, 0.2]}
    return {
        "nll": 0.3,
        "ece": ece,
        "reliability": bins,
        "per_class": {
            "x <i>": {"ece": ece, "pixels": 100, "reliability": bins},
            "never": {"ece": None, "pixels": 0, "reliability": []},
        },
        "risk_coverage": {"cases": 2, "area": area, "ideal": 0.125, "chance": 0.2, **curve},
    }


def document(digest: str = "ab" * 32) -> dict[str, Any]:
    return {
        "weights": {"sha256": digest},
        "data": "organs",
        "temperature": 1.63,
        "fit": {"cases": 5, "pixels": 1234},
        "cases": 2,
        "test": {"before": part(0.123, 0.161), "after": part(0.0345, 0.152)},
    }


def result() -> EvaluationResult:
    mask = np.eye(6, dtype=np.uint8)
    return evaluate({"a": mask}, {"a": mask}, ["background", "x"], bootstrap_samples=1)


def test_it_is_that_of_the_weights(tmp_path: Path) -> None:
    write_run(tmp_path)
    found = result()
    found.per_case[0]["prediction_file"] = str(tmp_path / "predictions" / "a.png")
    file = tmp_path / "eval" / "calibration.json"
    for content, expected in ((document(), document()), (document("cd" * 32), {}), ([], {})):
        file.write_text(json.dumps(content))
        assert find_origin(found).calibration == expected
    file.unlink()
    assert find_origin(found).calibration == {}


def test_the_section() -> None:
    page = Page(html_report(result(), origin=Origin(calibration=document())))
    assert "calibration" in page.values("id")
    for text in ("Temperature 1.63", "1234 pixels of 5 validation cases", "2 test cases of organs", "0.0345", "0.123"):
        assert text in page.text
    assert "ECE, x <i>" in page.text
    assert "ideal 0.125, chance 0.200" in page.text
    assert "calibration" not in Page(html_report(result())).values("id")


def test_points_lie_where_the_values_are() -> None:
    (curve,) = reliability_curves(document())
    lines = {line.name: line for line in curve.lines}
    assert list(lines) == ["before", "after", "calibrated"]
    assert lines["before"].dots[1][:2] == (curve.x.at(0.95), curve.y.at(0.8))
    assert lines["calibrated"].path == f"{curve.x.at(0)},{curve.y.at(0)} {curve.x.at(1)},{curve.y.at(1)}"
    assert [curve.title for curve in reliability_curves(document(), ["x <i>", "never"])] == ["x <i>"]
    (risk,) = risk_curves(document())
    lines = {line.name: line for line in risk.lines}
    assert lines["entropy"].dots[0][:2] == (risk.x.at(0.5), risk.y.at(0.1))
    assert lines["ideal"].dots[0][:2] == (risk.x.at(0.5), risk.y.at(0.05))
    assert lines["chance"].dots[0][:2] == (risk.x.at(0.5), risk.y.at(0.2))


@pytest.mark.parametrize("when", ["before", "after"])
def test_without_a_dice_there_is_no_curve(when: str) -> None:
    found = document()
    found["test"][when]["risk_coverage"] = None
    assert len(risk_curves(found)) == (when == "before")
    assert "risk-coverage area" not in html_report(result(), origin=Origin(calibration=found))
