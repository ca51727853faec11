# SPDX-License-Identifier: Apache-2.0
"""Tables of classes with their colours or values: CSV, JSON, those of CVAT, ITK-SNAP and Slicer."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sa2_monai.io.label_colours import colour_number

__all__ = ["TableEntry", "find_class_table", "read_class_table"]

_NAMES = ("name", "class", "class_name", "label", "classname", "category")
_COLOURS = ("color", "colour", "hex", "rgb", "color_rgb")
_FILES = re.compile(
    r"(class(es)?([_-]?(dict|colou?rs?|names?|map))?|labels?([_-]?(map|colou?rs?|names?|description)s?)?|colou?r[_-]?map|"
    r"colou?rs?|palette|legend)\.(csv|json|txt|label|ctbl)|.*\.(label|ctbl)",
    re.IGNORECASE,
)


class TableEntry(NamedTuple):
    """A class of a table.

    Attributes:
        name: of the class.
        colour: its label value as a colour, see :mod:`sa2_monai.io.label_colours`; ``None`` without one.
        value: its number in the label files; ``None`` where the table gives colours only.
    """

    name: str
    colour: int | None
    value: int | None


def find_class_table(folder: Path) -> Path | None:
    """The table of classes directly in a folder, by its name; ``None`` without one, or with several.

    Args:
        folder: an existing folder.
    """
    found = [path for path in sorted(folder.iterdir()) if path.is_file() and _FILES.fullmatch(path.name)]
    readable = []
    for path in found:
        try:
            readable.append(path if read_class_table(path) else None)
        except ValueError:
            continue
    tables = [path for path in readable if path is not None]
    return tables[0] if len(tables) == 1 else None


def read_class_table(path: Path) -> list[TableEntry]:
    """Classes of a table.

    Args:
        path: CSV with the columns name and r, g, b (or color as #rrggbb), JSON (name -> colour, colour -> name, or a
            list of objects), ``labelmap.txt`` of CVAT, lines ``r g b name``, or a label file of ITK-SNAP or Slicer.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no entry can be read; the message says which forms are known.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such table of colours; check --colours")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not a text file in UTF-8; expected a table of colours and class names") from error
    try:
        entries = list(_of_json(json.loads(text)) if path.suffix.lower() == ".json" else _of_text(text))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: cannot be read as a table of colours ({error}); {_EXPECTED}") from error
    if not entries:
        raise ValueError(f"{path}: holds no classes; {_EXPECTED}")
    names = [entry.name.lower() for entry in entries]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{path}: names the class {twice!r} twice; give each class one line")
    return entries


_EXPECTED = (
    "expected CSV with the columns name,r,g,b or name,color (#rrggbb), JSON such as "
    '{"background": "#000000", "gland": "#ff0000"}, CVAT\'s labelmap.txt, or a label file of ITK-SNAP'
)


def _of_json(content: Any) -> Iterator[TableEntry]:
    if isinstance(content, list):
        for item in content:
            name = next(str(item[key]) for key in _NAMES if key in item)
            colour = next((item[key] for key in _COLOURS if key in item), None)
            value = next((int(item[key]) for key in ("value", "id", "index") if key in item), None)
            yield TableEntry(name, None if colour is None else _colour(colour), value)
        return
    if not isinstance(content, Mapping):
        raise ValueError(f"it is a {type(content).__name__}")
    for key, value in content.items():
        if _is_colour(key):
            yield TableEntry(str(value), _colour(key), None)
        else:
            yield TableEntry(str(key), _colour(value), None)


def _of_text(text: str) -> Iterator[TableEntry]:
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and (not line.startswith("#") or re.match(r"#[0-9a-fA-F]{6}\b", line))]
    first = lines[0] if lines else ""
    header = [name.strip().lower().strip('"') for name in re.split(r"[,;\t]", first)]
    if set(header) & set(_NAMES) and len(header) > 1:
        separator = max(",;\t", key=first.count)
        for row in csv.DictReader(lines, delimiter=separator):
            yield _of_row({(name or "").strip().lower(): (field or "").strip() for name, field in row.items()})
        return
    for line in lines:
        yield _of_line(line)


def _of_row(row: Mapping[str, str]) -> TableEntry:
    name = next(row[key] for key in _NAMES if row.get(key))
    channels = [row[key] for keys in (("r", "red"), ("g", "green"), ("b", "blue")) for key in keys if row.get(key)]
    single = next((row[key] for key in _COLOURS if row.get(key)), None)
    value = next((int(row[key]) for key in ("value", "id", "index") if row.get(key)), None)
    if len(channels) == 3:
        return TableEntry(name, _colour(channels), value)
    if single is None and value is None:
        raise ValueError(f"the line of {name!r} has no colour")
    return TableEntry(name, None if single is None else _colour(single), value)


# ITK-SNAP: index r g b alpha visible mesh "name"; Slicer: index name r g b a; CVAT: name:r,g,b:parts:actions
_SNAP = re.compile(r'(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+[\d.]+\s+\d+\s+\d+\s+"(.*)"')
_SLICER = re.compile(r"(\d+)\s+(\S+)\s+(\d+)\s+(\d+)\s+(\d+)\s+\d+")
_CVAT = re.compile(r"([^:]+):\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*:.*")
_PLAIN = re.compile(r"(\d+)[\s,;]+(\d+)[\s,;]+(\d+)[\s,;]+(.+)")
_BEHIND = re.compile(r"(.+?)[\s,;:=]+(\d+)[\s,;]+(\d+)[\s,;]+(\d+)")
_HEX_LINE = re.compile(r"(#[0-9a-fA-F]{6})[\s,;:=]+(.+)|(.+?)[\s,;:=]+(#[0-9a-fA-F]{6})")


def _of_line(line: str) -> TableEntry:
    if match := _SNAP.fullmatch(line):
        return TableEntry(match[5], _colour(match.groups()[1:4]), int(match[1]))
    if match := _SLICER.fullmatch(line):
        return TableEntry(match[2], _colour(match.groups()[2:5]), int(match[1]))
    if match := _CVAT.fullmatch(line):
        return TableEntry(match[1].strip(), _colour(match.groups()[1:4]), None)
    if match := _HEX_LINE.fullmatch(line):
        return TableEntry((match[2] or match[3]).strip(), _colour(match[1] or match[4]), None)
    if match := _PLAIN.fullmatch(line):
        return TableEntry(match[4].strip(), _colour(match.groups()[:3]), None)
    if match := _BEHIND.fullmatch(line):
        return TableEntry(match[1].strip(), _colour(match.groups()[1:4]), None)
    raise ValueError(f"the line {line!r}")


def _is_colour(text: Any) -> bool:
    return isinstance(text, str) and bool(re.fullmatch(r"#[0-9a-fA-F]{6}|\s*\(?\d+\s*,\s*\d+\s*,\s*\d+\)?\s*", text))


def _colour(given: Any) -> int:
    if isinstance(given, str):
        given = given.strip().strip("()[]")
        if given.startswith("#") and len(given) == 7:
            given = [int(given[k : k + 2], 16) for k in (1, 3, 5)]
        else:
            given = re.split(r"[\s,;]+", given)
    numbers = [int(number) for number in given]
    if len(numbers) not in (3, 4) or not all(0 <= number <= 255 for number in numbers):
        raise ValueError(f"{given!r} is no colour")
    return colour_number(*numbers[:3])
