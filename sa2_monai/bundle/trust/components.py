# SPDX-License-Identifier: Apache-2.0
"""Whether a component of a configuration, by its ``_target_``, stays within what is allowed."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from sa2_monai.bundle.trust.allowed import ARGUMENTS, BARE, DEFINED, LOCATES, NAMES, PREFIXES, REFUSED

__all__ = ["component_outside", "is_allowed_target"]

_NOTHING = object()
_MODES = ("default", "callable")  # not "debug", which starts a debugger


def component_outside(config: Mapping[str, Any], cached: bool = True) -> Iterator[tuple[str, Any]]:
    """Entries of a dictionary that make a component do what nobody has allowed.

    Args:
        config: the dictionary; its keys may be ids, as those of overlays are (``network_def#_target_``).
        cached: there are files that ``weights_only: false`` could find; packages of version 0.1 have it for a cache on
            the disk.

    Yields:
        The key of an entry and its value.
    """
    for key, value in config.items():
        name = str(key).replace("::", "#").split("#")[-1]
        if (
            (name == "_target_" and not is_allowed_target(value))
            or (name == "_mode_" and value not in _MODES)
            or (name in LOCATES and not all(map(_is_found_safely, value if isinstance(value, list) else [value])))
            or (name in ARGUMENTS and value is not None and value is not ARGUMENTS[name])
        ) and (cached or (name, value) != ("weights_only", False)):
            yield str(key), value


def is_allowed_target(name: Any) -> bool:
    """Whether a ``_target_`` names one of the allowed classes and functions.

    A name alone can lead anywhere (``monai.data.utils.pickle.loads``): it is followed, too, and has to end where it
    says.

    Args:
        name: with its package, or a name of MONAI without.
    """
    if not isinstance(name, str):
        return False
    return _is_allowed(name)


def _is_found_safely(value: Any) -> bool:
    """A name without a dot is one of MONAI's own; components are looked at where they stand."""
    if isinstance(value, str):
        return is_allowed_target(value) if "." in value else value[:1] not in ("@", "$", "%")
    return value is None or isinstance(value, Mapping)


@functools.lru_cache(maxsize=4096)
def _is_allowed(name: str) -> bool:
    parts = name.split(".")
    if not all(part.isidentifier() and part.isascii() and not part.startswith("_") for part in parts):
        return False
    if name in NAMES:
        return True
    if len(parts) > 1:
        # What is not there (another version of MONAI) runs nothing; the parser says that it is missing.
        return name.startswith(PREFIXES) and (_follow(name) is _NOTHING or _ends_inside(name))
    found = next((one for one in (f"{place}.{name}" for place in BARE) if _follow(one) is not _NOTHING), None)
    return found is not None and _ends_inside(found)


def _ends_inside(name: str) -> bool:
    found = _follow(name)
    if found is None or inspect.ismodule(found):
        return False
    defined = f"{getattr(found, '__module__', None)}.{getattr(found, '__qualname__', '')}"
    return defined.startswith(DEFINED) and not defined.startswith(REFUSED)


@functools.lru_cache(maxsize=4096)
def _follow(name: str) -> Any:
    """What a name leads to; ``None`` where it leaves its package through a module that another has imported."""
    first, *others = name.split(".")
    place, found = first, importlib.import_module(first)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name that has moved says so when it is used
        for part in others:
            if inspect.ismodule(found):
                if found.__name__ != place:
                    return None
                place = f"{place}.{part}"
                with contextlib.suppress(Exception):  # no module of that name, or its own imports are missing
                    importlib.import_module(place)
            try:
                found = getattr(found, part)
            except Exception:  # also of modules whose names are imported when they are asked for
                return _NOTHING
    return found
