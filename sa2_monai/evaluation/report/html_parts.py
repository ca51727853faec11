# SPDX-License-Identifier: Apache-2.0
"""Pieces of the HTML report: style, sections, tables, numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["DASH", "STYLE", "bullets", "number", "pairs", "section", "span", "table"]

DASH = "&ndash;"
STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; --blue: #2a6fb8; --bad: #b3261e; --good: #1b7f3b; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1080px; padding: 1.5rem; }
h1 { margin: 0 0 .2rem; font-size: 1.6rem; } h2 { margin: 2rem 0 .6rem; font-size: 1.2rem; }
h3 { margin: 1.2rem 0 .2rem; font-size: 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .6rem; text-align: right; vertical-align: top; }
th:first-child, td:first-child, .text td, .text th { text-align: left; }
td { overflow-wrap: anywhere; } thead th { background: var(--soft); }
.scroll { overflow-x: auto; }
.notice { border-left: 4px solid var(--bad); padding: .3rem .8rem; background: var(--soft); }
.big { font-size: 2rem; font-weight: 600; margin-right: .5rem; }
.bad { color: var(--bad); } .good { color: var(--good); }
.images { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(420px, 100%), 1fr)); }
.class { margin-right: 1.2rem; white-space: nowrap; }
.class i { display: inline-block; width: 1.1em; height: .8em; margin-right: .4em; border: 1px solid var(--line); }
figure { margin: 0; } figure img { width: 100%; height: auto; border-radius: 4px; }
svg { width: 100%; max-width: 720px; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
svg .tick { opacity: .75; } svg .grid { stroke: var(--line); stroke-width: .7; }
svg .box { fill: #2a6fb833; stroke: var(--blue); stroke-width: 1.2; }
svg .median { stroke: var(--blue); stroke-width: 2.4; }
svg .point { fill: currentColor; opacity: .55; } pre { white-space: pre-wrap; background: var(--soft); padding: .8rem; }
@media print { body { max-width: none; } section { break-inside: avoid; } }
"""


def section(title: str, content: str) -> str:
    """A titled part of the page; nothing without content (HTML)."""
    return f"<section><h2>{title}</h2>{content}</section>" if content else ""


def number(value: Any, digits: int = 4) -> str:
    """A number as HTML, a dash where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return DASH
    return f"{value:.{digits}f}" if isinstance(value, float) else escape(str(value))


def span(low: float | None, high: float | None, form: str = ".4f") -> str:
    """An interval as HTML, a dash where there is none."""
    return DASH if low is None or high is None else f"{low:{form}} {DASH} {high:{form}}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """A table of cells that are HTML already."""
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    columns = "".join(f"<th>{name}</th>" for name in head)
    body = f"<thead><tr>{columns}</tr></thead><tbody>{lines}</tbody>"
    return f'<div class="scroll"><table class="{kind}">{body}</table></div>'


def pairs(values: Mapping[str, Any]) -> str:
    """A table of names and values (text or anything that JSON has)."""

    def text(value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value, default=str)

    return table(("", ""), [(escape(str(key)), escape(text(value))) for key, value in values.items()], "text")


def bullets(entries: Sequence[str]) -> str:
    """A list of texts; nothing when there are none."""
    return "<ul>" + "".join(f"<li>{escape(entry)}</li>" for entry in entries) + "</ul>" if entries else ""
