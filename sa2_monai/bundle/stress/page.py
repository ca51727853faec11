# SPDX-License-Identifier: Apache-2.0
"""``report.html`` of a stress test: one file that needs nothing else, in the look of the evaluation report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sa2_monai.bundle.stress.conditions import CLEAN, Condition
from sa2_monai.bundle.stress.corruptions import CORRUPTIONS
from sa2_monai.bundle.stress.curves import robustness_curves
from sa2_monai.bundle.stress.examples import example_address
from sa2_monai.bundle.stress.table import loss_text
from sa2_monai.evaluation.report.html.environment import render_page, report_environment

__all__ = ["stress_page"]

#: Name of the template and title of each section; one without content is left out.
SECTIONS = {
    "losses": "Losses",
    "robustness": "Robustness curves",
    "examples": "One case under every corruption",
    "parameters": "Corruptions",
    "warnings": "Warnings",
    "settings": "Settings",
    "versions": "Versions",
}


def stress_page(document: Mapping[str, Any], output: Path, written: str = "") -> str:
    """The content of the file.

    Args:
        document: content of ``stress.json``.
        output: folder of the stress test, with the drawings of its example.
        written: date of the report.
    """
    names = {name: found["title"] for name, found in document["corruptions"].items()}
    values = {
        "subject": f"{document['model']} on {document['data']}",
        "summary": document,  # software, cases and notice have the same names there
        "document": document,
        "curves": robustness_curves({"Dice": document}),
        "clean_example": example_address(output, Condition(CLEAN, 0).folder),
        "examples": {
            name: [
                (entry, address)
                for entry in document["corruptions"][name]["strengths"]
                if (address := example_address(output, Condition(name, entry["strength"]).folder))
            ]
            for name in names
        },
        "left_out": {CORRUPTIONS[name].title: reason for name, reason in document["left_out"].items()},
        "loss_text": loss_text,
        "settings": document["configuration"],
        "written": written,
    }
    return render_page(report_environment("sa2_monai.bundle.stress"), "stress_page.html", SECTIONS, values)
