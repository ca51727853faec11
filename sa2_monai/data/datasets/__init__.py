# SPDX-License-Identifier: Apache-2.0
"""One module per data set, which describes what it knows in ``DATASETS``: name -> ``DataSet``.

Modules are found by themselves: a new data set is a new file here (CONTRIBUTING.md, "A new data set").
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from sa2_monai.data.dataset import DataSet

__all__ = ["DATASETS"]


def _found() -> dict[str, DataSet]:
    found: dict[str, DataSet] = {}
    for module in sorted(iter_modules(__path__), key=lambda info: info.name):
        for name, entry in getattr(import_module(f"{__name__}.{module.name}"), "DATASETS", {}).items():
            if name in found:
                raise ValueError(f"two modules of {__name__} describe the data set {name!r}")
            found[name] = entry
    return found


#: Data sets by name.
DATASETS: dict[str, DataSet] = _found()
