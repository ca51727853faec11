# SPDX-License-Identifier: Apache-2.0
"""Hook of MkDocs: pages of the site whose text is kept beside what it describes, not in docs/.

A link in any page is written as it leads in the repository, so that it works there, too. Here it is turned to the page
of the site; where the site has no such page (a script, a notebook), its text stays.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

__all__ = ["INCLUDED", "on_files", "on_page_markdown", "site_link"]

ROOT = Path(__file__).resolve().parents[3]
#: Page of the site: file of the repository.
INCLUDED = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "security.md": "SECURITY.md",
    "monai-label.md": "tools/monailabel_app/README.md",
    "monai-deploy.md": "tools/monai_deploy_app/README.md",
    **{
        f"cards/{card.parents[1].name}.md": card.relative_to(ROOT).as_posix()
        for card in ROOT.glob("bundles/*/docs/README.md")
    },
}
_PAGES = {source: page for page, source in INCLUDED.items()}
_LINK = re.compile(
    r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?!https?://|mailto:|#)(?P<target>[^)#\s]+)(?P<anchor>#[^)]*)?\)"
)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages."""
    for page, source in INCLUDED.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn the links of a page."""
    name = page.file.src_uri
    if name == "changelog.md":  # who searches for a word wants what holds today
        page.meta["search"] = {"boost": 0.1}
    source = INCLUDED.get(name, f"docs/{name}")
    return _LINK.sub(lambda link: site_link(link, source, name), markdown)


def site_link(link: re.Match[str], source: str, page: str) -> str:
    """A link as the site has it.

    Args:
        link: a link of Markdown to a file of the repository.
        source: file that it stands in, from the root of the repository.
        page: page of the site that this becomes.
    """
    absolute = (ROOT / source).parent.joinpath(link["target"]).resolve().relative_to(ROOT).as_posix()
    if absolute.startswith("docs/"):
        target = absolute.removeprefix("docs/")
    elif absolute in _PAGES:
        target = _PAGES[absolute]
    else:
        return link["text"]
    return f"{link['picture']}[{link['text']}]({'../' * page.count('/')}{target}{link['anchor'] or ''})"
