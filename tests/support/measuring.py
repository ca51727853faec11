# SPDX-License-Identifier: Apache-2.0
"""Where coverage is measured.

Why: the tracer doubles the time of a test. Tests of tests/bundles run the same lines for every bundle, with other
values, so only the first parameter set of each is measured; exporters run much of PyTorch's own Python, and their tests
take the fixture ``untraced``.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator

import pytest

from tests.support.plain import PLAIN

REPEATS = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests whose lines another parameter set measures: bundles differ in values, not in lines."""
    seen = set()
    for item in items:
        test = item.nodeid.split("[")[0]
        item.stash[REPEATS] = not PLAIN and item.nodeid.startswith("tests/bundles/") and test in seen
        seen.add(test)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Coverage is not measured again where a test repeats what it did, with other parameters."""
    tracer = sys.gettrace()
    if item.stash[REPEATS]:
        sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(tracer)


@pytest.fixture
def untraced() -> Iterator[None]:
    """No measurement of coverage: exporters run much of PyTorch's own Python and would take twice the time."""
    tracer = sys.gettrace()
    if not PLAIN:
        sys.settrace(None)
    yield
    sys.settrace(tracer)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """What was measured is written now: pytest-xdist kills a process that takes more than 10 seconds to end."""
    measured = sys.modules.get("coverage")
    current = measured.Coverage.current() if measured else None
    if current is not None:
        current.stop()
        current.save()
