# SPDX-License-Identifier: Apache-2.0
"""The tolerance of the normalised surface distance, class by class."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["tolerance_table"]


def tolerance_table(tolerance: float | Mapping[str, float], names: list[str]) -> dict[str, float]:
    """Return the tolerance of the normalised surface distance per class name.

    Args:
        tolerance: one number for all classes, or numbers by class name; classes left out get 2.
        names: names of the foreground classes.

    Raises:
        ValueError: for an unknown class or a number that is not finite and not negative.
    """
    if isinstance(tolerance, Mapping):
        unknown = sorted(set(map(str, tolerance)) - set(names))
        if unknown:
            raise ValueError(f"tolerance names {unknown}, expected classes of {names}")
        table = {name: float(tolerance.get(name, 2.0)) for name in names}
    else:
        table = dict.fromkeys(names, float(tolerance))
    wrong = {name: value for name, value in table.items() if not 0 <= value < float("inf")}
    if wrong:
        raise ValueError(f"tolerance is {wrong}, expected finite numbers that are not negative")
    return table
