# SPDX-License-Identifier: Apache-2.0
"""How many cases a data set should have, told from what its module reports while it lists them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from sa2_monai.data.dataset import DataSet, report_counts
from sa2_monai.data.layouts.cases import Parts
from sa2_monai.data.layouts.missing import missing_from_series
from sa2_monai.io.problems import listing

__all__ = ["collected_messages", "compare_counts"]


@contextmanager
def collected_messages() -> Iterator[list[logging.LogRecord]]:
    """Collect what the functions that list cases report, instead of printing it."""
    records: list[logging.LogRecord] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger, handler = logging.getLogger("sa2_monai.data"), Collector()
    former = logger.propagate, logger.level
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield records
    finally:
        logger.removeHandler(handler)
        logger.propagate = former[0]
        logger.setLevel(former[1])


def compare_counts(
    entry: DataSet, parts: Parts, split: str | None, messages: Sequence[logging.LogRecord], folder: Path
) -> tuple[list[dict[str, Any]], list[str]]:
    """Numbers beside the published ones, and everything that differs.

    A module may compare before it makes its default split; only what it leaves out is compared here, by the parts.

    Args:
        entry: the data set.
        parts: its cases by part; empty where they have to be prepared.
        split: name of the split, ``None`` where there is one only.
        messages: what was collected while the cases were listed.
        folder: the data set's folder, left out of the messages.

    Returns:
        For each number ``part``, ``found``, ``expected`` and ``ok``; and the deviations, in words.
    """
    rows: list[tuple[str, int, str]] = []
    for record in messages:
        if record.funcName == report_counts.__name__:
            _, number, name, text = cast("tuple[Path, int, str, str]", record.args)
            rows.append((name, number, text))
    differing = [
        record.getMessage().removeprefix(f"{folder}: ") for record in messages if record.levelno >= logging.WARNING
    ]
    if parts and not rows and split in (None, *entry.splits[:1]):
        rows = [(part, len(parts.get(part, [])), " or ".join(map(str, n))) for part, n in entry.expected.items()]
        differing += [
            f"{found} {part} cases, the published data set has {wanted}"
            for part, found, wanted in rows
            if found not in entry.expected[part]
        ]
    for part, found, wanted in rows:
        named = [case for name, cases in parts.items() for case in cases if name == part]
        if len(named) != found:  # compared before the default split was made
            named = [case for cases in parts.values() for case in cases]
        counts = [int(count) for count in wanted.split(" or ")]
        if len(named) == found and found not in counts:
            stems = [Path(case["image"] if isinstance(case["image"], str) else case["image"][0]).stem for case in named]
            missing = missing_from_series(stems, min((n for n in counts if n > found), default=0))
            differing += [f"{part} images that are not there: {listing(missing, 20)}"] if missing else []
    published = [
        {"part": part, "found": found, "expected": wanted, "ok": str(found) in wanted.split(" or ")}
        for part, found, wanted in rows
    ]
    return published, differing
