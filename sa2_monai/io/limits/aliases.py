# SPDX-License-Identifier: Apache-2.0
"""YAML whose aliases stand for more than is written: ten lines can mean ten thousand million values.

PyYAML keeps a repeated value once, but whatever walks through it afterwards (merging, resolving, writing) meets it as
often as it is meant.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["check_config_text", "checked_config", "safe_yaml"]

_ALWAYS = 10_000  # values: more than any configuration has
_TIMES = 10  # as many values as are written, that aliases may make of them
_DEEP = 200  # levels within each other; Python's own limit is a thousand calls


def safe_yaml(text: str, source: str | os.PathLike[str]) -> Any:
    """Content of a YAML text of plain values, as ``yaml.safe_load`` gives it.

    Args:
        text: YAML, or JSON.
        source: where it comes from, for messages.

    Raises:
        ValueError: aliases that stand for too much, or too many brackets within each other.
        yaml.YAMLError: no YAML.
    """
    import yaml

    check_config_text(text, source)
    with _levels(source):
        return yaml.safe_load(text)


@contextmanager
def checked_config(*files: str | os.PathLike[str]) -> Iterator[None]:
    """Check configuration files, and read them inside of the block, by whatever reads them.

    Args:
        files: YAML or JSON.

    Raises:
        OSError: one cannot be read.
        ValueError: see :func:`check_config_text`; too many levels within each other.
    """
    for file in files:
        check_config_text(Path(file).read_text(encoding="utf-8", errors="replace"), file)
    with _levels(" and ".join(map(str, files))):
        yield


@contextmanager
def _levels(source: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except RecursionError:
        raise ValueError(
            f"{source}: has too many levels within each other, expected a configuration; it is refused"
        ) from None


def check_config_text(text: str, source: str | os.PathLike[str]) -> None:
    """Refuse a text before anything is made of it; one that is no YAML passes, the reader says what is wrong with it.

    Args:
        text: YAML, or JSON.
        source: where it comes from, for messages.

    Raises:
        ValueError: aliases that stand for more than ten times of what is written (and for more than 10,000 values),
            one that holds itself, or too many brackets within each other.
    """
    if _deepest(text) > _DEEP:
        raise ValueError(
            f"{source}: has more than {_DEEP} levels within each other, expected a configuration; it is refused"
        )
    if "&" not in text or "*" not in text or Path(source).suffix.lower() == ".json":
        return  # no anchor, no alias
    import yaml

    try:
        with _levels(source):
            root = yaml.compose(text, yaml.SafeLoader)  # libyaml's would overflow the stack at too many levels
    except yaml.YAMLError:
        return
    counts: dict[int, float] = {}
    meant = _count(root, counts)
    if meant > max(_ALWAYS, _TIMES * len(counts)):
        what = "holds itself by an alias" if meant == float("inf") else f"stands for {meant:.3g} values by its aliases"
        raise ValueError(
            f"{source}: {what}, {len(counts)} are written, allowed are {max(_ALWAYS, _TIMES * len(counts))}: refused; "
            "write the values out, without anchors (&) and aliases (*)"
        )


def _deepest(text: str) -> int:
    """Levels that a text may have: brackets that are open at once, wherever they stand, and dashes and indentation."""
    depth, deepest = 0, max((len(found) // 2 for found in re.findall(r"^[ ?-]{20,}", text, re.MULTILINE)), default=0)
    for found in re.finditer(r"[\[\]{}]", text):
        depth = depth + 1 if found[0] in "[{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


def _count(root: Any, counts: dict[int, float]) -> float:
    """Values that a node stands for, aliases written out; infinite for one that holds itself."""
    import yaml

    stack = [(root, False)]
    while stack:
        node, done = stack.pop()
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        else:
            parts = node.value if isinstance(node, yaml.SequenceNode) else []
        if done:
            counts[id(node)] = 1 + sum(counts.get(id(part), float("inf")) for part in parts)
        elif id(node) not in counts:
            counts[id(node)] = float("inf")  # until it is done: whoever meets it until then holds itself
            stack.append((node, True))
            stack += [(part, False) for part in parts]
    return counts[id(root)]
