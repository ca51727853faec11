# SPDX-License-Identifier: Apache-2.0
"""Tell what a bundle or a weight file is: network, classes, how it sees an image, training data, hashes.

Nothing of it is run: no network is built, and expressions of configurations are not evaluated. What of a bundle goes
beyond the components and expressions that run without a question is listed: it would need --trust.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["add_arguments", "run"]

_HIDDEN = ("what", "path", "outside", "problems")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai inspect``."""
    parser.add_argument(
        "path", metavar="BUNDLE_OR_WEIGHTS", help="folder, zip file or name of a bundle, or a file (.pt, .ts, .pt2)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def run(args: argparse.Namespace) -> int:
    """Print the facts.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0, also when something is wrong with what is there: that is printed.

    Raises:
        OSError: there is no such file.
        ValueError: it is neither a bundle nor weights, or damaged.
    """
    from sa2_monai.bundle import describe_path

    facts = describe_path(args.path)
    if args.json:
        print(json.dumps(facts, indent=2, ensure_ascii=False, default=str, skipkeys=True))
        return 0
    print(f"{facts['path']}: {facts['what']}")
    for line in _lines(facts, "  "):
        print(line)
    for entry in facts.get("outside", ()):
        print(f"  needs --trust: {entry}")
    for problem in facts["problems"]:
        print(f"  problem: {problem}")
    return 0


def _lines(facts: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in facts.items():
        if key in _HIDDEN or value in (None, [], {}):
            continue
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{indent}{key}: {text}"
