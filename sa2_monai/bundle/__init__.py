# SPDX-License-Identifier: Apache-2.0
"""Bundles as wholes: use from Python, packaging with weights, export to other runtimes, inspection.

Importing this room imports neither torch nor MONAI: its names are loaded when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sa2_monai.bundle.describe import describe_path
    from sa2_monai.bundle.exporting.export import FORMATS, export_network
    from sa2_monai.bundle.exporting.parity import ParityReport
    from sa2_monai.bundle.loaded import LoadedBundle, load_bundle
    from sa2_monai.bundle.locate import find_bundle, open_bundle
    from sa2_monai.bundle.packaging.package import package_bundle
    from sa2_monai.bundle.switches import SwitchError, check_switches
    from sa2_monai.bundle.switches.validated import as_validated
    from sa2_monai.bundle.unzip import extract_bundle

__all__ = [
    "FORMATS",
    "LoadedBundle",
    "ParityReport",
    "SwitchError",
    "as_validated",
    "check_switches",
    "describe_path",
    "export_network",
    "extract_bundle",
    "find_bundle",
    "load_bundle",
    "open_bundle",
    "package_bundle",
]

_MODULES = {
    "FORMATS": "exporting.export",
    "LoadedBundle": "loaded",
    "ParityReport": "exporting.parity",
    "SwitchError": "switches",
    "as_validated": "switches.validated",
    "check_switches": "switches",
    "describe_path": "describe",
    "export_network": "exporting.export",
    "extract_bundle": "unzip",
    "find_bundle": "locate",
    "load_bundle": "loaded",
    "open_bundle": "locate",
    "package_bundle": "packaging.package",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
