# SPDX-License-Identifier: Apache-2.0
"""What the values of label files mean, and what is said of values that nobody has explained: one rule for everybody.

Training, ``datasets check``, validation and ``evaluate`` ask here, so that a file has one answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sa2_monai.io.label_colours import colour_name

__all__ = [
    "COLOUR_HINT",
    "NONZERO",
    "THRESHOLD",
    "WORDS",
    "BinaryTable",
    "LabelTable",
    "Unexplained",
    "above_threshold",
    "from_colour_file",
    "from_lossy_file",
    "unexplained",
]

#: Every value but 0 is class 1: instance numbers.
NONZERO = "nonzero"
#: Values above 127 are class 1: masks in lossy files, whose values the compression has blurred.
THRESHOLD = "threshold"
WORDS = (NONZERO, THRESHOLD)
_HALF, _FULL = 127, 255
#: Values that mark pixels without a label in many data sets, and are no classes in any.
_VOIDS = (-1, 255)


COLOUR_HINT = (
    "say which colour is which class: --colours FILE (a table colour, class name), or label_values such as "
    '{"#000000": 0, "#ff0000": 1}'
)


class BinaryTable(dict[int, int]):
    """Default table of two classes: class numbers, or white on black for people to look at, but not both in one
    file."""


#: Value in the label file -> class, or one of :data:`WORDS`.
LabelTable = dict[int, int] | str


class Unexplained(NamedTuple):
    """Values of one file that cannot be taken for classes with certainty.

    Attributes:
        kind: what is wrong, the same words for all files.
        found: the values.
        fix: what to do.
    """

    kind: str
    found: str
    fix: str


def unexplained(
    values: Iterable[float],
    table: Mapping[int, int] | str,
    ignore_value: int | None = None,
    lossy: Callable[[], bool] = lambda: False,
    coloured: Callable[[], bool] = lambda: False,
) -> Unexplained | None:
    """What is wrong with the values of a label file.

    Args:
        values: the distinct values of the file.
        table: value -> class, or one of :data:`WORDS`.
        ignore_value: value of pixels without a label; ``None`` if there is none.
        lossy: whether the compression of the file invents values; asked only where it matters.
        coloured: whether the values are those of colours; asked only where values are unknown.

    Returns:
        ``None`` where every value is explained.
    """
    present = sorted(value for value in values if value != ignore_value)
    if table == NONZERO:
        if lossy():
            return Unexplained(
                "lossy label files with label_values: nonzero",
                _listed(present),
                "the compression makes noise around 0, which would become foreground: set label_values to threshold "
                "(values above 127 are foreground), or save the label maps as PNG",
            )
        negative = [value for value in present if value < 0]
        return Unexplained("negative label values", _listed(negative), _void(negative)) if negative else None
    if table == THRESHOLD:
        outside = [value for value in present if not 0 <= value <= _FULL]
        fix = "threshold is for masks of 8 bits (values above 127 are foreground): give a table value -> class"
        return Unexplained("label values that have no threshold at 127", _listed(outside), fix) if outside else None
    if isinstance(table, str):
        raise ValueError(f"label_values is {table!r}, expected a table value -> class, or one of {', '.join(WORDS)}")
    unknown = [value for value in present if value not in table]  # 1.0 finds the key 1; 0.5 finds nothing
    if unknown and coloured():
        names = ", ".join(map(colour_name, present[:12])) + (", ..." if len(present) > 12 else "")
        return Unexplained("label files in colours without a class for each", names, COLOUR_HINT)
    if unknown:
        kind = f"label values outside the table {_table(table)}"
        return Unexplained(kind, _listed(unknown), _hint(unknown, table, lossy))
    if isinstance(table, BinaryTable):
        foreground = [value for value in present if table[int(value)]]
        if len(foreground) > 1:
            one, white = int(foreground[0]), int(foreground[-1])
            return Unexplained(
                f"label files with both {one} and {white}",
                _listed(present),
                f"set ignore_value to {white} where it marks pixels without a label, or label_values to "
                f"{dict(table)} where both are foreground",
            )
    return None


def above_threshold(array: Any, lossy: bool) -> Any:
    """Foreground of a mask by :data:`THRESHOLD`.

    Args:
        array: numbers from 0 to 255, of any shape; NumPy array or tensor.
        lossy: whether the compression of the file invents values. If not, nothing but 0 and 1 are class numbers.

    Returns:
        Boolean array of the same shape.
    """
    return array > (0 if not lossy and array.max() <= 1 else _HALF)


def from_lossy_file(source: str) -> bool:
    """Whether an array comes from a file whose compression invents values.

    Args:
        source: path, or any text that is none (which is not lossy).
    """
    from sa2_monai.io.images.read import is_lossy

    try:
        return bool(source) and Path(source).is_file() and is_lossy(source)
    except (OSError, ValueError):  # a name that is no path; a file that was read otherwise, as DICOM segmentations
        return False


def from_colour_file(source: str) -> bool:
    """Whether an array comes from a file that holds colours.

    Args:
        source: path, or any text that is none.
    """
    from sa2_monai.io.images.read import is_colour

    try:
        return bool(source) and Path(source).is_file() and is_colour(source)
    except (OSError, ValueError):
        return False


def _hint(unknown: list[float], table: Mapping[int, int], lossy: Callable[[], bool]) -> str:
    if set(unknown) <= set(_VOIDS):
        return _void(unknown) + ", or give it a class in label_values"
    if set(table.values()) == {0, 1} and lossy():
        return (
            "the file is compressed with loss (JPEG as a rule), which blurs 0 and 255: set label_values to threshold "
            "(values above 127 are foreground), or save the label maps as PNG"
        )
    if lossy():
        return "the file is compressed with loss (JPEG as a rule), which invents values: save the label maps as PNG"
    return (
        "give label_values (value in the file -> class, or 'nonzero' where everything but 0 is foreground), set "
        "ignore_value to the value of pixels without a label, add the missing class_names, or repair the files "
        "(JPEG and interpolation invent values)"
    )


def _void(values: list[float]) -> str:
    return f"set ignore_value to {values[0]:g} where it marks pixels without a label"


def _table(table: Mapping[int, int]) -> str:
    pairs = [f"{value}: {index}" for value, index in table.items()]
    return "{" + ", ".join(pairs[:16]) + (", ..." if len(pairs) > 16 else "") + "}"


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values[:8]) + (
        f", and {len(values) - 8} more" if len(values) > 8 else ""
    )
