# SPDX-License-Identifier: Apache-2.0
"""Lists of names beside the images that say which case is in which part: ``train.txt``, ``ImageSets/.../val.txt``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sa2_monai.data.layouts.cases import Case, Parts
from sa2_monai.data.layouts.channel_files import stem_of
from sa2_monai.data.layouts.discovery.layout import Layout
from sa2_monai.data.layouts.discovery.words import folder_meaning
from sa2_monai.io.problems import listing

__all__ = ["with_name_lists"]

_FOLDERS = ("imagesets", "splits", "split", "lists", "list", "segmentation")


def with_name_lists(directory: Path, layout: Layout) -> Layout:
    """The layout with the parts of text files, where these name its cases.

    Args:
        directory: the data set's folder; the files lie in it, or in ``ImageSets/``, ``splits/`` or ``lists/``.
        layout: with one pool of cases.

    Returns:
        The layout with the parts of the lists. It stays as it is where it has parts already, where there is no list of
        training cases, or where the lists name other things.

    Raises:
        ValueError: lists that name some cases, and some that are not there, or a case in two of them.
    """
    if set(layout.parts) != {"training"}:
        return layout
    lists = _lists(directory)
    cases = {str(case["case"]): case for case in layout.parts["training"]}
    found: dict[str, list[Case]] = {}
    owner: dict[str, Path] = {}
    for part, path in lists.items():
        names = [_name(line, cases) for line in _lines(path)]
        known = [name for name in names if name in cases]
        if not known:
            return layout
        missing = [name for name in names if name not in cases]
        if missing:
            raise ValueError(
                f"{path}: names {len(missing)} cases that are not in {directory} ({listing(missing, 3)}); add them, or "
                "correct the list"
            )
        for name in known:
            if owner.setdefault(name, path) != path:
                raise ValueError(f"{path}: names the case {name}, as does {owner[name]}; keep it in one of the lists")
        found[part] = [cases[name] for name in sorted(set(known))]
    if "training" not in found or len(found) < 2:
        return layout
    rest = len(cases) - len(owner)
    words = f"{layout.description}, parts by {', '.join(path.name for path in lists.values())}"
    words += f" ({rest} cases in none of them are not used)" if rest else ""
    parts: Parts = {part: found[part] for part in ("training", "validation", "test") if part in found}
    return replace(layout, description=words, parts=parts, tables=[*layout.tables, *lists.values()])


def _lists(directory: Path) -> dict[str, Path]:
    """Text files by part: of the nearest folder that has one of training cases."""
    folders = [directory]
    for folder in folders:
        here = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        folders += [path for path in here if path.is_dir() and path.name.lower() in _FOLDERS]
        found: dict[str, Path] = {}
        for path in here:
            part = folder_meaning(path.stem).part if path.suffix.lower() in (".txt", ".lst", ".list") else ""
            if part and path.is_file():
                found.setdefault(part, path)
        if "training" in found:
            return found
    return {}


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


def _name(line: str, cases: dict[str, Case]) -> str:
    """Case of a line: its name, or a path of its image, with other things behind it or not."""
    for text in (line, line.replace(",", " ").split()[0]):
        for name in (text, stem_of(Path(text))):
            if name in cases:
                return name
    return stem_of(Path(line.split()[0]))
