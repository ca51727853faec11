# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai datasets list``."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Mapping
from typing import Any

from sa2_monai.cli.datasets.common import add_json, known_dataset

__all__ = ["add_arguments", "run", "text"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the action."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="data sets to show (default: all)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the data sets; also without an action, when there are no arguments."""
    from sa2_monai.bundle.dataset_overlays import describe_datasets

    names = list(dict.fromkeys(getattr(args, "names", [])))
    for name in names:
        known_dataset(name)
    document = describe_datasets(names)
    print(json.dumps(document, indent=2, ensure_ascii=False) if getattr(args, "json", False) else text(document))
    return 0


def text(document: Mapping[str, Mapping[str, Any]]) -> str:
    """The data sets for people.

    Args:
        document: what :func:`sa2_monai.bundle.dataset_overlays.describe_datasets` returned.
    """
    blocks = []
    for name, entry in document.items():
        rows = {
            "files": entry["files"],
            "classes": ", ".join(entry["classes"]) if entry["classes"] else "yours",
            "splits": ", ".join(entry["splits"]),
            "prepare": "; ".join(f"{form}: {description}" for form, description in entry["preparations"].items()),
            "licence": entry["licence"],
            "homepage": entry["homepage"],
            "cite": entry["citation"],
            "bundles": ", ".join(f"{bundle} ({', '.join(files)})" for bundle, files in entry["overlays"].items()),
        }
        lines = [f"{name}: {entry['title']}"]
        for label, value in rows.items():
            if value:
                first = f"  {label + ':':<11}"
                lines += textwrap.wrap(f"{first}{value}", 120, subsequent_indent=" " * 13, break_long_words=False)
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
