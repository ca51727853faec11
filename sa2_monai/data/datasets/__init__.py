# SPDX-License-Identifier: Apache-2.0
"""One module per data set, which describes what it knows in ``DATASETS``: name -> ``DataSet`` (data/dataset.py).

A new data set needs one file here, which is found by itself, with

- a function that lists its cases by part, ``{"training": [{"image", "label", "case", "group"}, ...], ...}``, from the
  files as they are downloaded (``layouts.cases`` pairs images with labels; ``group`` is the patient, where known);
- ``DATASETS``: kind of files, title, homepage, licence, citation, classes, label values, published splits and numbers.

Beside it an overlay ``bundles/<network>/configs/<name>.yaml`` says how a network sees it, and a miniature in the tests
holds both (CONTRIBUTING.md, "A new data set"). ``own`` has the folders of people's own data.
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
