# SPDX-License-Identifier: Apache-2.0
"""``sa2_monai.io`` stands below all other folders: a file has one reader because everybody can ask for it there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

IO = Path(__file__).resolve().parents[2] / "sa2_monai" / "io"
MODULES = sorted(IO.rglob("*.py"))
#: Functions of libraries that open images; each may be called in its reader and nowhere else.
OPENERS = ("Image.open(", "nibabel.load(", "nib.load(", "sitk.ReadImage(", "SimpleITK.ReadImage(", "tifffile.TiffFile(")
#: They read no image of a user: members of a zip file, and the key in a file that the cache itself has written.
ALLOWED = {("data/download/bbbc038.py", "Image.open("), ("data/preparation/cache.py", "Image.open(")}


def ours(module: Path) -> set[str]:
    """Modules of the package that a module imports, also inside of functions."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        found |= {name for name in names if name.startswith("sa2_monai")}
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(IO).as_posix())
def test_imports_nothing_above_it(module: Path) -> None:
    assert {name for name in ours(module) if not name.startswith(("sa2_monai.io", "sa2_monai.version"))} == set()


def test_nobody_else_opens_images() -> None:
    elsewhere = [path for path in IO.parent.rglob("*.py") if IO not in path.parents]
    assert len(elsewhere) > 100
    found = set()
    for path in elsewhere:
        text = re.sub(r'""".*?"""', "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        found |= {(path.relative_to(IO.parent).as_posix(), call) for call in OPENERS if call in text}
    assert found == ALLOWED
