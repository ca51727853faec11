# SPDX-License-Identifier: Apache-2.0
"""``tools/benchmark [SUITE | all] [OPTIONS]``: run suites, print their tables, write and check their figures."""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.frame.facts import facts
from benchmark.frame.rows import Row, Skipped, printed

__all__ = ["main", "suites"]

_FOLDER = Path(__file__).resolve().parents[1]
_NETWORKS = {"inference": "forward", "training": "train_step"}  # tools/benchmark without a suite


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 1 where a ratio is worse than the committed one."""
    words = list(sys.argv[1:] if words is None else words)
    known = suites()
    if words[:1] in (["-h"], ["--help"]):
        print(overview(known))
        return 0
    if words and not words[0].startswith("-"):
        name, words = words[0], words[1:]
        if name not in (*known, "all"):
            print(
                f"tools/benchmark: found the suite {name!r}, expected one of {', '.join((*known, 'all'))}",
                file=sys.stderr,
            )
            return 2
        chosen = [name] if name != "all" else list(known)
    else:
        chosen, words = of_networks(words)
    parsed = [(name, *parse(name, words)) for name in chosen]
    return run(parsed, alone=len(chosen) == 1)


def suites() -> dict[str, str]:
    """Suites and the first lines of their docstrings, without importing them."""
    files = sorted(path for path in _FOLDER.glob("*.py") if not path.name.startswith("_"))
    return {path.stem: (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").splitlines()[0] for path in files}


def overview(known: dict[str, str]) -> str:
    width = max(map(len, known))
    lines = [f"  {name:{width}}  {line}" for name, line in known.items()]
    lines += [f"  {'all':{width}}  all of them, with their defaults", "", "Options: tools/benchmark SUITE --help"]
    return "\n".join(["usage: tools/benchmark [SUITE | all] [OPTIONS]", "", *lines])


def of_networks(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Without a suite: both of the networks, or those that ``--work`` names."""
    parser = argparse.ArgumentParser(prog="tools/benchmark", add_help=False, allow_abbrev=False)
    parser.add_argument("--work", nargs="+", choices=list(_NETWORKS), default=list(_NETWORKS))
    args, rest = parser.parse_known_args(words)
    return [_NETWORKS[work] for work in args.work], rest


def parse(name: str, words: Sequence[str]) -> tuple[Any, argparse.Namespace]:
    """A suite and its arguments."""
    suite = importlib.import_module(f"benchmark.{name}")
    parser = argparse.ArgumentParser(prog=f"tools/benchmark {name}", description=(suite.__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, help="threads of torch; default: all cores")
    parser.add_argument("--output", help="JSON file for the figures")
    suite.add_arguments(parser)
    return suite, parser.parse_args(words)


def run(parsed: list[tuple[str, Any, argparse.Namespace]], alone: bool) -> int:
    common = parsed[0][2]
    if common.threads:
        import torch

        torch.set_num_threads(common.threads)
    report: dict[str, Any] = {**facts(getattr(common, "device", "cpu")), "settings": {}, "skipped": {}, "rows": []}
    print(json.dumps({key: report[key] for key in ("machine", "versions", "commit")}))
    for name, suite, args in parsed:
        report["settings"][name] = {key: value for key, value in vars(args).items() if key != "output"}
        try:
            rows: list[Row] = list(printed(suite.run(args)))
        except Skipped as reason:
            print(f"\n{name} is skipped: {reason}", file=sys.stderr)
            report["skipped"][name] = str(reason)
            if alone:
                return 2
            continue
        report["rows"] += [{"suite": name, **row} for row in rows]
    if common.output:
        Path(common.output).write_text(json.dumps(report, indent=2) + "\n")
    return 0
