# SPDX-License-Identifier: Apache-2.0
"""Who may import whom, and how large folders and files may be: the law of the design, read from the source text.

An import counts wherever it stands, also inside of a function or for type checkers: it says what a module knows of.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "sa2_monai"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

#: Folders of the package from the ground up: each may import what stands in a line before its own.
LEVELS = (
    ("version", "aliases"),
    ("io", "networks", "losses", "metrics"),
    ("data", "weights", "slices", "transforms"),
    ("evaluation", "inference", "training"),
    ("bundle",),
    ("cli",),
    ("__main__",),
)
#: What may be imported beside that, from the same line: who, whom, why.
BESIDE = {
    ("data", "slices"): "a SliceDataset cuts volumes into slices as the steps do",
    ("transforms", "slices"): "augmentation tells labels from images, and resizes 2D images, as the steps do",
}

MOST_MODULES = {"sa2_monai/networks/blocks": 22}
#: Packages whose docstring is a map.
MAPS = (
    *("data", "data/checks", "data/download", "data/layouts", "data/preparation", "data/samples", "io", "io/volumes"),
    *(
        "io/images",
        "io/slides",
        "bundle",
        "bundle/comparison",
        "bundle/crossval",
        "bundle/ensemble",
        "bundle/exporting",
        "bundle/launch",
        "bundle/packaging",
        "bundle/prediction",
        "bundle/run",
        "bundle/slides",
        "inference/runtimes",
    ),
)
MODULES_OF_A_FOLDER, LINES_OF_A_FILE = 20, 500
FOLDERS = sorted(
    {path.parent for top in ("sa2_monai", "tests", "tools") for path in (ROOT / top).rglob("*.py")}, key=str
)


def imports(path: Path, when_imported: bool = False) -> set[str]:
    """Modules of the package that a module imports.

    Args:
        path: of the module.
        when_imported: only those that are imported with it, not later or by a type checker.
    """
    found = set()
    for node in _statements(ast.parse(path.read_text(encoding="utf-8")), when_imported):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path}: relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return {name for name in found if name.startswith("sa2_monai.")}


def _statements(tree: ast.AST, when_imported: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        later = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if not (when_imported and (later or for_types)):
            yield node
            yield from _statements(node, when_imported)


def folder_of(module: str) -> str:
    return module.split(".")[1]


@functools.cache
def arrows() -> set[tuple[str, str]]:
    """Pairs of modules, the first of which imports the second, over the borders of folders."""
    pairs = {(module, name) for module, path in MODULES.items() if "." in module for name in imports(path)}
    return {(module, name) for module, name in pairs if folder_of(module) != folder_of(name)}


def test_every_folder_has_a_level() -> None:
    assert {folder_of(module) for module in MODULES if "." in module} <= {name for level in LEVELS for name in level}


@pytest.mark.parametrize("level", range(len(LEVELS)), ids=[", ".join(level) for level in LEVELS])
def test_imports_only_what_stands_below(level: int) -> None:
    below = {name for names in LEVELS[:level] for name in names}
    found = {pair for pair in arrows() if folder_of(pair[0]) in LEVELS[level]}
    wrong = {
        f"{module} imports {name}"
        for module, name in found
        if folder_of(name) not in below and (folder_of(module), folder_of(name)) not in BESIDE
    }
    assert wrong == set()


def test_exceptions_are_needed() -> None:
    assert set(BESIDE) <= {(folder_of(module), folder_of(name)) for module, name in arrows()}


def test_no_circles() -> None:
    graph = {module: imports(path, when_imported=True) - {module} for module, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_folders_and_files_stay_small(folder: Path) -> None:
    modules = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    assert len(lines) <= MOST_MODULES.get(folder.relative_to(ROOT).as_posix(), MODULES_OF_A_FOLDER)
    assert {name: count for name, count in lines.items() if count > LINES_OF_A_FILE} == {}


@pytest.mark.parametrize("folder", MAPS)
def test_maps_name_every_module(folder: str) -> None:
    """The docstring of a package says what lies where; a module that it leaves out is not found."""
    described = ast.get_docstring(ast.parse((PACKAGE / folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    words = set(re.findall(r"\w+", described))
    below = [path for path in (PACKAGE / folder).iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()]
    assert {path.stem for path in below if path.stem != "__init__"} <= words


def test_the_rules_catch_what_they_forbid(tmp_path: Path) -> None:
    """An import counts in a function and for types, but not as one that happens when the module is imported."""
    module = tmp_path / "module.py"
    module.write_text(
        "from typing import TYPE_CHECKING\n"
        "import sa2_monai.io.names\n"
        "from sa2_monai.data import registry, read_label\n"
        "if TYPE_CHECKING:\n    from sa2_monai.bundle.loaded import LoadedBundle\n"
        "try:\n    import sa2_monai.version\nexcept ImportError:\n    pass\n"
        "def later():\n    from sa2_monai.cli.main import main\n"
    )
    at_once = {"sa2_monai.io.names", "sa2_monai.data.registry", "sa2_monai.data", "sa2_monai.version"}
    assert imports(module, when_imported=True) == at_once
    assert imports(module) == at_once | {"sa2_monai.bundle.loaded", "sa2_monai.cli.main"}
