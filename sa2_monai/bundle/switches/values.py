# SPDX-License-Identifier: Apache-2.0
"""The values of switches in a configuration that MONAI has not parsed yet."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["references", "switch_values", "texts"]


def switch_values(config: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Values of switches; those that only the run itself can know are left out.

    An expression is evaluated in a parser of its own, so that the run finds everything as it was, and only when all
    that it refers to are plain values and such expressions: nothing is built.

    Args:
        config: the merged configuration, with the overrides.
        names: of the switches.
    """
    found = {}
    for name in names:
        if name not in config:
            continue
        if not any(text[:1] in ("$", "@", "%") for text in texts(config[name])):
            found[name] = config[name]
            continue
        needed = _needed(config, name)
        if needed is None:
            continue
        from monai.bundle import ConfigParser

        try:
            found[name] = ConfigParser(copy.deepcopy({key: config[key] for key in needed})).get_parsed_content(name)
        except Exception:  # whatever it is, the run itself will meet it and say so
            continue
    return found


def _needed(config: Mapping[str, Any], name: str) -> set[str] | None:
    """Top-level ids that a value depends on, itself included; ``None`` when something would be built for it."""
    needed, waiting = set(), [name]
    while waiting:
        key = waiting.pop()
        if key in needed:
            continue
        value = config.get(key)
        if key not in config or _is_built(value) or any(text.startswith("%") for text in texts(value)):
            return None
        needed.add(key)
        waiting += [reference.split("::")[0] for reference in references(value)]
    return needed


def _is_built(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "_target_" in value or any(_is_built(one) for one in value.values())
    if isinstance(value, (list, tuple)):
        return any(_is_built(one) for one in value)
    # An override from Python may be any object; a network is not copied.
    return value is not None and not isinstance(value, (str, int, float, bool))


def references(value: Any) -> set[str]:
    """Ids that a value refers to, levels separated by ``::``.

    Args:
        value: of a configuration, of any depth.
    """
    from monai.bundle import ReferenceResolver

    return {reference for text in texts(value) for reference in ReferenceResolver.match_refs_pattern(text)}


def texts(value: Any) -> Iterator[str]:
    """All texts in a value of a configuration.

    Args:
        value: of any depth.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from texts(one)
