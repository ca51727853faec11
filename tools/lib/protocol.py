# SPDX-License-Identifier: Apache-2.0
"""Write the section "Protocol" of the bundles' cards from their tables, docs/protocols/<name>.yaml.

tests/bundles/configs/test_bundles_protocol.py resolves the configurations and compares them with the same tables.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Row", "expected", "main", "read", "rendered", "rows_of", "with_section"]

ROOT = Path(__file__).resolve().parents[2]
Row = Mapping[str, Any]
SAME = "the same"
HEADING = "## Protocol\n"


def tables() -> list[Path]:
    return sorted(ROOT.glob("docs/protocols/*.yaml"))


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def rows_of(table: Mapping[str, Any], section: Mapping[str, Any]) -> Iterator[Row]:
    """All rows that hold for a section: those for all data sets, those it takes over, its own; the last one counts."""
    yield from table.get("general", ())
    for other in table["sections"]:
        if other["title"] == section.get("inherits"):
            yield from other["rows"]
    yield from section.get("rows", ())


def expected(
    table: Mapping[str, Any], section: Mapping[str, Any], overlay: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was published, and what the configuration says, by the name of the part.

    Args:
        table: of the bundle.
        section: of the data set.
        overlay: file after ``train.yaml``; empty for none.
    """
    published: dict[str, Any] = {}
    ours: dict[str, Any] = {}
    for row in rows_of(table, section):
        facts = {**row.get("facts", {}), **row.get("facts_of", {}).get(overlay, {})}
        own = {**row.get("ours", {}), **row.get("ours_of", {}).get(overlay, {})}
        published.update(facts)
        ours.update({**facts, **own})
    return published, ours


def rendered(table: Mapping[str, Any]) -> str:
    """The section, from its heading to the line before the next one."""
    lines = [HEADING, table["intro"]]
    if "general" in table:
        lines += _lines(table["general"])
    for section in table["sections"]:
        lines += [f"### {section['title']}\n"]
        lines += [section["text"]] if "text" in section else []
        lines += _lines(section["rows"]) if "rows" in section else []
        lines += [section["after"]] if "after" in section else []
    return "\n".join(line.rstrip("\n") + "\n" for line in lines) + "\n"


def _lines(rows: list[Row]) -> list[str]:
    head = ["| | published code | default here | why |", "|---|---|---|---|"]
    return [
        "\n".join(
            [
                *head,
                *(
                    f"| {row['what']} | {row['published']} | {row.get('here', SAME)} | {row.get('why', '')} |".replace(
                        "|  |", "| |"
                    )
                    for row in rows
                ),
            ]
        )
    ]


def with_section(card: str, section: str) -> str:
    """A card with its section replaced."""
    start = card.index(HEADING)
    end = card.index("\n## ", start) + 1
    return card[:start] + section + card[end:]


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/protocol", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a card is out of date")
    arguments = parser.parse_args()
    changed = 0
    for path in tables():
        card = ROOT / "bundles" / path.stem / "docs" / "README.md"
        text = card.read_text(encoding="utf-8")
        new = with_section(text, rendered(read(path)))
        if new != text:
            changed += 1
            print(f"{card} {'is out of date' if arguments.check else 'written'}")
            if not arguments.check:
                card.write_text(new, encoding="utf-8")
    return 1 if arguments.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
