# SPDX-License-Identifier: Apache-2.0
"""What ``sa2-monai datasets list`` shows."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.data import DATASETS

__all__ = ["describe", "text"]

_LAYOUT = re.compile(r"^layout:\s*['\"]?(\w+)", re.MULTILINE)


def describe(names: Sequence[str] = (), bundles: Path | None = None) -> dict[str, dict[str, Any]]:
    """The data sets as JSON has them.

    Args:
        names: which; none is all.
        bundles: folder of bundles; ``None`` is that of the checkout, where the package is one.

    Returns:
        For each data set ``title``, ``files`` (kind of files), ``classes`` (``None``: the user's), ``splits``,
        ``preparations`` (form -> description), ``licence``, ``homepage``, ``citation`` and ``overlays`` (bundle ->
        names of the overlays whose layout it is).
    """
    overlays = _overlays(Path(__file__).resolve().parents[2] / "bundles" if bundles is None else bundles)
    return {
        name: {
            "title": entry.title,
            "files": entry.files,
            "classes": None if entry.classes is None else list(entry.classes),
            "splits": list(entry.splits),
            "preparations": {form: preparation.description for form, preparation in entry.preparations.items()},
            "licence": entry.licence,
            "homepage": entry.homepage,
            "citation": entry.citation,
            "overlays": overlays.get(name, {}),
        }
        for name, entry in sorted(DATASETS.items())
        if not names or name in names
    }


def text(document: Mapping[str, Mapping[str, Any]]) -> str:
    """The same for people.

    Args:
        document: what :func:`describe` returned.
    """
    blocks = []
    for name, entry in document.items():
        rows = {
            "files": entry["files"],
            "classes": ", ".join(entry["classes"]) if entry["classes"] else "yours",
            "splits": ", ".join(entry["splits"]),
            "prepare": "; ".join(f"{form}: {description}" for form, description in entry["preparations"].items()),
            "licence": entry["licence"],
            "homepage": entry["homepage"],
            "cite": entry["citation"],
            "bundles": ", ".join(f"{bundle} ({', '.join(files)})" for bundle, files in entry["overlays"].items()),
        }
        lines = [f"{name}: {entry['title']}"]
        for label, value in rows.items():
            if value:
                first = f"  {label + ':':<11}"
                lines += textwrap.wrap(f"{first}{value}", 120, subsequent_indent=" " * 13, break_long_words=False)
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _overlays(bundles: Path) -> dict[str, dict[str, list[str]]]:
    """Overlays by layout and bundle; the base file is none."""
    found: dict[str, dict[str, list[str]]] = {}
    for path in sorted(bundles.glob("*/configs/*.yaml")):
        match = _LAYOUT.search(path.read_text(encoding="utf-8")) if path.stem != "train" else None
        if match:
            found.setdefault(match[1], {}).setdefault(path.parent.parent.name, []).append(path.stem)
    return found
