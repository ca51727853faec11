# SPDX-License-Identifier: Apache-2.0
"""A quick start of the program: MONAI without what a command does not use.

``import monai`` imports all of MONAI, and every optional package that is installed: matplotlib, tensorboard, skimage,
pydicom, h5py, pandas, mlflow, ... Ignite imports the sharded optimizers of ``torch.distributed``. That takes longer
than torch itself. In the program ``sa2-monai``, where nobody else's code runs, :func:`install` puts it off:

- modules of MONAI are imported when they are asked for, as attributes or by name in a configuration;
- an optional package is imported when something of it is used.

What is imported is the same in the end, and computes the same. A process that imports ``sa2_monai`` as a library is
left alone, and with ``SA2_MONAI_FULL_IMPORT=1`` the program is, too.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.metadata import version as installed_version
from types import ModuleType
from typing import Any

from sa2_monai.aliases import Later

__all__ = ["install"]

# How MONAI is imported is no promise of it; this is known to hold for these.
_KNOWN = ("1.6.",)
# Importing them is how one knows whether they work: they need a GPU and its driver.
_TRIED_AT_ONCE = ("cupy", "cupyx", "cucim", "cuda", "tensorrt", "torch_tensorrt", "monai", "ignite")
# Required in a version that is newer than MONAI asks for.
_NEW_ENOUGH = ("scipy", "skimage", "tqdm")
# What the packages import beside MONAI's optional packages, and need for some of their functions only.
_PUT_OFF = {"monai": ("matplotlib", "matplotlib.pyplot"), "ignite": ("torch.distributed.optim",)}


def install() -> None:
    """Put off what MONAI and Ignite import beyond need, from their first import in this process on."""
    known = importlib.util.find_spec("monai") is not None and installed_version("monai").startswith(_KNOWN)
    if known and "monai" not in sys.modules and not os.environ.get("SA2_MONAI_FULL_IMPORT"):
        sys.meta_path.insert(0, _Finder())  # type: ignore[arg-type]


class _Finder:
    """Finds MONAI and Ignite, and puts a loader around theirs."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in _PUT_OFF or (spec := importlib.machinery.PathFinder.find_spec(name, path)) is None:
            return None
        if spec.loader is not None:
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
        return spec


class _Loader:
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with _stand_ins(_PUT_OFF[module.__name__]):
            if module.__name__ == "monai":
                _execute_monai(module, self._loader)
            else:
                self._loader.exec_module(module)


@contextmanager
def _stand_ins(names: tuple[str, ...]) -> Iterator[None]:
    """For the time of a ``with`` block, modules from which everything is taken later."""
    missing = [name for name in names if name not in sys.modules]
    for name in missing:
        stand_in = ModuleType(name)
        stand_in.__path__ = []
        stand_in.__getattr__ = _attributes_of(name)  # type: ignore[method-assign]
        sys.modules[name] = stand_in
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]


def _attributes_of(module: str) -> Callable[[str], Any]:
    def find(name: str) -> Later:
        if name.startswith("__"):
            raise AttributeError(name)
        return Later(lambda: _named(module, name), module)

    return find


def _named(module: str, name: str) -> Any:
    found = importlib.import_module(module)
    return getattr(found, name) if hasattr(found, name) else importlib.import_module(f"{module}.{name}")


def _execute_monai(monai: ModuleType, loader: Any) -> None:
    """As the loader does, without the walk through all modules at its end."""
    module: Any = _load_alone(
        "monai.utils.module", os.path.join(os.path.dirname(str(monai.__file__)), "utils", "module.py")
    )
    load_all = module.load_submodules
    module.load_submodules = lambda *args, **kwargs: ([], [])
    module.optional_import = _optional_import(module.optional_import)
    loader.exec_module(monai)
    module.load_submodules = load_all
    sys.modules["monai.utils"].module = module  # type: ignore[attr-defined]
    importlib.import_module("monai.apps")  # first, as the walk does: its modules refer to one another in circles
    locator = importlib.import_module("monai.bundle.config_item").ComponentLocator
    find = locator.get_component_module_name

    def find_everywhere(self: Any, name: str) -> Any:
        found = find(self, name)
        if found is None and "." not in name and not getattr(monai, "_all_loaded", False):
            monai._all_loaded = True  # type: ignore[attr-defined]
            load_all(monai, True, "|".join((monai.excludes, r"monai\.apps\.")))
            self._components_table = None
            found = find(self, name)
        return found

    locator.get_component_module_name = find_everywhere
    for name in [name for name in sys.modules if name == "monai" or name.startswith("monai.")]:
        _import_when_asked(sys.modules[name])


def _load_alone(name: str, file: str) -> ModuleType:
    """A module before the packages that it is in."""
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _import_when_asked(package: ModuleType) -> None:
    if not hasattr(package, "__path__") or "__getattr__" in vars(package):
        return
    names = {info.name for info in pkgutil.iter_modules(package.__path__)}

    def find(name: str) -> ModuleType:
        if name not in names:
            raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")
        module = importlib.import_module(f"{package.__name__}.{name}")
        _import_when_asked(module)
        return module

    package.__getattr__ = find  # type: ignore[method-assign]


def _optional_import(at_once: Callable[..., Any]) -> Callable[..., Any]:
    """MONAI's ``optional_import`` for packages that are installed, without importing them."""

    def later(module: str, version: str = "", *args: Any, **kwargs: Any) -> tuple[Any, bool]:
        package = module.split(".")[0]
        own = package == "torch" and module != "torch.utils.tensorboard"
        sure = not version or package in _NEW_ENOUGH
        if own or not sure or package in _TRIED_AT_ONCE or "as_type" in kwargs or module in sys.modules:
            return at_once(module, version, *args, **kwargs)
        if importlib.util.find_spec(package) is None:
            return at_once(module, version, *args, **kwargs)
        return Later(lambda: at_once(module, version, *args, **kwargs)[0], module), True

    return later
