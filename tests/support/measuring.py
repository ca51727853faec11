# SPDX-License-Identifier: Apache-2.0
"""Where coverage is measured.

Why: the tracer doubles the time of a test. Tests of tests/bundles run the same lines for every bundle, with other
values, so only the first parameter set of each is measured; exporters run much of PyTorch's own Python, and their tests
take the fixture ``untraced``. Third parties are imported without it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest

from tests.support.plain import PLAIN

REPEATS = pytest.StashKey[bool]()
_THIRD_PARTIES = ("monai.bundle", "monai.engines", "monai.handlers", "torch._dynamo", "torch.utils.tensorboard")


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
    with paused():
        yield


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """What was measured is written now: pytest-xdist kills a process that takes more than 10 seconds to end."""
    measured = sys.modules.get("coverage")
    current = measured.Coverage.current() if measured else None
    if current is not None:
        current.stop()
        current.save()
