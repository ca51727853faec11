# SPDX-License-Identifier: Apache-2.0
"""What README.md and the pages of docs/ hold in fences: commands, sessions, snippets."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

__all__ = ["LANGUAGES", "PAGES", "ROOT", "Block", "blocks", "commands", "page_ids"]

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# What becomes of a fence: bash and python run; console and pycon are parsed; the others are shown.
LANGUAGES = {"bash", "python", "console", "pycon", "text", "yaml"}
_FENCE = re.compile(r"^( *)```([\w+-]*)[^\n]*\n(.*?)^\1```", flags=re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fence of a page."""

    page: Path
    language: str
    text: str


def page_ids(path: Path) -> str:
    """Name of a page in the list of tests."""
    return path.relative_to(ROOT).as_posix()


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fences of a page, in order; of some languages, or all."""
    found = [Block(page, language, text) for _, language, text in _FENCE.findall(page.read_text(encoding="utf-8"))]
    return [block for block in found if not languages or block.language in languages]


def commands(block: Block) -> list[list[str]]:
    """The commands of a fence as words, without comments; of a session those after ``$``, without what is printed."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    found = [shlex.split(line, comments=True) for line in lines]
    return [words for words in found if words]
