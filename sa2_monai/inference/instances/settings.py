# SPDX-License-Identifier: Apache-2.0
"""How probabilities become objects: the values, their ranges, and where they come from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sa2_monai.io.paths import existing_path
from sa2_monai.weights import read_info

__all__ = ["METHODS", "SplitSettings", "settings_of"]

METHODS = ("distance", "probability", "combined", "components")
#: In the sidecar of weights, by class; beside the settings, what they were chosen by.
KEY, CHOSEN = "instances", "chosen"


@dataclass(frozen=True)
class SplitSettings:
    """How the probabilities of one class become objects.

    Attributes:
        method: what is flooded: ``"distance"`` to the border, ``"probability"``, their product ``"combined"``; or
            ``"components"``: nothing is divided, what touches is one object.
        threshold: of a network with one class, the probability from which on a pixel belongs to an object, in (0, 1).
            Of several classes the most probable one counts, whatever its probability.
        sigma: standard deviation in pixels of the Gaussian that smoothes what is flooded, from 0; ``None``: 6 % of the
            diameter of the image's objects (of the disc with the median area of what is connected).
        depth: two peaks are two objects when one sinks by more than this share of the lower peak on the way from one to
            the other, in [0, 1).
        min_area: objects of fewer pixels are dropped, from 0; ``None``: 5 % of the median area.

    Raises:
        ValueError: a value that is none of these.
    """

    method: str = "combined"
    threshold: float = 0.5
    sigma: float | None = None
    depth: float = 0.1
    min_area: float | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"instances: method is {self.method!r}, expected one of {', '.join(METHODS)}")
        self._check("threshold", lambda value: 0 < value < 1, "a number between 0 and 1")
        self._check("depth", lambda value: 0 <= value < 1, "a number from 0 to below 1")
        for name in ("sigma", "min_area"):
            if getattr(self, name) is not None:
                self._check(name, lambda value: 0 <= value < 1e9, "a number of pixels from 0, or null")

    def _check(self, name: str, fits: Any, expected: str) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not fits(value):
            raise ValueError(f"instances: {name} is {value!r}, expected {expected}")

    def __str__(self) -> str:
        words = {"sigma": "by size", "min_area": "by size"}
        values = asdict(self).items()
        return ", ".join(f"{name} {words[name] if value is None else value}" for name, value in values)

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> SplitSettings:
        """Settings of a table; what it leaves out has its default.

        Raises:
            ValueError: an unknown name, or a value that is none.
        """
        names = [field.name for field in fields(cls)]
        unknown = [str(name) for name in table if name not in (*names, CHOSEN)]
        if unknown:
            raise ValueError(f"instances: unknown {', '.join(unknown)}, expected {', '.join(names)}")
        return cls(**{name: value for name, value in table.items() if name != CHOSEN})


def settings_of(
    switch: bool | Mapping[str, Any],
    class_names: Sequence[str],
    weights: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
) -> tuple[dict[str, SplitSettings], bool]:
    """The settings of every class.

    Args:
        switch: ``True`` for those beside the weights, and where there are none the defaults; a table of settings for
            all classes; or a table of class name to such a table, where a class that is left out has the defaults.
        class_names: names of the classes, background first.
        weights: weight file; of several the first one counts. It need not exist.

    Returns:
        Class name -> settings, without the background; and whether they were chosen for these weights or by the caller.

    Raises:
        ValueError: settings that are none, or of a class that does not exist; the message names the sidecar.
    """
    objects = list(class_names)[1:]
    table: Any = switch
    source = "the switch instances"
    if switch is True:
        files = [weights] if weights is None or isinstance(weights, (str, os.PathLike)) else list(weights)
        table = {} if files[0] is None else read_info(existing_path(files[0])).get(KEY, {})
        source = str(files[0])
    if not isinstance(table, Mapping):
        raise ValueError(f"{source}: instances is {table!r}, expected true, false or a table of settings")
    by_class = all(isinstance(value, Mapping) for value in table.values())
    wrong = [str(name) for name in table if name not in objects] if by_class else []
    if wrong:
        raise ValueError(f"{source}: instances names {', '.join(wrong)}, expected classes of {', '.join(objects)}")
    try:
        found = {name: SplitSettings.of(table.get(name, {}) if by_class else table) for name in objects}
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    return found, bool(table)
