# SPDX-License-Identifier: Apache-2.0
"""``calibration.html``: one file that needs nothing else, in the look of the evaluation report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sa2_monai.evaluation.report.html.calibration import reliability_curves, risk_curves
from sa2_monai.evaluation.report.html.environment import render_page, report_environment

__all__ = ["calibration_page"]

#: Name of the template and title of each section; one without content is left out.
SECTIONS = {
    "calibration": "Calibration",
    "class_reliability": "Classes",
    "warnings": "Warnings",
    "settings": "Settings",
    "versions": "Versions",
}


def calibration_page(document: Mapping[str, Any], written: str = "") -> str:
    """The content of the file.

    Args:
        document: content of ``calibration.json``.
        written: date of the calibration.
    """
    values = {
        "subject": f"{document['model']} on {document['data']}",
        "summary": document,  # software, cases and notice have the same names there
        "calibration": document,
        "calibration_curves": [*reliability_curves(document), *risk_curves(document)],
        "class_curves": reliability_curves(document, document["test"]["before"]["per_class"]),
        "settings": {
            **document["configuration"],
            "weights: sha256": document["weights"]["sha256"],
            **{f"fit: {name}": value for name, value in document["fit"].items()},
        },
        "written": written,
    }
    environment = report_environment("sa2_monai.bundle.calibration")
    return render_page(environment, "calibration_page.html", SECTIONS, values)
