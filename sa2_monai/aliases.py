# SPDX-License-Identifier: Apache-2.0
"""Names and modules that are imported when they are asked for, and names that have moved and keep working."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["Later", "lazy_module", "lazy_names", "moved_names"]


class Later:
    """Stands for a module, or for something in it, that is imported when it is used.

    Args:
        find: imports it; called once.
        module: name of the module.
    """

    def __init__(self, find: Callable[[], Any], module: str) -> None:
        self.__dict__.update(_find=find, _module=module)

    def _found(self) -> Any:
        if "_object" not in self.__dict__:
            self.__dict__["_object"] = self._find()
        return self.__dict__["_object"]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._found(), name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call what it stands for."""
        return self._found()(*args, **kwargs)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._found(),)

    def __instancecheck__(self, instance: Any) -> bool:
        # There are no instances of what nobody has imported.
        return self._module in sys.modules and isinstance(instance, self._found())

    def __subclasscheck__(self, subclass: type) -> bool:
        return self._module in sys.modules and issubclass(subclass, self._found())


def lazy_module(name: str) -> Any:
    """A module that takes long to import and is used in some cases only, such as ``scipy.ndimage``.

    Args:
        name: its full name.

    Returns:
        What stands for the module, and imports it when an attribute is asked for.
    """
    return Later(lambda: import_module(name), name)


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
