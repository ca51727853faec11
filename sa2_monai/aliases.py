# SPDX-License-Identifier: Apache-2.0
"""Names of packages that are imported when they are asked for, and those that have moved and keep working."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy_names", "moved_names"]


def lazy_names(
    package: str, modules: Mapping[str, str], otherwise: Callable[[str], Any] | None = None
) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package whose names are imported when they are asked for: those that need torch, say.

    Args:
        package: its ``__name__``.
        modules: name -> the module that defines it.
        otherwise: asked for all other names, such as :func:`moved_names`; none of them exists by default.

    Returns:
        Function that imports the module and gives the name, and raises ``AttributeError`` for any other name.
    """

    def find(name: str) -> Any:
        if name in modules:
            return getattr(import_module(modules[name]), name)
        if otherwise is not None:
            return otherwise(name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find


def moved_names(package: str, moved: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module some of whose names have moved; nothing is imported before a name is asked for.

    Args:
        package: the module, its ``__name__``.
        moved: old name -> ``"module:name"``, where it is now.

    Returns:
        Function that finds the name in its new place, with a ``DeprecationWarning``, and raises ``AttributeError`` for
        any other name.

    Example::

        __getattr__ = moved_names(__name__, {"MapLabelsd": "sa2_monai.slices.labels:MapLabelsd"})
    """

    def find(name: str) -> Any:
        if name not in moved:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, now = moved[name].partition(":")
        warnings.warn(
            f"{package}.{name} has moved: use {module}.{now}. The old name goes with the next minor version.",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(import_module(module), now)

    return find
