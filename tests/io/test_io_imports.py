# SPDX-License-Identifier: Apache-2.0
"""A file has one reader: nobody but ``sa2_monai.io`` opens images."""

from __future__ import annotations

import re
from pathlib import Path

IO = Path(__file__).resolve().parents[2] / "sa2_monai" / "io"
#: Functions of libraries that open images; each may be called in its reader and nowhere else.
OPENERS = ("Image.open(", "nibabel.load(", "nib.load(", "sitk.ReadImage(", "SimpleITK.ReadImage(", "tifffile.TiffFile(")
#: They read no image of a user: members of a zip file, and files or bytes that the package itself has just written.
ALLOWED = {
    *(("data/download/bbbc038.py", "Image.open("), ("data/preparation/cache.py", "Image.open(")),
    *(("bundle/stress/functions.py", "Image.open("), ("bundle/stress/examples.py", "Image.open(")),
}


def test_nobody_else_opens_images() -> None:
    elsewhere = [path for path in IO.parent.rglob("*.py") if IO not in path.parents]
    assert len(elsewhere) > 100
    found = set()
    for path in elsewhere:
        text = re.sub(r'""".*?"""', "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        found |= {(path.relative_to(IO.parent).as_posix(), call) for call in OPENERS if call in text}
    assert found == ALLOWED
