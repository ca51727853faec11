# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all tests: real data, the generated sample; order, garbage, disk and coverage of all tests."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))
REPEATS = pytest.StashKey[bool]()
STARTED = time.monotonic()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first in each half: at the end they would leave the other processes idle."""
    first: list[pytest.Item] = []
    second: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        {"tools": first, "networks": second, "tests": second}.get(item.path.parent.name, others).append(item)
    half = max(len(items) // 2 - len(first), 0)  # with two processes, where the second one begins
    items[:] = [*first, *others[:half], *second, *others[half:]]
    seen = set()
    for item in items:
        test = item.nodeid.split("[")[0]
        # Bundles differ in values here; the lines of networks and layouts are measured in folders of their own.
        item.stash[REPEATS] = item.path.parent.name == "bundles" and test in seen
        seen.add(test)


def pytest_collection_finish() -> None:
    """Half a million objects of the imported libraries stay: without them each search for garbage is short."""
    if "monai.bundle" in sys.modules:  # not in the process that only hands out the tests
        from fast_yaml import install

        install()
    gc.collect()
    gc.freeze()


def pytest_configure() -> None:
    """Nothing that a test writes has to survive a power failure; the disk takes 4 ms each time."""
    os.fsync = lambda descriptor: None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """``tools/test --quick`` ends after the time that it has; what it did not reach is skipped and counted."""
    seconds = os.environ.get("SA2_SECONDS")
    if seconds and time.monotonic() - STARTED > float(seconds):
        pytest.skip(f"not reached in {seconds} s (tools/test --quick); left to the whole suite")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """What was measured is written now: pytest-xdist kills a process that takes more than 10 seconds to end."""
    measured = sys.modules.get("coverage")
    current = measured.Coverage.current() if measured else None
    if current is not None:
        current.stop()
        current.save()


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


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; the test is skipped with the reason where there is none."""
    root = Path(os.environ.get("SA2_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (root / "bbbc038_nuclei" / "dataset.json").is_file():
        pytest.skip(f"no real data: {root} has no bbbc038_nuclei/dataset.json (set SA2_DATA to the folder that has it)")
    return root


@pytest.fixture(scope="session")
def sample_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small generated microscopy set, 128x128, with training, validation and test parts."""
    from sa2_monai.data import make_sample

    folder = tmp_path_factory.mktemp("sample") / "nuclei"
    make_sample(folder, seed=0, num_training=8, num_validation=4, num_test=4, size=(128, 128))
    return folder


@pytest.fixture
def untraced() -> Iterator[None]:
    """No measurement of coverage: exporters run much of PyTorch's own Python and would take twice the time."""
    tracer = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(tracer)
