# SPDX-License-Identifier: Apache-2.0
"""What all pages share: templates, filters, the style, the script, and sections one after the other."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache, partial
from typing import Any, NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sa2_monai.evaluation.report.html.cases import CASES_LISTED, FINDINGS
from sa2_monai.evaluation.report.html.metrics import FIRST, TITLES, metric_title
from sa2_monai.evaluation.report.html.numbers import duration, interval, number, p_value, signed
from sa2_monai.evaluation.scores.rows import STATES
from sa2_monai.evaluation.scores.size_strata import PUBLISHED_COLUMNS, STRATA_COLUMNS
from sa2_monai.io.palette import class_colour
from sa2_monai.io.text import printable

__all__ = ["render_page", "report_environment"]

LISTED = 200  # rows of a list; the rest is in the CSV


class Section(NamedTuple):
    """A titled part of the page."""

    name: str
    title: str
    content: Markup


def render_page(environment: Environment, page: str, sections: Mapping[str, str], values: Mapping[str, Any]) -> str:
    """The content of an HTML file.

    Args:
        environment: what :func:`report_environment` returned.
        page: name of the template around the sections.
        sections: name of the template and title of each section; one without content is left out.
        values: what the templates show.
    """
    rendered = {name: environment.get_template(f"{name}.html").render(values).strip() for name in sections}
    # every value in a section was escaped when it was rendered
    shown = [Section(name, sections[name], Markup(text)) for name, text in rendered.items() if text]
    return environment.get_template(page).render(values, sections=shown) + "\n"


@cache
def report_environment(package: str | None = None) -> Environment:
    """The templates of the evaluation report, which those of another report may use and extend.

    Args:
        package: of the other report, with a folder ``templates``; its names come first.
    """
    own = PackageLoader("sa2_monai.evaluation.report", "templates")
    loader = own if package is None else ChoiceLoader([PackageLoader(package, "templates"), own])
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters = (duration, number, signed, interval, p_value)
    environment.filters.update({function.__name__: function for function in filters})
    environment.filters.update(
        name=lambda value: printable(str(value)),
        metric=metric_title,
        word=lambda state: FINDINGS.get(state, state),
        stratum=STRATA_COLUMNS.get,
        json_text=partial(json.dumps, default=str, ensure_ascii=False),
    )
    sources = {name: Markup(own.get_source(environment, name)[0]) for name in ("style.css", "script.js")}
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
