# SPDX-License-Identifier: Apache-2.0
"""What the files of a data set say of classes: the ``dataset.json``, a table of colours, and the labels themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sa2_monai.data.checks.label_tables import label_names, label_table
from sa2_monai.data.layouts.cases import Parts
from sa2_monai.data.layouts.dataset_json import read_dataset_json
from sa2_monai.data.layouts.discovery.colour_tables import TableEntry, find_class_table, read_class_table
from sa2_monai.data.layouts.discovery.layout import QuestionError
from sa2_monai.io.images.read import is_colour, is_lossy, read_label, read_samples
from sa2_monai.io.label_colours import colour_name, colour_number
from sa2_monai.io.label_values import COLOUR_HINT, NONZERO, THRESHOLD
from sa2_monai.io.problems import CASE_ERRORS, listing
from sa2_monai.io.volumes.read import load_volume

__all__ = ["ClassFacts", "class_facts", "description_of", "unless_default"]

_SAMPLE = {"images": 16, "volumes": 3}  # label files that are looked into
_COLOURS = 256  # more are no classes
_MANY = 8  # object numbers in one file from which they are no classes
_ENDS = [*range(16), *range(240, 256)]  # black and white, as JPEG leaves them
_MOST = 32  # classes that are numbered and not named
_BACKGROUND = ("background", "bg", "_background_", "clear label", "void", "unlabelled", "unlabeled", "none")


class ClassFacts(NamedTuple):
    """What is known of the classes.

    Attributes:
        names: background first; ``None`` where nothing says them.
        table: for the switch ``label_values``; ``None`` for the default rule.
        ignore_value: value of pixels without a label.
        classes: number of classes that the values of the labels show, where nothing names them.
        remark: for the description of the data, or empty.
        tables: files that were read.
    """

    names: list[str] | None = None
    table: Mapping[Any, int] | str | None = None
    ignore_value: int | None = None
    classes: int | None = None
    remark: str = ""
    tables: Sequence[Path] = ()


def description_of(where: Path) -> Path:
    """The ``dataset.json`` of a data set, which need not exist.

    Args:
        where: folder of the data set, the file itself, or a CSV of pairs.
    """
    return where if where.suffix == ".json" else (where.parent if where.is_file() else where) / "dataset.json"


def class_facts(where: Path, parts: Parts, kind: str, colours: Path | None = None) -> ClassFacts:
    """Classes of a data set of one's own.

    Args:
        where: see :func:`description_of`; a table of classes lies beside it.
        parts: its cases.
        kind: ``"images"`` or ``"volumes"``.
        colours: table that the user gives.

    Raises:
        ValueError: a table that cannot be read, or does not fit the labels; regions in ``dataset.json``.
        QuestionError: labels in colours without a table; the colours are named.
    """
    description = description_of(where)
    labels = read_dataset_json(description).get("labels") if description.is_file() else None
    if colours is None and isinstance(labels, Mapping) and labels:
        return _described(description, labels, kind)
    files = [Path(case["label"]) for cases in parts.values() for case in cases if "label" in case]
    number = _SAMPLE[kind]
    sample = files[:: max(1, len(files) // number)][:number]
    folder = where if where.is_dir() else where.parent
    table = colours or find_class_table(folder)
    entries = read_class_table(table) if table is not None else []
    arrays = _arrays(sample, kind)
    if kind == "images" and any(map(_in_colour, sample)):
        return _coloured(folder, arrays, entries, table)
    if kind == "images" and files and _are_lossy(sample):
        return ClassFacts(table=THRESHOLD, remark="labels in JPEG files: values above 127 are foreground")
    values = sorted({int(value) for array in arrays for value in np.unique(array)})
    if table is not None and kind == "images":
        found = _palette_classes(sample, entries, values)
        if found is not None:
            return found._replace(remark=f"class names from {table.name}", tables=[table])
    if table is not None:
        found = _numbered_classes(entries, values)
        if found is not None:
            return found._replace(remark=f"class names from {table.name}", tables=[table])
        if colours is not None:
            shown = listing([str(value) for value in values])
            raise ValueError(f"{colours}: has no class for some of the values of the labels ({shown}); complete it")
    if kind == "images" and _are_objects(arrays):
        return ClassFacts(table=NONZERO, remark="the labels number single objects: every value but 0 is foreground")
    top = values[-1] if values else 0
    return ClassFacts(classes=top + 1 if 2 <= top < _MOST and set(range(1, top + 1)) <= set(values) else None)


def _described(path: Path, labels: Mapping[str, Any], kind: str) -> ClassFacts:
    entries = sorted(label_names(path, labels))
    ignored = [value for value, name in entries if name.lower() == "ignore"]
    entries = [(value, name) for value, name in entries if name.lower() != "ignore"]
    if kind == "images" and len(entries) < 2:  # lists of images need not name their two classes
        return ClassFacts()
    if not entries or entries[0][0] != 0:
        raise ValueError(f"{path}: 'labels' has no value 0; expected the background, value 0, and the classes")
    if len(entries) < 2:
        raise ValueError(f"{path}: 'labels' names the background only; add the classes, or give class_names")
    names = [name for _, name in entries]
    table = {value: index for index, (value, _) in enumerate(entries)}
    return ClassFacts(
        names, unless_default(table, names) if kind == "images" else table, ignored[0] if ignored else None
    )


def unless_default(table: Mapping[Any, int], names: Sequence[str]) -> Mapping[Any, int] | None:
    """A table for the switch ``label_values``; ``None`` where the default rule says the same.

    Args:
        table: value -> class.
        names: of the classes, background first.
    """
    default = label_table(None, names)
    given = label_table(table, names)
    usual = isinstance(given, dict) and isinstance(default, dict) and given.items() <= default.items()
    return None if usual else table


def _arrays(files: Sequence[Path], kind: str) -> list[np.ndarray]:
    """Labels that can be read; the others are left to the check."""
    arrays = []
    for path in files:
        try:
            arrays.append(read_label(path, True) if kind == "images" else load_volume(path, label=True).array)
        except CASE_ERRORS:
            continue
    return arrays


def _are_lossy(files: Sequence[Path]) -> bool:
    """Whether the labels are masks in black and white whose values a compression has blurred."""
    try:
        return all(map(is_lossy, files)) and all(float(np.isin(read_label(path), _ENDS).mean()) > 0.5 for path in files)
    except CASE_ERRORS:
        return False


def _in_colour(path: Path) -> bool:
    try:
        return is_colour(path) and read_label(path, True) is not None
    except CASE_ERRORS:
        return False


def _coloured(
    where: Path, arrays: Sequence[np.ndarray], entries: Sequence[TableEntry], table: Path | None
) -> ClassFacts:
    present = sorted({int(value) for array in arrays for value in np.unique(array)})
    known = {entry.colour for entry in entries}
    unknown = [value for value in present if value not in known and value != 0]
    if table is None or unknown:
        if len(present) > _COLOURS:
            raise QuestionError(
                f"{where}: the labels hold {len(present)} colours, as photographs and blurred masks do, not masks; are "
                "these the labels? Give --images and --labels, or save the masks without interpolation and not as JPEG"
            )
        shown = listing([colour_name(value) for value in (unknown if entries else present)], 12)
        which = f"colours that {table.name} has no class for" if table else "colours"
        raise QuestionError(f"{where}: the labels hold {which} ({shown}), which are which class? {COLOUR_HINT}")
    names, index_of = _ordered(entries, black=0 in present)
    codes = {entry.colour: index_of[entry.name] for entry in entries if entry.colour is not None}
    if 0 in present:
        codes.setdefault(0, 0)
    keys = {colour_name(colour): index for colour, index in codes.items()}
    return ClassFacts(names, keys, remark=f"labels in colours, classes from {table.name}", tables=[table])


def _ordered(entries: Sequence[TableEntry], black: bool) -> tuple[list[str], dict[str, int]]:
    """Names with the background first; it is added where the labels have it and the table does not."""
    first = next((e for e in entries if e.value == 0 or e.name.lower() in _BACKGROUND), None)
    first = first or next((e for e in entries if e.colour == 0 and e.value is None), None)
    names = [entry.name for entry in entries if entry is not first]
    if first is not None:
        names = [first.name, *names]
    elif black:
        names = ["background", *names]
    return names, {name: index for index, name in enumerate(names)}


def _palette_classes(files: Sequence[Path], entries: Sequence[TableEntry], values: Sequence[int]) -> ClassFacts | None:
    """Classes of labels with a palette: the colour that is shown says the class, not the number of it."""
    palettes = []
    for path in files:
        try:
            palettes.append(read_samples(path).palette)
        except CASE_ERRORS:
            continue
    palette = palettes[0] if palettes else None
    if palette is None or any(p is None or not np.array_equal(p, palette) for p in palettes):
        return None
    shown = {value: colour_number(*map(int, palette[value])) for value in values if value < len(palette)}
    colours = {entry.colour for entry in entries}
    if not all(colour in colours or colour == 0 for colour in shown.values()):
        return None
    names, index_of = _ordered(entries, black=0 in shown.values())
    codes = {entry.colour: index_of[entry.name] for entry in entries}
    all_of = {value: colour_number(*map(int, row)) for value, row in enumerate(palette)}
    first = {colour: value for value, colour in reversed(all_of.items())}
    table = {first[colour]: index for colour, index in codes.items() if colour in first}
    table |= {value: codes.get(colour, 0) for value, colour in shown.items()}
    return ClassFacts(names, unless_default(dict(sorted(table.items())), names))


def _numbered_classes(entries: Sequence[TableEntry], values: Sequence[int]) -> ClassFacts | None:
    """Classes of a table that gives the values of the files, or grey colours that are these values."""
    of = {entry.name: entry.value if entry.value is not None else entry.colour for entry in entries}
    if not set(values) - {0} <= set(of.values()):
        return None
    names, index_of = _ordered(entries, black=0 in values)
    table = {value: index_of[name] for name, value in of.items() if value is not None}
    table.setdefault(0, 0)
    return ClassFacts(names, unless_default(dict(sorted(table.items())), names)) if len(names) > 1 else None


def _are_objects(arrays: Sequence[np.ndarray]) -> bool:
    """Whether labels number objects: many values, as many as there are objects, each of one piece."""
    from scipy.ndimage import label as pieces_of

    counts = [[int(value) for value in np.unique(array) if value > 0] for array in arrays]
    most = max(range(len(counts)), key=lambda k: len(counts[k]), default=None)
    if most is None or len(counts[most]) < _MANY or (len(counts) > 1 and len({len(c) for c in counts}) == 1):
        return False
    numbered = [values == list(range(values[0], values[0] + len(values))) for values in counts if values]
    if arrays[most].dtype == np.uint8 and sum(numbered) < 0.8 * len(numbered):
        return False
    whole = [pieces_of(arrays[most] == value)[1] == 1 for value in counts[most][:200]]
    return sum(whole) >= 0.9 * len(whole)
