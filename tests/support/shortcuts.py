# SPDX-License-Identifier: Apache-2.0
"""Work that a test process does not need to do: flushing files to the disk, searching libraries for garbage.

Why: ``os.fsync`` takes 4 ms each time, and nothing that a test writes has to survive a power failure; that it is called
is what tests of the writers check. The imported libraries are half a million objects, which every garbage collection
would go through.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator

import pytest

from tests.support.plain import PLAIN


def pytest_configure() -> None:
    """No flushing from the start: session fixtures write files, too."""
    if not PLAIN:
        os.fsync = lambda descriptor: None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """No search for garbage while modules are imported and tests are made of them: nearly all of it stays."""
    if not PLAIN:
        gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """After the imports of all tests, before the first one runs."""
    if PLAIN:
        return
    if "monai.bundle" in sys.modules:  # not in the process that only hands out the tests
        from tests.support.fast_yaml import install

        install()
    gc.collect()
    gc.freeze()
