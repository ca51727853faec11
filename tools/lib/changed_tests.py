# SPDX-License-Identifier: Apache-2.0
"""Print the test files of what has changed in this checkout, one per line, for ``tools/test --quick``.

Changed is what differs from the commit ``SA2_BASE``: by default the last one, or the one before it where nothing has
been changed since. A module's tests are those that have its name in the mirror of its folder, and those that import it
or a name that it defines. The tests of other programs (marked ``integration``) are left to the whole suite.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What a change of configurations can break without any test that has its name.
BUNDLES = ("test_bundles_configs.py", "test_bundles_agreement.py", "test_bundles_bad_input.py")
# Too small a part of a name to tell modules apart.
COMMON = {"__init__", "read", "base", "checks", "run"}


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


def mirrored(path: Path, tests: list[Path]) -> Iterator[Path]:
    """Test files that have the name of a file in the mirror of its folder."""
    parts = path.parts
    if parts[0] == "bundles":
        yield from (test for test in tests if test.name in BUNDLES)
        yield from (test for test in tests if test.name == f"test_bundles_{parts[1]}.py")
    elif parts[0] in ("tools", "README.md") or path.suffix == ".md":
        word = "readme" if path.suffix == ".md" else path.stem
        own = [test for test in tests if test.parent.name == "tools"]
        yield from (test for test in own if word in test.stem.removeprefix("test_tools_"))
    elif parts[0] == "sa2_monai" and len(parts) > 2 and path.stem not in COMMON:
        own = [test for test in tests if test.relative_to(ROOT / "tests").parts[0] == parts[1]]
        yield from (test for test in own if path.stem in test.stem)


def main() -> int:
    """Print the selection."""
    tests = sorted((ROOT / "tests").rglob("test_*.py"))
    imports = {test: imported(test) for test in tests}
    chosen: set[Path] = set()
    for path in changed_files():
        if path.parts[0] == "tests":
            chosen.update(test for test in tests if test == ROOT / path)
            continue
        chosen.update(mirrored(path, tests))
        if path.parts[0] == "sa2_monai" and path.suffix == ".py":
            names = names_of(path)
            chosen.update(test for test, found in imports.items() if found & names)
    for test in sorted(chosen):
        print(test.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
