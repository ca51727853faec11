# SPDX-License-Identifier: Apache-2.0
"""What README.md, docs/ and the other pages say exists: commands, options, switches, files, links, anchors."""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from doc_blocks import LANGUAGES, PAGES, ROOT, blocks, commands, page_ids

from sa2_monai.cli.main import COMMANDS, main

# Pages that stand elsewhere and become a part of the site, and those that are read in the repository alone.
OTHERS = [
    *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted(ROOT.glob("tools/*/README.md")),
    *sorted(ROOT.glob("bundles/*/docs/README.md")),
]
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=page_ids)
EACH_TEXT = pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=page_ids)
# Programs of others, whose options are not ours to check.
FOREIGN = {"cd", "mlflow", "tensorboard", "monailabel", "python3"}
LAUNCHERS = ("torchrun", "python", "bash", ".venv-deploy/bin/python")
# Options of MONAI's own commands beside the ids of a configuration.
OF_MONAI = {"meta_file", "config_file", "logging_file", "tracking", "net_id", "ckpt_file", "filepath"}
INLINE = re.compile(r"`(sa2-monai [^`\n]+)`")


def module_of(command: str) -> ModuleType:
    (name,) = (known.module for known in COMMANDS if known.name == command)
    return importlib.import_module(name)


def parser_of(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    module_of(command).add_arguments(parser)
    return parser


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from options_of(sub)


def check_console_script(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The arguments are accepted as they are printed; what the command does is left out."""
    with monkeypatch.context() as patched:
        patched.setattr(module_of(words[0]), "run", lambda args: 0)
        try:
            main(words)
        except SystemExit as stopped:
            pytest.fail(f"{' '.join(words)}: exit code {stopped.code}")


def check_monai(words: list[str], folder: Path) -> None:
    """The configuration files exist, and each option is an id that stands at the top of one of them."""
    given = dict(itertools.pairwise(words))
    ids = set(OF_MONAI)
    for option in ("--config_file", "--meta_file", "--logging_file"):
        names = re.findall(r"[\w./-]+", given.get(option, ""))
        for name in names:
            file = folder / name
            if name.startswith("runs/"):  # a run has the configurations of its bundle, in JSON
                file = ROOT / "bundles" / "sa2net" / "configs" / f"{Path(name).stem}.yaml"
            assert file.is_file(), name
            if option == "--config_file":
                ids |= set(yaml.safe_load(file.read_text(encoding="utf-8")))
    for word in words:
        if word.startswith("--"):
            assert word[2:].split("#")[0] in ids, word


@EACH_PAGE
def test_fences_are_of_a_known_kind(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= LANGUAGES


@EACH_PAGE
def test_commands_exist(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in blocks(page, "bash", "console"):
        folder = ROOT
        for words in commands(block):
            folder = ROOT / words[1] if words[0] == "cd" else folder
            for word in words:
                assert not word.startswith("tools/") or (ROOT / word).exists(), word
            if "sa2-monai" in words:
                check_console_script(words[words.index("sa2-monai") + 1 :], monkeypatch)
            elif "monai.bundle" in words:
                check_monai(words[words.index("monai.bundle") + 1 :], folder)
            else:
                assert words[0] in (*FOREIGN, *LAUNCHERS) or words[0].startswith("tools/"), words


@EACH_TEXT
def test_commands_within_the_text_exist(page: Path) -> None:
    for line in INLINE.findall(page.read_text(encoding="utf-8")):
        _, name, *words = line.split()
        if name.startswith(("--", "...")):
            continue
        known = set(options_of(parser_of(name)))
        assert {word for word in words if re.fullmatch(r"--[\w-]+", word)} <= known, line


@EACH_PAGE
def test_sessions_of_python_import_what_exists(page: Path) -> None:
    for block in blocks(page, "python", "pycon"):
        source = re.sub(r"^(>>>|\.\.\.) ?", "", block.text, flags=re.MULTILINE)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom):
                assert node.module is not None
                for alias in node.names:
                    found = hasattr(importlib.import_module(node.module), alias.name)
                    # a module that nobody has imported yet is no attribute
                    assert found or importlib.util.find_spec(f"{node.module}.{alias.name}"), alias.name


def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page, as GitHub and MkDocs make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@EACH_TEXT
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!https?://|mailto:)([^)#\s]*)(#[^)\s]+)?\)", text):
        file = page.parent / target if target else page
        assert file.exists(), target
        assert not anchor or anchor[1:] in anchors(file), f"{target}{anchor}"
