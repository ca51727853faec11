# SPDX-License-Identifier: Apache-2.0
"""Command line of ``tools/freeze``: run the cases, write their digests or compare with those of another commit."""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[3]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tools/freeze", description="Digests of what every bundle computes.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--output", metavar="FILE", type=Path, help="run and write the digests")
    what.add_argument("--compare", metavar="FILE", type=Path, help="run and compare with such a file; 1: they differ")
    what.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("--only", metavar="PATTERN", help="cases whose name fits, e.g. 'hsaunet/volumes/*'")
    parser.add_argument("--root", metavar="DIR", type=Path, default=HERE, help="checkout with sa2_monai/ and bundles/")
    args = parser.parse_args(argv)
    root = use_checkout(args.root)

    from freeze.cases import CASES
    from freeze.compare import differences, environment, refusal

    chosen = [case for case in CASES if fits(case.name, args.only)]
    if not chosen:
        parser.error(f"no case fits {args.only!r}; --list prints their names")
    if args.list:
        print("\n".join(case.name for case in chosen))
        return 0
    stored = None
    if args.compare:
        stored = json.loads(args.compare.read_text(encoding="utf-8"))
        if problem := refusal(stored["environment"], environment()):
            print(f"tools/freeze: {args.compare}: {problem}", file=sys.stderr)
            return 2
        stored["cases"] = {name: items for name, items in stored["cases"].items() if fits(name, args.only)}
    found = run_all(chosen, root)
    failed = [name for name, items in found.items() if "failed" in items]
    if stored is None:
        content = {"environment": environment(), "cases": found}
        args.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(f"{len(found)} cases in {args.output}, {len(failed)} of them failed")
        return 1 if failed else 0
    lines = differences(stored["cases"], found)
    print("\n".join(lines) or f"{len(found)} cases: no difference")
    return 1 if lines else 0


def use_checkout(root: Path) -> Path:
    """Let this process and those that it starts import the package of a checkout, with one thread each."""
    root = root.resolve()
    for name in ("bundles", "sa2_monai"):
        if not (root / name).is_dir():
            raise SystemExit(f"tools/freeze: {root} has no folder {name}/, expected a checkout of this repository")
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", PYTHONPATH=str(root), CUDA_VISIBLE_DEVICES="")
    sys.path.insert(0, str(root))
    import torch

    import sa2_monai

    if Path(sa2_monai.__file__).resolve().parents[1] != root:
        raise SystemExit(f"tools/freeze: sa2_monai comes from {sa2_monai.__file__}, expected {root}")
    torch.set_num_threads(1)
    return root


def fits(name: str, pattern: str | None) -> bool:
    return pattern is None or pattern in name or fnmatch.fnmatch(name, pattern)


def run_all(cases: list[Any], root: Path) -> dict[str, Any]:
    """Items of the cases by name; of one that failed the last line of its error."""
    from freeze.data import DATA
    from freeze.runs import freeze, quiet

    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="freeze-") as temporary:
        for number, case in enumerate(cases, 1):
            started = time.monotonic()
            data, work = Path(temporary) / "data" / case.data, Path(temporary) / "work" / str(number)
            if not data.exists():
                DATA[case.data](data)
            work.mkdir(parents=True)
            try:
                with quiet(work / "log.txt"):
                    found[case.name] = freeze(case, root, data, work)
                ending = ""
            except Exception as error:
                found[case.name] = {"failed": message(error)}
                ending = f", FAILED: {message(error)}"
            print(f"{number}/{len(cases)} {case.name}: {time.monotonic() - started:.1f} s{ending}", flush=True)
    return found


def message(error: BaseException) -> str:
    """What went wrong at first, in one line."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return f"{type(error).__name__}: {error}".replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())
