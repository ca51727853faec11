# SPDX-License-Identifier: Apache-2.0
"""What in a configuration, and in a bundle, goes beyond what runs without a question."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sa2_monai.bundle.trust.code import code_beside, has_cached_cases
from sa2_monai.bundle.trust.components import component_outside
from sa2_monai.bundle.trust.expressions import is_allowed_text
from sa2_monai.bundle.trust.reading import read_config

__all__ = ["SUFFIXES", "outside_of", "outside_of_bundle"]

#: Of configuration files.
SUFFIXES = (".json", ".yaml", ".yml")
_LONGEST = 80
_TOO_DEEP = "it is nested too deeply to be looked at"


def outside_of(config: Any, cached: bool = True) -> list[str]:
    """Entries of a configuration that need trust.

    Args:
        config: content of a configuration file, or of several that are merged.
        cached: whether cached cases lie beside it, see :func:`~sa2_monai.bundle.trust.code.has_cached_cases`.

    Returns:
        Each entry with its id, ``"network_def#_target_: os.system"``, in the order of the configuration.
    """
    try:
        return list(dict.fromkeys(_entries(config, "", set(), cached)))
    except RecursionError:
        return [_TOO_DEEP]


def outside_of_bundle(folder: Path) -> list[str]:
    """The same of all configurations of a bundle, each with its file, and the Python code beside them.

    Args:
        folder: folder of the bundle.

    Raises:
        ValueError: a configuration is damaged; the message names the file.
    """
    files = sorted(file for file in (folder / "configs").iterdir() if file.suffix in SUFFIXES and file.is_file())
    cached = has_cached_cases(folder)
    entries = [f"configs/{file.name}: {entry}" for file in files for entry in outside_of(read_config(file), cached)]
    return [*entries, *(f"{name}: Python code" for name in code_beside(folder))]


def _entries(config: Any, place: str, seen: set[int], cached: bool) -> Iterator[str]:
    if isinstance(config, str):
        if not is_allowed_text(config):
            yield _told(place, config)
        return
    # Of YAML that says one thing in many places each is looked at once.
    if not isinstance(config, (Mapping, list, tuple)) or id(config) in seen:
        return
    seen.add(id(config))
    if isinstance(config, Mapping):
        for name, value in component_outside(config, cached):
            yield _told(f"{place}#{name}" if place else name, value)
    for key, value in config.items() if isinstance(config, Mapping) else enumerate(config):
        if isinstance(key, str) and not is_allowed_text(key):
            yield _told(place, key)
        yield from _entries(value, f"{place}#{key}" if place else str(key), seen, cached)


def _told(place: str, value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = " ".join(text.split())
    return f"{place}: {text if len(text) <= _LONGEST else text[: _LONGEST - 3] + '...'}"
