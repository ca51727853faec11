# SPDX-License-Identifier: Apache-2.0
"""Parts of the texts of an architecture's bundle that a packaged bundle takes over."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["copied_sections", "data_license", "protocol_of", "sections"]

_OVERLAY = re.compile(r"\b(inference_trt|paper|evaluate|evaluate_paper|ensemble|debug|disk_cache|multi_gpu_\w+)\.yaml")


def sections(text: str) -> tuple[str, dict[str, str]]:
    """The text in front of the first ``##`` heading, and the text below each of them.

    Args:
        text: of a model card, Markdown.
    """
    head, *rest = re.split(r"^## ", text, flags=re.MULTILINE)
    parts = {}
    for part in rest:
        title, _, body = part.partition("\n")
        parts[title.strip()] = body.strip()
    return head.strip(), parts


def copied_sections(
    parts: Mapping[str, str], titles: tuple[str, ...], more: Mapping[str, str] | None = None
) -> list[str]:
    """Sections as they are, but for statements about the source that are not true of a package.

    Args:
        parts: text below each heading.
        titles: of the sections, in order.
        more: paragraphs that begin a subsection, by its title.
    """
    lines: list[str] = []
    for title in titles:
        if title in parts:
            body = re.sub(r"\s*No weights are\s+shipped[^.]*\.", "", parts[title])
            for heading, text in (more or {}).items():
                body = body.replace(f"### {heading}\n", f"### {heading}\n\n{text}\n")
            lines += [f"## {title}", "", _OVERLAY.sub(r"\1.json", body), ""]
    return lines


def protocol_of(text: str, dataset: str) -> str:
    """What is said of the data set; the whole section where it is not divided by data sets.

    Args:
        text: of the section on the protocol.
        dataset: name of the data set.
    """
    general, *rest = re.split(r"^### ", text, flags=re.MULTILINE)
    if not rest:
        return general.strip()
    for name in (_plain(dataset), _plain(re.split(r"[_-]", dataset)[0])):
        found = [part for part in rest if name in _plain(part.partition("\n")[0])]
        if found:
            return "\n\n".join([general.strip(), *(f"### {part.strip()}" for part in found)]).strip()
    return ""


def data_license(source: str, dataset: str, data_source: str) -> str:
    """``docs/data_license.txt``: the terms of the data that the weights were trained on.

    Args:
        source: text of the source bundle's file; a paragraph per data set, its name in the first line.
        dataset: name of the data set (of the overlay).
        data_source: of the metadata.
    """
    blocks = re.split(r"\n\s*\n", source.strip())[1:]
    key = _plain(dataset)
    own = [block for block in blocks if key in _plain(block.partition("\n")[0])]
    first = _plain(re.split(r"[_-]", dataset)[0])
    own = own or [block for block in blocks if first in _plain(block.partition("\n")[0])]
    text = f"No data are part of this bundle. Its weights were trained on:\n{data_source}\n"
    if own:
        return "\n\n".join([text + "\nThe data have their own terms:", *own]) + "\n"
    return text + "\nThe terms of these data apply; who hands out the weights must know and state them.\n"


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
