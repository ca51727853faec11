# SPDX-License-Identifier: Apache-2.0
"""The page: its sections one after the other, its style and its script."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache, partial
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sa2_monai.evaluation.report.html.cases import (
    CASES_LISTED,
    FINDINGS,
    case_lines,
    class_columns,
    found_structures,
)
from sa2_monai.evaluation.report.html.curves import learning_curves
from sa2_monai.evaluation.report.html.images import ReportImages
from sa2_monai.evaluation.report.html.metrics import FIRST, TITLES, explanations, metric_title
from sa2_monai.evaluation.report.html.numbers import interval, number, p_value, signed
from sa2_monai.evaluation.report.html.origin import Origin
from sa2_monai.evaluation.report.html.plots import box_plots, difference_plot
from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.evaluation.scores.rows import STATES
from sa2_monai.evaluation.scores.size_strata import PUBLISHED_COLUMNS, STRATA_COLUMNS
from sa2_monai.io.palette import class_colour
from sa2_monai.io.text import printable

__all__ = ["HTML_NAME", "html_report"]

HTML_NAME = "report.html"
LISTED = 200  # rows of a list; the rest is in the CSV
#: Name of the template and title of each section; one without content is left out.
SECTIONS = {
    "limits": "Limits",
    "classes": "Classes",
    "missed": "Missed and false structures",
    "failed": "Failed cases",
    "images": "Images",
    "cases": "Cases",
    "plots": "Distributions",
    "sizes": "Sizes of objects",
    "strata": "Easy and hard cases",
    "objects": "Single objects",
    "comparison": "Comparison",
    "training": "Training",
    "metrics": "All metrics",
    "warnings": "Warnings",
    "deviations": "Deviations from the publication",
    "settings": "Settings",
    "versions": "Versions",
}


class Section(NamedTuple):
    """A titled part of the page."""

    name: str
    title: str
    content: Markup


def html_report(
    result: EvaluationResult,
    images: ReportImages | None = None,
    comparison: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    origin: Origin | None = None,
    second: EvaluationResult | None = None,
    second_origin: Origin | None = None,
    written: str = "",
) -> str:
    """Write the report of an evaluation as HTML.

    Args:
        result: an evaluation.
        images: what :func:`sa2_monai.evaluation.report.html.images.collect_images` returned.
        comparison: what :func:`sa2_monai.evaluation.compare` returned, to be shown as well.
        settings: of the run, to be listed with those of the protocol.
        origin: model, data and training.
        second: the evaluation of the model that was compared with.
        second_origin: its model.
        written: date of the report.

    Returns:
        The content of the file.
    """
    origin = origin or Origin()
    summary = result.summary
    images = images or ReportImages()
    values = {
        "result": result,
        "summary": summary,
        "protocol": summary["protocol"],
        "unit": summary["protocol"]["unit"],
        "explanations": explanations(summary),
        "found": found_structures(result),
        "images": images,
        "figure_of": {figure.case: index for index, figure in reversed(list(enumerate(images.figures, start=1)))},
        "lines": case_lines(result, second),
        "class_columns": class_columns(result),
        "plots": box_plots(result, summary["protocol"]["unit"]),
        "curves": learning_curves(origin.history, summary["classes"]),
        "comparison": comparison,
        "difference_plot": None if second is None else difference_plot(result, second),
        "class_values": {name: int(value) for value, name in summary["classes"].items()},
        "strata_keys": _strata_keys(summary),
        "published": {k: number(v) for k, v in summary.get("paper", {}).items() if isinstance(v, float)},
        "settings": {
            **{f"protocol: {key}": value for key, value in summary["protocol"].items()},
            **(settings or {}),
            **({"weights: sha256": origin.weights} if origin.weights else {}),
        },
        "origin": origin,
        "second_origin": second_origin or Origin(),
        "written": written,
        "constant": [text for text in summary["warnings"] if text.startswith("constant_prediction:")],
    }
    environment = _environment()
    rendered = {name: environment.get_template(f"{name}.html").render(values).strip() for name in SECTIONS}
    # every value in a section was escaped when it was rendered
    sections = [Section(name, SECTIONS[name], Markup(text)) for name, text in rendered.items() if text]
    return environment.get_template("page.html").render(values, sections=sections) + "\n"


def _strata_keys(summary: Mapping[str, Any]) -> set[str]:
    """The metrics that any stratum of sizes has."""
    strata = summary.get("size_strata", {}).get("below_percent", {}).values()
    return {key for stratum in strata for key in stratum.get("overall", {})}


@cache
def _environment() -> Environment:
    loader = PackageLoader("sa2_monai.evaluation.report", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters = (number, signed, interval, p_value)
    environment.filters.update({function.__name__: function for function in filters})
    environment.filters.update(
        name=lambda value: printable(str(value)),
        metric=metric_title,
        word=lambda state: FINDINGS.get(state, state),
        stratum=STRATA_COLUMNS.get,
        json_text=partial(json.dumps, default=str, ensure_ascii=False),
    )
    sources = {name: Markup(loader.get_source(environment, name)[0]) for name in ("style.css", "script.js")}
    environment.globals.update(
        style=sources["style.css"],
        script=sources["script.js"],
        style_hash=_hash(sources["style.css"]),
        script_hash=_hash(sources["script.js"]),
        titles=TITLES,
        first=FIRST,
        states=STATES,
        findings=FINDINGS,
        listed=LISTED,
        cases_listed=CASES_LISTED,
        strata_columns=STRATA_COLUMNS,
        published_columns=PUBLISHED_COLUMNS,
        colour=lambda value: f"#{bytes(class_colour(int(value))).hex()}",
    )
    return environment


def _hash(text: str) -> str:
    """What the page's policy calls its one style and its one script: nothing else may act, whatever a name says."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
