# SPDX-License-Identifier: Apache-2.0
"""Measured ratios against committed ones (``tools/lib/benchmark/ratios.json``): better, equal or worse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.frame.rows import Row, printed

__all__ = ["COMMITTED", "check", "record"]

COMMITTED = Path(__file__).resolve().parents[1] / "ratios.json"
FLOOR = 0.1  # a quiet machine gives ratios that differ by as much from run to run: clock, layout of the memory


def record(report: dict[str, Any], file: Path) -> None:
    """Write the ratios of the suites of a run; those of other suites stay.

    Args:
        report: as the frame writes it: ``machine``, ``versions``, ``commit``, ``rows``.
        file: JSON; made where it is missing.
    """
    kept = _suites(file) if file.exists() else {}
    facts = {key: report[key] for key in ("machine", "versions", "commit")}
    for row in _with_ratio(report["rows"]):
        suite = kept.setdefault(row["suite"], {})
        if suite.get("facts") is not facts:
            suite.clear()
            suite |= {"facts": facts, "ratios": []}
        suite["ratios"].append({key: row.get(key) for key in ("case", "contestant", "ratio", "spread")})
    file.write_text(json.dumps(kept, indent=2) + "\n")


def check(rows: Sequence[Row], file: Path) -> int:
    """Print a verdict for each measured ratio.

    Two ratios are equal when they differ by at most 10 % and twice the larger spread of both runs.

    Args:
        rows: of the run, each with its ``suite``.
        file: of :func:`record`.

    Returns:
        Exit code: 1 where a ratio is worse, 2 where there is nothing to compare, else 0.
    """
    suites = _suites(file) if file.exists() else {}
    committed = {(s, r["case"], r["contestant"]): r for s, suite in suites.items() for r in suite["ratios"]}
    verdicts = [_verdict(row, committed[_key(row)]) for row in _with_ratio(rows) if _key(row) in committed]
    if not verdicts:
        print(f"{file} has none of these ratios: measure them on a quiet machine with --record {file}")
        return 2
    list(printed(verdicts))
    worse = [verdict for verdict in verdicts if verdict["verdict"] == "worse"]
    print(f"\n{len(worse)} of {len(verdicts)} ratios are worse than those in {file}")
    return 1 if worse else 0


def _verdict(row: Row, before: Row) -> Row:
    tolerance = FLOOR + 2 * max(one.get("spread") or 0.0 for one in (row, before))
    change = row["ratio"] / before["ratio"]
    verdict = "worse" if change < 1 - tolerance else "better" if change > 1 + tolerance else "equal"
    return {
        **{key: row[key] for key in ("suite", "case", "contestant")},
        "committed": before["ratio"],
        "measured": row["ratio"],
        "tolerance": f"{tolerance:.0%}",
        "verdict": verdict,
    }


def _key(row: Row) -> tuple[str, str, str]:
    return row["suite"], row["case"], row["contestant"]


def _with_ratio(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.get("ratio") is not None]


def _suites(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found
