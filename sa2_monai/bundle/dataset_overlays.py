# SPDX-License-Identifier: Apache-2.0
"""The data sets and the bundles that have an overlay for them; found without MONAI, which takes seconds to import."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sa2_monai.bundle.locate import bundles_folder
from sa2_monai.data import DATASETS

__all__ = ["describe_datasets", "overlays_by_layout"]

_LAYOUT = re.compile(r"^layout:\s*['\"]?(\w+)", re.MULTILINE)


def describe_datasets(names: Sequence[str] = (), bundles: Path | None = None) -> dict[str, dict[str, Any]]:
    """Facts about the data sets, as JSON has them.

    Args:
        names: which; none is all.
        bundles: folder of bundles; ``None`` is that of the package.

    Returns:
        For each data set ``title``, ``files`` (kind of files), ``classes`` (``None``: the user's), ``splits``,
        ``preparations`` (form -> description), ``licence``, ``homepage``, ``citation`` and ``overlays`` (bundle ->
        names of the overlays whose layout it is).
    """
    overlays = overlays_by_layout(bundles_folder() if bundles is None else bundles)
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


def overlays_by_layout(bundles: Path) -> dict[str, dict[str, list[str]]]:
    """Names of overlays by layout and bundle; the base file is none.

    Args:
        bundles: folder of bundles.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for path in sorted(bundles.glob("*/configs/*.yaml")):
        match = _LAYOUT.search(path.read_text(encoding="utf-8")) if path.stem != "train" else None
        if match:
            found.setdefault(match[1], {}).setdefault(path.parent.parent.name, []).append(path.stem)
    return found
