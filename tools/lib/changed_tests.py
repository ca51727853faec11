# SPDX-License-Identifier: Apache-2.0
"""Print the test files of what has changed in this checkout, one per line, for ``tools/test --quick``.

Changed is what differs from the commit ``SA2_BASE``: by default the last one, or the one before it where nothing has
been changed since. A module's tests are those that have its name in the mirror of its folder
(``sa2_monai/io/volumes/nifti.py``: ``tests/io/volumes/test_io_volumes_nifti.py``), all of the mirror where none has,
and those that import it or a name that it defines. A helper of the tests (``tests/support``) has those that import it.
The tests of other programs (marked ``integration``) are left to the whole suite.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What a change of configurations can break without any test that has its name.
BUNDLES = ("test_bundles_configs.py", "test_bundles_agreement.py", "test_bundles_bad_input.py")
# Names that modules of several folders have: they tell nothing in a folder of tests that is not their own mirror.
COMMON = {"read", "base", "checks", "run", "images", "volumes", "files", "folder"}


def git(*words: str) -> list[str]:
    """Lines that a git command prints."""
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()


def changed_files() -> list[Path]:
    """Files that are new or differ, relative to the checkout."""
    untracked = git("ls-files", "--others", "--exclude-standard")
    base = os.environ.get("SA2_BASE")
    names = git("diff", "--name-only", base or "HEAD") + untracked
    if not names and not base:
        names = git("diff", "--name-only", "HEAD~1", "HEAD")
    return [Path(name) for name in names if (ROOT / name).is_file()]


@cache
def imported(file: Path) -> set[str]:
    """Dotted names that a test file imports: modules, and names of modules."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def names_of(module: Path) -> set[str]:
    """Dotted names under which a module and its public names can be imported: also from the folders above it."""
    dotted = module.with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    names = {dotted}
    for node in ast.parse((ROOT / module).read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            parents = dotted.split(".")
            names.update(".".join([*parents[:depth], node.name]) for depth in range(1, len(parents) + 1))
    return names


def of_module(module: Path, tests: list[Path]) -> list[Path]:
    """Test files of a module of the package: of its name in its mirror, else the mirror, else of its name above it."""
    package, *folders = module.parts[1:-1]
    mirror = ROOT.joinpath("tests", package, *folders)
    inside = [test for test in tests if mirror in test.parents]
    named = [test for test in inside if has_name(test, module.stem)]
    if named or (folders and inside):
        return named if named else inside
    # A package whose tests lie in one folder: tests/evaluation/test_evaluation_size_strata.py
    flat = [test for test in tests if test.parent == ROOT / "tests" / package]
    return [] if module.stem in COMMON else [test for test in flat if has_name(test, module.stem)]


def has_name(test: Path, module: str) -> bool:
    """Whether the words of a module's name stand in that of a test file: ``label`` is not in ``test_io_labels``."""
    return f"_{module}_" in f"{test.stem}_"


def mirrored(path: Path, tests: list[Path]) -> Iterator[Path]:
    """Test files that have the name of a file in the mirror of its folder."""
    parts = path.parts
    if parts[0] == "bundles":
        yield from (test for test in tests if test.name in BUNDLES)
        yield from (test for test in tests if test.name == f"test_bundles_{parts[1]}.py")
    elif path.suffix == ".md" or parts[0] in ("docs", "mkdocs.yml") or parts[:3] == ("tools", "lib", "docs"):
        yield from (test for test in tests if test.parent.name == "docs")
    elif parts[0] == "tools":
        own = [test for test in tests if ROOT / "tests" / "tools" in test.parents]
        yield from (test for test in own if path.stem in test.stem.removeprefix("test_tools_"))
    elif parts[0] == "sa2_monai" and len(parts) > 2 and path.stem != "__init__":
        yield from of_module(path, tests)


def selected(changed: list[Path], tests: list[Path]) -> set[Path]:
    """Test files of the files that have changed; all paths of ``changed`` are relative to the checkout."""
    imports = {test: imported(test) for test in tests}
    chosen: set[Path] = set()
    for path in changed:
        chosen.update({ROOT / path} & set(tests))
        chosen.update(mirrored(path, tests))
        if path.parts[0] in ("sa2_monai", "tests") and path.suffix == ".py":
            names = names_of(path)
            chosen.update(test for test, found in imports.items() if found & names)
    return chosen


def main() -> int:
    """Print the selection."""
    tests = sorted((ROOT / "tests").rglob("test_*.py"))
    for test in sorted(selected(changed_files(), tests)):
        print(test.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
