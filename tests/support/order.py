# SPDX-License-Identifier: Apache-2.0
"""The order of the tests, and their end after a given time.

Why: the suite runs in one process per core. A test of a minute that begins last leaves the other processes idle; and
``tools/test --quick`` promises to answer within minutes, so it skips what it does not reach (``SA2_SECONDS``), and says
so.
"""

from __future__ import annotations

import os
import time

import pytest

from tests.support.plain import PLAIN

STARTED = time.monotonic()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first in each half: at the end they would leave the other processes idle."""
    if PLAIN:
        return
    first: list[pytest.Item] = []
    second: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        {"docs": first, "tools": first, "networks": second, "tests": second}.get(item.path.parent.name, others).append(
            item
        )
    half = max(len(items) // 2 - len(first), 0)  # with two processes, where the second one begins
    items[:] = [*first, *others[:half], *second, *others[half:]]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """``tools/test --quick`` ends after the time that it has; what it did not reach is skipped and counted."""
    seconds = os.environ.get("SA2_SECONDS")
    if seconds and time.monotonic() - STARTED > float(seconds):
        pytest.skip(f"not reached in {seconds} s (tools/test --quick); left to the whole suite")
