# SPDX-License-Identifier: Apache-2.0
"""Who may import whom (CONTRIBUTING.md, "Where things are"): arrows run down, so there are no circles."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

# Folders of the package from the ground up, with the lower ones that each may import; `version` may be imported by all.
GROUND = {"io", "networks", "losses", "metrics"}
MIDDLE = {*GROUND, "slices", "transforms", "weights", "data"}
UPPER = {*MIDDLE, "training", "inference", "evaluation"}
ALLOWED: dict[str, set[str]] = {
    "io": set(),
    "networks": set(),
    "losses": set(),
    "metrics": set(),
    "slices": {"io"},
    "transforms": {"io", "slices"},
    "weights": {"io", "networks"},
    "data": {"io", "slices", "transforms"},
    "training": {"io", "networks", "slices", "transforms", "weights", "data"},
    "inference": {"io", "slices", "transforms", "weights", "data"},
    "evaluation": {"io", "metrics", "data"},
    "bundle": UPPER,
    "cli": {*UPPER, "bundle"},
}
#: Arrows that still run up, each until the reason is gone: (module, folder). The list only ever gets shorter.
KNOWN = {("bundle/prediction/window.py", "cli")}  # the list of networks, which belongs to networks/catalogue.py
#: Single modules beside the folders: nothing of ours stands in them, or they are the entrance of the package.
BESIDE = {"version", "aliases"}


def imported(module: Path) -> set[str]:
    """Folders of the package that a module imports from, also inside of functions."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("sa2_monai.")}
    return found


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_run_down(folder: str, repository: Path) -> None:
    package = repository / "sa2_monai"
    upward = {
        (module.relative_to(package).as_posix(), name)
        for module in (package / folder).rglob("*.py")
        for name in imported(module) & {*ALLOWED} - ALLOWED[folder] - {folder}
    }
    assert upward == {(module, name) for module, name in KNOWN if module.startswith(f"{folder}/")}


def test_every_folder_has_its_place(repository: Path) -> None:
    package = repository / "sa2_monai"
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    assert folders <= {*ALLOWED}
    assert {path.stem for path in package.glob("*.py")} <= {"__init__", *BESIDE}
    # The order of the table is from the ground up: whoever may be imported stands above whoever imports.
    places = {name: place for place, name in enumerate(ALLOWED)}
    assert all(places[lower] < places[folder] for folder, allowed in ALLOWED.items() for lower in allowed)
