# SPDX-License-Identifier: Apache-2.0
"""List the bundles that come with the package, or copy one to edit it.

A bundle of the package is used by its name (--bundle sa2net) from any folder, and never written to. A copy is the
user's own: its configurations are plain YAML, with every switch at the top of configs/train.yaml.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
import textwrap
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of ``sa2-monai bundles`` and their options.

    Args:
        parser: parser of the command.
    """
    parser.epilog = "example: sa2-monai bundles copy sa2net my_bundle"
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action")
    listing = actions.add_parser("list", help="list them: network, version, overlays for data sets, folder")
    listing.add_argument("--json", action="store_true", help="print JSON for programs")
    copy = actions.add_parser("copy", help="copy the sources of one, to edit them")
    copy.add_argument("name", metavar="NAME", help="bundle, as 'sa2-monai bundles' names it")
    copy.add_argument("folder", metavar="DIR", help="becomes the folder of the copy")
    copy.add_argument(
        "--force", action="store_true", help="replace the bundle's files in DIR; other files there stay as they are"
    )
    for action in (listing, copy):
        action.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Do what was asked for; without an action, list.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0. Failures are raised.

    Raises:
        OSError: no such bundle, or a folder that is not empty or cannot be written.
        ValueError: a folder in which nothing is written.
    """
    if args.action == "copy":
        return _copy(args)
    from sa2_monai.bundle.included import list_bundles

    bundles = list_bundles()
    if getattr(args, "json", False):
        print(json.dumps(bundles, indent=2, ensure_ascii=False))
        return 0
    for name, facts in bundles.items():
        print(f"{name}: {facts['title']} (version {facts['version']})\n  {facts['folder']}")
        print(
            textwrap.fill(", ".join(facts["overlays"]), 120, initial_indent="  overlays: ", subsequent_indent=" " * 12)
        )
    return 0


def _copy(args: argparse.Namespace) -> int:
    from sa2_monai.bundle import copy_bundle

    files = copy_bundle(args.name, args.folder, args.force)
    print(f"{args.folder}: {len(files)} files of {args.name}; the switches stand at the top of configs/train.yaml")
    configs = Path(args.folder) / "configs"
    files_of_a_run = str([str(configs / f"{name}.yaml") for name in ("train", "folder")])
    # As one types it, where the names allow it.
    quoted = shlex.quote(files_of_a_run) if re.search(r'["$`\\!]', files_of_a_run) else f'"{files_of_a_run}"'
    print(
        f"Next:  {shlex.quote(sys.executable)} -m monai.bundle run training --config_file {quoted} "
        f"--bundle_root {shlex.quote(args.folder)} --dataset_dir DATA"
    )
    return 0
