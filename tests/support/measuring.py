# SPDX-License-Identifier: Apache-2.0
"""Where coverage is measured.

Why: the tracer doubles the time of a test. Tests of tests/bundles run the same lines for every bundle, with other
values, so only the first parameter set of each is measured; exporters run much of PyTorch's own Python, and their tests
take the fixture ``untraced``. Third parties are imported without it, and pytest is left alone between the tests.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.plain import PLAIN

REPEATS = pytest.StashKey[bool]()
_THIRD_PARTIES = ("monai.bundle", "monai.engines", "monai.handlers", "torch._dynamo", "torch.utils.tensorboard")

_of_this_test: Any = None  # the tracer; none of a test that repeats what was measured


@contextmanager
def paused() -> Iterator[None]:
    """No measurement of coverage for a while: of work that other tests do and measure."""
    tracer = sys.gettrace()
    if not PLAIN:
        sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


def pytest_configure(config: pytest.Config) -> None:
    """Import PyTorch and MONAI before the tests do, where the tracer would watch; nothing of them is measured."""
    if hasattr(config, "workerinput") and sys.gettrace() is not None and not PLAIN:
        with paused():
            for name in _THIRD_PARTIES:
                importlib.import_module(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests whose lines another parameter set measures: bundles differ in values, not in lines."""
    seen = set()
    for item in items:
        test = item.nodeid.split("[")[0]
        item.stash[REPEATS] = not PLAIN and item.nodeid.startswith("tests/bundles/") and test in seen
        seen.add(test)


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem() -> Generator[None, object, object]:
    """Of the collection only the imports are measured, not how pytest makes tests of what it finds."""
    with paused():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Between fixtures and test functions pytest is at work, of which nothing is measured."""
    global _of_this_test
    _of_this_test = None if item.stash[REPEATS] else sys.gettrace()
    with paused():
        return (yield)


@contextmanager
def _measured() -> Iterator[None]:
    before = sys.gettrace()
    if not PLAIN:
        sys.settrace(_of_this_test)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup() -> Generator[None, object, object]:
    """A fixture is measured."""
    with _measured():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A test is measured, unless it takes the fixture ``untraced``."""
    with paused() if "untraced" in pyfuncitem.fixturenames else _measured():
        return (yield)


@pytest.fixture
def untraced() -> None:
    """No measurement of coverage: exporters run much of PyTorch's own Python and would take twice the time."""


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """What was measured is written now: pytest-xdist kills a process that takes more than 10 seconds to end."""
    measured = sys.modules.get("coverage")
    current = measured.Coverage.current() if measured else None
    if current is not None:
        current.stop()
        current.save()
