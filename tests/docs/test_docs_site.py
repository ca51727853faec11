# SPDX-License-Identifier: Apache-2.0
"""The built site: strict, nothing loaded from elsewhere, each page within reach."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from doc_blocks import ROOT

# Where an element of HTML names a file that a browser loads by itself; <a> is a link for people.
LOADED = {
    "link": ("href",),
    "script": ("src",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
}


class Resources(HTMLParser):
    """Collects what a page loads, and the pages that it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.loaded += [values[name] or "" for name in LOADED.get(tag, ()) if name in values]
        if tag == "a":
            self.links.add((values.get("href") or "").partition("#")[0])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def resources(page: Path) -> Resources:
    found = Resources()
    found.feed(page.read_text(encoding="utf-8"))
    return found


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        loaded = resources(page).loaded
        assert len(loaded) >= 4, page.name  # style sheets and scripts, so that the parser is seen to find them
        for address in loaded:
            assert not re.match(r"(\w+:)?//", address), f"{page.name}: {address}"
            assert (page.parent / address).is_file() or page.name == "404.html", f"{page.name}: {address}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet.name


def test_each_page_is_within_reach(site: Path) -> None:
    reached: set[Path] = set()
    waiting = [site / "index.html"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            links = (page.parent / link for link in resources(page).links if link.endswith(".html"))
            waiting += [link.resolve() for link in links if link.is_file()]
    assert {page for page in site.rglob("*.html") if page.name != "404.html"} == reached
    assert (site / "cards" / "sa2net.html").is_file()


def test_links_are_written_for_the_repository_and_turned_for_the_site(site: Path) -> None:
    """README.md is the page "Home"; what has no page keeps its text."""
    home = resources(site / "index.html").links
    assert {"start.html", "cards/sa2net.html", "monai-label.html"} <= home
    assert not any(link.startswith(("docs/", "..", "bundles/")) for link in home)
    cluster = (site / "cluster.html").read_text(encoding="utf-8")
    assert "tools/slurm/train.sbatch" in cluster
    assert 'sbatch"' not in cluster
