# SPDX-License-Identifier: Apache-2.0
"""What a transform does, in words that two programs compare."""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
from collections.abc import Mapping, Set
from enum import Enum
from importlib import metadata
from pathlib import Path, PurePath
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch

import sa2_monai
from sa2_monai.weights import sha256_of

__all__ = ["describe", "versions"]

# All that decode or resample an image.
_LIBRARIES = (
    *("monai", "torch", "numpy", "scipy", "nibabel", "SimpleITK", "itk", "pydicom", "highdicom", "tifffile"),
    *("imagecodecs", "Pillow", "scikit-image", "h5py", "pynrrd"),
)
_OWN = ("io", "slices", "transforms", "data")
# Where MONAI keeps what the expressions of a configuration refer to, by their ids.
_REFERENCES = "__local_refs"
# Generators are of random transforms, which come later; those that are told apart here do not use them.
_NOT_SETTINGS = (np.random.RandomState, np.random.Generator, torch.Generator)


def versions() -> dict[str, str | None]:
    """Versions of the libraries that decode and resample, and the hash of our own modules that do."""
    found: dict[str, str | None] = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    root = Path(sa2_monai.__file__).parent
    modules = sorted(module for folder in _OWN for module in (root / folder).rglob("*.py"))
    lines = [f"{module.relative_to(root).as_posix()} {sha256_of(module)}" for module in modules]
    found["sa2_monai"] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return found


def describe(value: Any, where: str, above: tuple[int, ...] = ()) -> Any:
    """Describe an object with all its attributes by plain JSON values, the same in every process.

    Args:
        value: a transform, or anything it holds.
        where: its name, for messages.
        above: objects that hold it, which are not described again.

    Raises:
        ValueError: for an object of which nobody can tell whether it is the same as another.
    """
    simple = _simple(value)
    if simple is not None:
        return simple
    if id(value) in above:
        return ["above", above.index(id(value))]
    inside = (*above, id(value))
    if isinstance(value, functools.partial):
        return ["partial", *(describe(part, where, inside) for part in (value.func, value.args, value.keywords))]
    if isinstance(value, FunctionType):
        return _function(value, where, inside)
    if inspect.ismethod(value):
        return ["method", value.__name__, describe(value.__self__, where, inside)]
    if isinstance(value, Mapping):
        pairs = [
            [describe(key, where, inside), describe(item, f"{where}.{key}", inside)] for key, item in value.items()
        ]
        return ["mapping", sorted(pairs, key=repr)]
    if isinstance(value, Set):
        return ["set", sorted((describe(item, where, inside) for item in value), key=repr)]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *(describe(item, f"{where}[{i}]", inside) for i, item in enumerate(value))]
    attributes = _attributes(value)
    if attributes is None:
        raise ValueError(
            f"the cache on the disk cannot tell {where}, a {type(value).__module__}.{type(value).__qualname__}, from "
            "another one. Give the transform plain values, or leave the overlay disk_cache.yaml out."
        )
    kept = {name: item for name, item in attributes.items() if not isinstance(item, _NOT_SETTINGS)}
    described = {name: describe(item, f"{where}.{name}", inside) for name, item in kept.items()}
    return ["object", _name(type(value)), [[name, described[name]] for name in sorted(described)]]


def _simple(value: Any) -> Any:
    """Description of what holds nothing else; ``None`` for all other objects."""
    if isinstance(value, Enum):
        return ["enum", _name(type(value)), value.name]
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return ["value", type(value).__name__, repr(value)]
    if isinstance(value, (np.generic, np.ndarray)) and value.dtype != object:
        array = np.ascontiguousarray(value)
        return ["array", array.dtype.str, list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
    if isinstance(value, torch.Tensor):
        return ["tensor", str(value.dtype), _simple(value.detach().cpu().as_subclass(torch.Tensor).numpy())]
    if isinstance(value, (torch.dtype, torch.device, np.dtype, PurePath, slice, range)):
        return ["value", type(value).__name__, str(value)]
    if isinstance(value, type):
        return ["type", _name(value)]
    if isinstance(value, ModuleType):
        return ["module", value.__name__]
    if inspect.isbuiltin(value) or isinstance(value, np.ufunc):
        return ["builtin", str(getattr(value, "__module__", None)), value.__name__]
    return None


def _function(function: FunctionType, where: str, above: tuple[int, ...]) -> Any:
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    outside = (cells, function.__defaults__, function.__kwdefaults__, _references(function))
    held = [describe(part, where, above) for part in outside]
    return ["function", _module(function.__module__), function.__qualname__, _code(function.__code__), *held]


def _references(function: FunctionType) -> dict[str, Any]:
    """What an expression of a configuration refers to with ``@``."""
    known = function.__globals__.get(_REFERENCES, {})
    return {name: known[name] for name in _constants(function.__code__) if isinstance(name, str) and name in known}


def _constants(code: CodeType) -> list[Any]:
    return [part for c in code.co_consts for part in (_constants(c) if isinstance(c, CodeType) else [c])]


def _code(code: CodeType) -> list[Any]:
    inner = [_code(c) for c in code.co_consts if isinstance(c, CodeType)]
    constants = [sorted(map(repr, c)) if isinstance(c, frozenset) else repr(c) for c in _constants(code)]
    return [hashlib.sha256(code.co_code).hexdigest(), constants, list(code.co_names), inner]


def _attributes(value: Any) -> dict[str, Any] | None:
    """Attributes of an object; ``None`` for one that keeps its state elsewhere."""
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    if not hasattr(value, "__dict__") and not slots:
        return None
    found = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return {**found, **getattr(value, "__dict__", {})}


def _name(kind: type) -> str:
    return f"{_module(kind.__module__)}.{kind.__qualname__}"


@functools.lru_cache
def _module(name: str | None) -> str:
    """A module, with its content where no version tells of that; the expressions of a configuration have none."""
    if name is None:
        return ""
    file = getattr(sys.modules.get(name), "__file__", None)
    covered = name.split(".")[0] in (*_LIBRARIES, "sa2_monai")
    return name if covered or file is None or not Path(file).is_file() else f"{name} ({sha256_of(file)})"
